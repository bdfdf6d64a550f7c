"""
A few machines on this one, each with WireGuard and the execution module, and no Salt daemons: what tests of several
devices and some benchmarks work with.

Each machine is a process in namespaces of its own (network, mounts, processes), joined to the others by a bridge.
``nodes.Nodes`` starts the machines and plays the master. ``machine`` is the program on each of them, which takes
requests, one JSON object a line, and works on several at once. When ``Nodes`` goes, in whatever way, so do they.
"""

import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
NETWORK = "backbone"
INTERFACE = "wg0"
PORT = 51820
STATE_DIR = "/run/wireguard/minion"  # on a file system that each machine has for itself
UDP_ECHO = REPO / "lab" / "wgmachines" / "udp_echo.py"

if str(REPO / "_utils") not in sys.path:
    sys.path.insert(0, str(REPO / "_utils"))
