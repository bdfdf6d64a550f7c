"""
The examples as they are: who is to reach each other does, who is not does not, and is told nothing of the other.

One lab has them one after the other, so that each is also a large change of a running mesh.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path

import pytest

import steps

EXAMPLES = Path(__file__).parents[2] / "examples"
PINGS = 'for a in "$@"; do ping -n -c1 -W1 "$a" >/dev/null || echo "$a"; done'


@dataclass(frozen=True)
class Example:
    """
    ``minions`` and ``plain`` hosts, each NAME or NAME@SITE, and what makes of the lab what the example is about.

    ``reach``: pairs of which each reaches the other; if empty, all minions do. ``apart``: pairs of which neither does.
    ``strangers``: pairs of which neither is told of the other; of these, ``relayed`` are those that could not call each
    other. ``called``: (who, whom) -> where, as the device has it, with ``{host}`` for the address of a host or site on
    the Internet.
    """

    minions: Sequence[str]
    plain: Sequence[str] = ()
    commands: Sequence[str] = ()
    reach: Sequence[tuple[str, str]] = ()
    apart: Sequence[tuple[str, str]] = ()
    strangers: Sequence[tuple[str, str]] = ()
    relayed: Sequence[tuple[str, str]] = ()
    called: Mapping[tuple[str, str], str] = field(default_factory=dict)


HUBS = ["point hub1.example.com hub1", "point hub2.example.com hub2"]
ALL = {
    "full-mesh": Example(["hub1", "hub2", "server1"]),
    "hub-and-spoke": Example(
        ["hub1", "hub2", "server1", "ams-web@ams", "fra-web@fra"],
        commands=HUBS,
        strangers=[("ams-web", "fra-web"), ("server1", "ams-web")],
        called={("ams-web", "hub1"): "{hub1}:51820", ("fra-web", "hub2"): "{hub2}:51820"},
    ),
    "dual-stack": Example(
        ["hub1", "server1", "ams-web@ams", "fra-web@fra"],
        commands=[
            *(f"exec hub1 ip address replace {address} dev eth0" for address in ("203.0.113.7", "2001:db8::7")),
            *(f"exec server1 ip address replace {address} dev eth0" for address in ("203.0.113.8", "2001:db8::8")),
            "point server1.example.com 203.0.113.8 2001:db8::8",
        ],
        strangers=[("ams-web", "fra-web")],
        relayed=[("ams-web", "fra-web")],
        called={
            ("ams-web", "hub1"): "203.0.113.7:51820",
            ("fra-web", "hub1"): "[2001:db8::7]:51820",
            ("ams-web", "server1"): "203.0.113.8:51820",
            ("fra-web", "server1"): "[2001:db8::8]:51820",
        },
    ),
    "two-sites": Example(
        ["hub1", "ams-web@ams", "ams-gw@ams", "fra-web@fra"],
        commands=[*HUBS[:1], "forward ams 41820 ams-gw", "point ams.example.com ams"],
        strangers=[("ams-web", "fra-web")],
        relayed=[("ams-web", "fra-web")],
        called={
            ("ams-web", "ams-gw"): "192.168.1.12:51820",
            ("fra-web", "ams-gw"): "{ams}:41820",
            ("fra-web", "hub1"): "{hub1}:51820",
        },
    ),
    "road-warriors": Example(
        ["hub1", "server1", "server2"],
        ["alice-phone@fra", "guest-laptop"],
        ["point vpn.example.com hub1", "point server1.example.com server1"],
        reach=[
            ("server1", "server2"),
            ("alice-phone", "server1"),
            ("alice-phone", "server2"),
            ("guest-laptop", "server1"),
        ],
        apart=[("guest-laptop", "server2"), ("guest-laptop", "hub1"), ("guest-laptop", "alice-phone")],
        strangers=[("server1", "alice-phone"), ("server2", "alice-phone"), ("server2", "guest-laptop")],
    ),
    "site-to-site": Example(
        ["west-gw@west", "east-gw@east"],
        ["west-pc@west", "east-pc@east"],
        [
            "forward west 41820 west-gw",
            "point west.example.com west",
            "exec west-pc ip route replace 192.168.50.0/24 via 192.168.40.11",
            "exec east-pc ip route replace 192.168.40.0/24 via 192.168.50.11",
        ],
        reach=[("west-gw", "east-gw"), ("west-pc", "east-pc")],
        called={("east-gw", "west-gw"): "{west}:41820"},
    ),
}
SITES = {"ams": [], "fra": ["--ipv6"], "west": ["--lan", "192.168.40.0/24"], "east": ["--lan", "192.168.50.0/24"]}


class Scene:
    """The lab with an example in it. ``addresses`` and public ``keys`` are those of all hosts of the example."""

    def __init__(self, lab, example, text):
        self.lab = lab
        self.example = example
        self._make_hosts()
        self.hosts = lab.status()
        self.names = [place.partition("@")[0] for place in (*example.minions, *example.plain)]
        self.text = text
        self._apply()
        rows = steps.nodes(lab)
        self.members = list(rows)
        self.keys = {name: row["public_key"] for name, row in rows.items()}
        self.addresses = {name: [self.hosts[name]["address"]] for name in self.names}
        self.addresses |= {name: row["addresses"] for name, row in rows.items()}
        for name in self.names:
            if f"{name}:" in text and not self.hosts[name]["key"]:
                self._bring_up_phone(name)

    def _make_hosts(self):
        sites = self.lab.sites()
        for site in SITES:
            used = any(place.endswith(f"@{site}") for place in (*self.example.minions, *self.example.plain))
            if used and site not in sites:
                self.lab.must("site", site, *SITES[site])
        there = self.lab.status()
        for places, options in ((self.example.minions, []), (self.example.plain, ["--plain"])):
            new = [place for place in places if place.partition("@")[0] not in there]
            if new:
                self.lab.must("add", *options, *new)
        for command in self.example.commands:
            self.lab.must(*command.split())

    def _apply(self):
        steps.edit_mesh(self.lab, self.text)
        code, said = steps.reconcile(self.lab, "force=True", "reason=another example")
        assert (code, said["failed"], said["silent"]) == (0, {}, [])
        minions = [name for name, row in self.hosts.items() if row["key"]]
        members = minions if "'*':" in self.text else [name for name in self.names if name in minions]
        steps.wait_until("all in sync", lambda: steps.in_sync(self.lab, *members))

    def _bring_up_phone(self, name):
        conf = self.lab.dir / "hosts" / name / "etc/wireguard/wg0.conf"
        exported = self.lab.salt_run_json("wireguard.export", name, f"file={conf}")
        self.keys[name] = exported["public_key"]
        self.addresses[name] = [address.partition("/")[0] for address in exported["addresses"]]
        self.lab.must("exec", name, "wg-quick", "up", "wg0")

    def lost(self, sender, *receivers):
        """The addresses of the receivers that do not answer."""
        versions = {":" in address for address in self.addresses[sender]}
        wanted = [each for receiver in receivers for each in self.addresses[receiver] if (":" in each) in versions]
        return self.lab.must("exec", sender, "sh", "-c", PINGS, "ping", *wanted).split()

    def endpoint(self, who, whom):
        return steps.peers(self.lab, who)[self.keys[whom]]["endpoint"]

    def told(self, name):
        """All that a host has, and is given."""
        device = self.lab.must("exec", name, "wg", "show", "all", "dump")
        return device + (self.lab.salt_run("wireguard.view", name, "--out=json").stdout if name in self.members else "")


@pytest.fixture(scope="module")
def running(lab):
    lab.up(0)
    return lab


@pytest.fixture(scope="module", params=list(ALL))
def scene(running, request):
    return Scene(running, ALL[request.param], (EXAMPLES / f"{request.param}.yml").read_text())


def test_who_is_to_reach_each_other_does(scene):
    wanted = {}
    for one, other in scene.example.reach or combinations(scene.members, 2):
        wanted.setdefault(one, []).append(other)
        wanted.setdefault(other, []).append(one)

    def lost():
        return {sender: lost for sender, receivers in wanted.items() if (lost := scene.lost(sender, *receivers))}

    steps.wait_until("all reach each other", lambda: lost() == {}, 30)


def test_nobody_else_does(scene):
    for one, other in scene.example.apart:
        assert scene.lost(one, other)
        assert scene.lost(other, one)


def test_who_has_no_link_is_told_nothing_of_each_other(scene):
    told = {name: scene.told(name) for name in {*chain(*scene.example.strangers)}}
    for one, other in scene.example.strangers:
        for name, stranger in ((one, other), (other, one)):
            assert scene.keys[stranger] not in told[name]
            assert not any(f"{address}/" in told[name] for address in scene.addresses[stranger])


def test_everybody_is_called_where_the_example_says(scene):
    outside = {name: row["address"] for name, row in scene.hosts.items()} | scene.lab.sites()
    for (who, whom), where in scene.example.called.items():
        assert scene.endpoint(who, whom) == where.format(**outside)


def test_a_plan_finds_nothing_to_do_and_names_who_meets_by_way_of_a_hub(scene):
    done = scene.lab.salt_run("wireguard.plan", "--out=json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["changes"], said["drift"]) == (0, [], [])
    by_way_of = {row["hub"]: row["nodes"] for row in said["relayed"]}
    assert set(by_way_of) == ({"hub1"} if scene.example.relayed else set())
    assert {*chain(*scene.example.relayed)} <= {*by_way_of.get("hub1", ())}
