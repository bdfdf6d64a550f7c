"""What the tests of a node's life share: commands and their answers, who holds which key, who got to know what."""

import subprocess
from typing import Any

import steps

UNTOLD_SECONDS = 150.0  # for what happens by itself on a busy machine


def ask(lab: Any, function: str, *args: str) -> tuple[int, Any]:
    """Run ``salt-run wireguard.FUNCTION``; return its exit code and what it says."""
    done = lab.salt_run(f"wireguard.{function}", "--out=json", *args)
    return done.returncode, steps.documents(done.stdout)[-1]


def begin(lab: Any, function: str, *args: str) -> "subprocess.Popen[str]":
    """Start ``salt-run wireguard.FUNCTION`` and go on meanwhile."""
    argv = lab.argv("salt-run", "--out=json", f"wireguard.{function}", *args)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]", seconds: float = 240) -> tuple[int, Any]:
    """Wait for a command that was begun; return its exit code and what it says, None if it says nothing."""
    documents = steps.documents(process.communicate(timeout=seconds)[0])
    return process.returncode, documents[-1] if documents else None


def powered(lab: Any) -> list[str]:
    """The nodes that are on."""
    return sorted(name for name, row in lab.status().items() if name != "master" and row["power"] == "up")


def holders(lab: Any, key: str) -> list[str]:
    """The nodes that are on and have this key on their device or in their configuration file."""
    found = []
    for node in powered(lab):
        on_device = steps.has_device(lab, node) and key in steps.peers(lab, node)
        if on_device or key in steps.wireguard_files(lab, node).get("wg0.conf", ""):
            found.append(node)
    return found


def is_torn_down(lab: Any, node: str, private_key: str) -> bool:
    """Whether nothing is left of a node's network but its key, under another name."""
    files = steps.wireguard_files(lab, node)
    aside = [text for name, text in files.items() if name.startswith("wg0.key.removed-")]
    return not steps.has_device(lab, node) and not {"wg0.conf", "wg0.key"} & set(files) and private_key in aside


def accept(lab: Any, node: str) -> None:
    """Accept a minion's Salt key as soon as it presents it."""
    waiting = lab.dir / "hosts/master/etc/salt/pki/master/minions_pre" / node
    steps.wait_until(f"{node} asks to be accepted", waiting.exists)
    assert lab.salt_key("-y", "-a", node).returncode == 0


def await_answer(lab: Any, node: str) -> None:
    """Wait until a minion takes jobs."""
    steps.wait_until(f"{node} answers", lambda: "True" in lab.salt(node, "test.ping").stdout, UNTOLD_SECONDS)


def settle(lab: Any, *names: str) -> None:
    """Wait until these are the members and all of them are what they must be."""
    steps.wait_until(f"{', '.join(names)} in sync", lambda: steps.in_sync(lab, *names), UNTOLD_SECONDS)


def whats(lab: Any, node: str) -> list[str]:
    """What happened to a node, in order."""
    return [entry["what"] for entry in ask(lab, "history", node, "limit=500")[1]["history"]]


def announced(lab: Any) -> list[tuple[str, Any]]:
    """Tag and data of the events about nodes that the master sent so far."""
    return [(tag, data) for tag, data in lab.recorder.all() if tag.startswith("wireguard/backbone/node/")]


def jobs(lab: Any) -> list[tuple[str, list[str]]]:
    """Function and minions of the jobs of ours that the master published so far."""
    new = [data for tag, data in lab.recorder.all() if tag.startswith("salt/job/") and tag.endswith("/new")]
    return [(data["fun"], sorted(data["minions"])) for data in new if data["fun"].startswith("wireguard.")]


def check_each_entry_was_announced_once(lab: Any) -> None:
    """Every entry of the history is one event, with the same words."""
    entries = ask(lab, "history", "limit=1000")[1]["history"]
    wanted = [(entry["id"], entry["node"], entry["what"], entry["who"], entry["why"]) for entry in entries]

    def told() -> bool:
        events = [data for _, data in announced(lab)]
        return wanted == sorted((data["id"], data["node"], data["what"], data["who"], data["why"]) for data in events)

    steps.wait_until("an event for every entry of the history, and no other", told, 20)
    assert [tag for tag, data in announced(lab) if tag != f"wireguard/backbone/node/{data['what']}"] == []
