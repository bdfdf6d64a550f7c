"""What the firewall of this machine has to say about the port of an interface."""

from __future__ import annotations

from ..device import firewall
from ..device.findings import Finding
from ..system import machine
from ..system.commands import run
from ..wording import some


def ruleset() -> str:
    """The rules of nftables as JSON, with those of firewalld, ufw and new iptables; empty where there is none."""
    return run(["nft", "--json", "list", "ruleset"], check=False) if machine.here.program("nft") else ""


def closed(port: int) -> Finding | None:
    """The finding for a port that no rule lets in, as far as that can be told; None otherwise."""
    rules = ruleset()
    text = run(["iptables", "-S"], check=False) if machine.here.program("iptables") else ""
    where = [*firewall.dropping_chains(rules, "input"), *(["iptables INPUT"] if firewall.iptables_drops(text) else [])]
    if not where or firewall.may_accept(rules, port) or firewall.iptables_may_accept(text, port):
        return None
    return firewall.closed(port, some(where))
