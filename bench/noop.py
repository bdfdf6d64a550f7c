#!/usr/bin/env python3
"""
What a state costs that finds nothing to do: ``wireguard.present`` beside ``test.nop``, Salt's own that does nothing.

On a machine of its own with a real WireGuard device, in turns: ``salt-call --local state.apply`` of an SLS file with
one such state ("run"), which is what somebody waits for; and ``state.single`` in a process that has loaded Salt already
("job"), where Salt's start hides nothing. Wall time, and CPU time with all child processes. Needs root.

    bench/noop.py --json --rounds 20 --peers 50
"""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report import REPO, BenchError, Comparison, Measured, Size, run
from saltext.wireguard.model.view import Peer, View
from wgmachines import NETWORK, STATE_DIR
from wgmachines.nodes import Node, Nodes, why_not

STATES = {"test_nop": ("test.nop", "nothing"), "present": ("wireguard.present", NETWORK)}
INSIDE = "--inside"  # how this program is called on the machine itself
CONFIG_DIR = f"{STATE_DIR}/salt"


def compare(rounds: int, peers: int) -> Measured:
    """Make a machine with such a device, and measure there."""
    if reason := why_not():
        raise BenchError(reason)
    with Nodes(1) as nodes:
        (node,) = nodes.all
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(_view(nodes, node, peers))
            file.flush()
            words = [sys.executable, __file__, INSIDE, file.name, str(rounds)]
            measured = json.loads(node.run(*words, seconds=(rounds + 1) * 60).splitlines()[-1])
    comparisons = [
        Comparison(f"{title}, {unit}", *measured[what][name], "`test.nop`", "ms")
        for what, title in (("run", "`salt-call --local state.apply`"), ("job", "`state.single`, Salt loaded"))
        for name, unit in (("wall", "wall time"), ("cpu", "CPU time"))
    ]
    return {}, comparisons


def _view(nodes: Nodes, node: Node, peers: int) -> str:
    """Of a device that is as it should be, as JSON."""
    nodes.set_up()
    bare = nodes.view(node)
    chance = random.Random(1)  # noqa: S311 - nobody uses these keys
    more = tuple(_peer(number, chance) for number in range(peers))
    view = View(**{**vars(bare), "peers": more}).to_dict()
    node.do("set_view", view)
    result = node.call("sync", signed=True)["networks"][NETWORK]
    assert result["result"], result
    return json.dumps(view)


def _peer(number: int, chance: random.Random) -> Peer:
    raw = bytearray(chance.randbytes(32))
    raw[31] &= 0x3F
    endpoint = f"192.0.2.{number % 200 + 50}:51820"
    address = f"10.42.{number // 200 + 1}.{number % 200 + 1}/32"
    return Peer(f"peer{number:04}", base64.b64encode(bytes(raw)).decode(), (address,), endpoint)


# -- on the machine itself


def inside(view: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Both measures: medians in milliseconds, of ours and of the baseline."""
    _configure(view)
    runs = {name: lambda name=name: _salt_call(name) for name in STATES}
    result: dict[str, Any] = {}
    for what, calls, count in (("run", runs, rounds), ("job", _jobs(), rounds * 5)):
        taken = _in_turns(calls, count)
        for index, name in enumerate(("wall", "cpu")):
            result.setdefault(what, {})[name] = [
                round(1000 * taken[state][index], 1) for state in ("present", "test_nop")
            ]
    return result


def _configure(view: dict[str, Any]) -> None:
    """A minion that is its own master, with an SLS file for each state."""
    root = Path(CONFIG_DIR)
    (root / "pillar").mkdir(parents=True)
    (root / "states").mkdir()
    minion = {
        "id": "node1",
        "log_file": str(root / "log"),
        "sock_dir": str(root),
        "cachedir": STATE_DIR,
        "pki_dir": STATE_DIR,
        "file_client": "local",
        "module_dirs": [str(REPO)],
        "file_roots": {"base": [str(root / "states")]},
        "pillar_roots": {"base": [str(root / "pillar")]},
        "enable_fqdns_grains": False,
        "enable_gpu_grains": False,
    }
    (root / "minion").write_text(json.dumps(minion))
    (root / "pillar" / "top.sls").write_text("base: {'*': [data]}\n")
    (root / "pillar" / "data.sls").write_text("#!json\n" + json.dumps({"wireguard": {"networks": {NETWORK: view}}}))
    for name, (function, argument) in STATES.items():
        (root / "states" / f"{name}.sls").write_text(f"{argument}: {{{function}: []}}\n")


def _salt_call(name: str) -> None:
    salt_call = str(Path(sys.executable).parent / "salt-call")
    words = [salt_call, "--local", "--config-dir", CONFIG_DIR, "--out=json", "state.apply", name]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")
    _check(json.loads(done.stdout)["local"])


def _jobs() -> dict[str, Callable[[], None]]:
    import salt.config
    import salt.loader

    logging.disable(logging.CRITICAL)
    opts = salt.config.minion_config(f"{CONFIG_DIR}/minion")
    opts["grains"] = salt.loader.grains(opts)
    functions = salt.loader.minion_mods(opts, utils=salt.loader.utils(opts))
    return {name: lambda state=state: _check(functions["state.single"](*state)) for name, state in STATES.items()}


def _check(result: Any) -> None:
    """That the state did nothing, successfully."""
    assert isinstance(result, dict), result
    (state,) = result.values()
    assert state["result"] is True, state
    assert state["changes"] == {}, state


def _in_turns(calls: dict[str, Callable[[], None]], count: int) -> dict[str, tuple[float, float]]:
    """Medians of wall and CPU seconds, after one turn that warms up."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(count + 1):
        for name, call in calls.items():
            wall, cpu = time.monotonic(), _cpu()
            call()
            seconds[name].append((time.monotonic() - wall, _cpu() - cpu))
    return {
        name: (statistics.median(wall for wall, _ in each[1:]), statistics.median(cpu for _, cpu in each[1:]))
        for name, each in seconds.items()
    }


def _cpu() -> float:
    """Of this process and of all children that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    if sys.argv[1:2] == [INSIDE]:
        print(json.dumps(inside(json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3]))))
        sys.exit(0)
    sys.exit(
        run(
            __doc__,
            compare,
            rounds=Size(10, 1, "runs of each kind, and jobs five times"),
            peers=Size(50, 5, "of the device"),
        )
    )
