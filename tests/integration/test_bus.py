"""Salt's own bus, on a real master, keeps the contract that the fake one of the unit tests keeps."""

import re
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CONTRACT = REPO / "tests/unit/bus_contract.py"


def test_salts_bus_keeps_the_contract(lab):
    lab.up(3)
    lab.off("node3")
    script = [sys.executable, str(REPO / "tests/integration/keep_bus_contract.py")]
    path = f"PYTHONPATH={REPO / '_utils'}:{CONTRACT.parent}"
    done = lab.exec("master", "env", path, *script, "node1", "node2", "node3")
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^def (\w+)", CONTRACT.read_text(), re.MULTILINE)) <= set(done.stdout.splitlines())
