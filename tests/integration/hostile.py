"""A member that is root-compromised: its modules are hostile, and it signs whatever it likes."""

import contextlib
import json
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import steps
from saltext.wireguard.model.statements import Rotation, sign
from test_trust import private_pem, registry

LIAR, VICTIM = "node1", "node2"
# At the end of the liar's own module: what it answers is what the test left in a file.
HOSTILE = """

def _left(name):
    import json, os
    path = f"/var/tmp/hostile-{name}.json"
    return json.load(open(path)) if os.path.exists(path) else None

def rotate_prepare(network, _real=rotate_prepare):
    return _left("rotate_prepare") or _real(network)

def rotate_switch(network, wait=8, _real=rotate_switch):
    return _left("rotate_switch") or _real(network, wait)
"""

# At the end of an honest node's module: a sync that waits with the pillar that it has just fetched, if a test wants it.
SLOW = """

HOLD, HELD = "/var/tmp/hostile-hold", "/var/tmp/hostile-held"

def sync(test=False, signed=False, force=False, reason=None, _real=sync):
    import os, time
    from saltext.wireguard.node.minion import Minion
    fetch = Minion.fresh_pillar
    def fetch_and_wait(self):
        pillar = fetch(self)
        if os.path.exists(HOLD):
            os.rename(HOLD, HELD)
            while os.path.exists(HELD):
                time.sleep(0.05)
        return pillar
    Minion.fresh_pillar = fetch_and_wait
    try:
        return _real(test, signed, force, reason)
    finally:
        Minion.fresh_pillar = fetch
"""

# The same, of its answer that it has switched to its next key.
LATE = """

def rotate_switch(network, wait=8, _real=rotate_switch):
    import time
    answer = _real(network, wait)
    time.sleep(10)
    return answer
"""


def build(lab: Any, nodes: Collection[str], mesh: str) -> None:
    """A mesh in which one member is hostile."""
    lab.up(len(nodes), mesh=mesh, trigger="engine")
    steps.build(lab, len(nodes))
    write_module(lab, LIAR, module_of(lab, LIAR).read_text() + HOSTILE)


@contextlib.contextmanager
def with_module(lab: Any, node: str, text: str) -> Iterator[None]:
    """Have a node's own copy of our execution module do something else as well, for a while."""
    before = module_of(lab, node).read_text()
    write_module(lab, node, before + text)
    yield
    write_module(lab, node, before)


def module_of(lab: Any, node: str) -> Path:
    return Path(lab.dir / "hosts" / node / "var/cache/salt/minion/extmods/modules/wireguard.py")


def write_module(lab: Any, node: str, text: str) -> None:
    module_of(lab, node).write_text(text)
    lab.salt_json(node, "saltutil.refresh_modules")


@contextlib.contextmanager
def nobody_else_loses_anything(lab: Any, nodes: Collection[str]) -> Iterator[None]:
    """Every attack must leave as they were: rows and addresses of the others, their tunnels, their devices."""
    steps.wait_until("everybody in sync", lambda: steps.in_sync(lab, *nodes))
    before = others(lab)
    yield
    lab.must("exec", LIAR, "sh", "-c", "rm -f /var/tmp/hostile-*.json")
    steps.wait_until("everybody in sync again", lambda: steps.in_sync(lab, *nodes))
    assert others(lab) == before
    assert {node: steps.has_device(lab, node) for node in nodes} == dict.fromkeys(nodes, True)


def others(lab: Any) -> dict[str, Any]:
    """What the registry has of all but the liar."""
    rows = registry(lab).snapshot().rows
    return {node: (row.addresses, row.salt_key) for (_, node), row in rows.items() if node != LIAR}


def answers(lab: Any, **left: Any) -> None:
    """From now on the liar answers so."""
    for name, answer in left.items():
        path = f"/var/tmp/hostile-{name}.json"
        lab.must("exec", LIAR, "sh", "-c", f"cat >{path}", input=json.dumps(answer))


def announcement(lab: Any, next_key: str) -> Any:
    """That the liar is to have this key next."""
    statement = Rotation(LIAR, steps.NETWORK, steps.public_key(lab, LIAR), next_key, time.time_ns())
    return sign(statement, private_pem(lab, LIAR))


def rotate(lab: Any, node: str) -> Any:
    """Rotate a node's key; return what the runner says of it."""
    done = lab.salt_run("wireguard.rotate", node, "--out=json")
    return steps.documents(done.stdout)[-1]["rotations"][0]
