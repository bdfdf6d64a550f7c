"""Nodes that answer what the master asks them, as far as they are up to it, and the bus between."""

import itertools
from pathlib import Path

from factories import accept, master_of, mesh_text, public_key, registration, salt_key
from fake_bus import FakeBus
from saltext.wireguard.control.reconciler import Reconciler, Request
from saltext.wireguard.master.intake import announce, take_in
from saltext.wireguard.model import statements
from saltext.wireguard.model.live import LiveInterface, LivePeer
from saltext.wireguard.model.probe import Echo, Probe
from saltext.wireguard.model.statements import (
    ABSENT,
    FOLLOWING_TAG,
    REACHED,
    REGISTER_TAG,
    REPORT_TAG,
    Reached,
    Report,
    Rotation,
)
from saltext.wireguard.model.view import peers_from_dict
from saltext.wireguard.node.removal import changed

serials = itertools.count(100)


class Fleet(FakeBus):
    """
    Nodes that apply and report what they are asked for, or register the key that they have, if it is another.

    Those that are ``off`` do it too, and nobody hears of that.
    """

    def __init__(self, path, nodes="ab", own_minion=""):
        super().__init__(nodes, self._answer_job)
        self.mesh = path / "mesh.yml"
        self.master = master_of(path, "'*': {}", own_minion=own_minion)
        self.keys = {}
        self.views = {}  # what the nodes have applied; None for what was taken down
        self.said = []
        self.old = set()  # nodes with modules from before there was wireguard.delta
        self.broken = {}  # node -> its error
        self.cloned = set()  # nodes with a copy that answers first
        self.copied = set()  # the same, with copies that do not know yet that they are
        self.lost = set()  # (from, to): no ping comes back
        self.on_publish = lambda: None
        for node in nodes:
            self.accept(node)
        for node in nodes:
            self.register(node)
        self.reconcile()
        self.forget()

    def forget(self):
        """What was asked and said so far."""
        self.jobs.clear()
        self.said.clear()

    @property
    def functions(self):
        """(function, nodes) of the jobs so far."""
        return [(function, nodes) for function, nodes, _ in self.jobs]

    @property
    def asked(self):
        """The nodes of the jobs so far."""
        return [node for _, nodes, _ in self.jobs for node in nodes]

    def change_everybody(self):
        """Give all nodes another view."""
        self.mesh.write_text(mesh_text("'*': {}", extra="mtu: 1300"))

    def accept(self, node):
        """As a minion with a WireGuard key pair of its own, which nobody knows yet."""
        accept(self.master, node)
        self.minions.add(node)
        self.keys[node] = node

    def register(self, node, **changes):
        self.say(REGISTER_TAG, registration(node, next(serials), public_key=public_key(node), **changes))

    def delete_salt_key(self, node):
        Path(self.master.keys_dir, node).unlink()

    def has(self, node):
        """The peers that a node has by now."""
        return [peer.name for peer in self.views[node].peers]

    def sign(self, statement):
        return statements.sign(statement, salt_key(statement.node).private_pem)

    def say(self, tag, statement):
        event = {"id": statement.node, "data": {"signed": self.sign(statement)}}
        assert take_in(self.master, tag, event) is not None

    def hear(self, signed):
        """What a node signed for itself."""
        assert take_in(self.master, REPORT_TAG, {"data": {"signed": signed}}) is not None

    def announce(self, node):
        statement = Rotation(node, "net", public_key(node), public_key("next"), next(serials))
        assert announce(self.master, self.sign(statement), ("net", node), "alice", "")

    def reconcile(self, **options):
        return Reconciler(self.master, self, self.said.append, Request(timeout=1.0, **options)).run()

    def publish(self, nodes, function, arguments):
        copies = [(node, self._refuse_to_sync()) for node in sorted(self.cloned.intersection(nodes))]
        copies += [(node, {REPORT_TAG: ["refused"]}) for node in sorted(self.copied.intersection(nodes))]
        for node, data in copies:
            self.fire_return(len(self.jobs) + 1, node, {"success": True, "return": data})
        if copies:
            self.pause()
        jid = super().publish(nodes, function, arguments)
        self.on_publish()
        return jid

    def _answer_job(self, node, function, words, keywords):
        known = {
            "state.apply": self._apply,
            "wireguard.sync": self._sync,
            "wireguard.delta": self._delta,
            "wireguard.move": self._move,
            "wireguard.reaches": self._reaches,
            "wireguard.rotate_prepare": self._rotate_prepare,
            "wireguard.rotate_follow": self._rotate_follow,
            "wireguard.rotate_switch": self._rotate_switch,
            "wireguard.rotate_abort": lambda *_: {"aborted": True},
            "wireguard.status": self._status,
            "wireguard.probe": self._probe,
        }
        takes_keywords = function in ("wireguard.probe", "wireguard.reaches", "wireguard.delta")
        return known[function](node, *words, **(keywords if takes_keywords else {}))

    def _reaches(self, node, network, question, targets, by):
        """Addresses are those of nodes; what is lost between two of them is lost, also at the hub in between."""
        names = {str(address): name for (_, name), row in self.rows.items() for address in row.addresses}
        reached = [
            name for name, addresses in targets.items() if self._reaches_any(node, names, addresses, by.get(name))
        ]
        return {"networks": {}, REACHED: [self.sign(Reached(node, network, question, tuple(sorted(reached))))]}

    def _reaches_any(self, node, names, addresses, hub):
        others = {names[address] for address in addresses} - {node}
        ways = [{(node, hub), (hub, other)} if hub else {(node, other)} for other in others]
        return any(not way & self.lost for way in ways)

    def _move(self, node, networks):
        if node in self.old:
            return None
        self.views[node] = self.views[node].moved(networks["net"])
        return self._report(node)

    def _apply(self, node, sls):
        assert sls == "wireguard"
        self.register(node)
        self.views[node] = self.master.moment().views(node).get("net")
        return {"wireguard_|-mesh_|-mesh_|-managed": {"result": True, **self._report(node)}}

    def _status(self, node):
        if node in self.broken:
            return {"networks": {"net": LiveInterface(error=self.broken[node]).to_dict()}}
        peers = {peer.public_key: LivePeer("192.0.2.1:51820", 5, 1, 1) for peer in self.views[node].peers}
        return {"networks": {"net": LiveInterface("wg0", True, 1420, peers).to_dict()}}

    def _probe(self, node, count, network="net"):
        if node in self.broken:
            return {"networks": {network: Probe(error=self.broken[node]).to_dict()}}
        peers = {
            peer.public_key: {4: Echo(count, 0, None) if (node, peer.name) in self.lost else Echo(count, count, 0.5)}
            for peer in self.views[node].peers
        }
        return {"networks": {network: Probe(peers).to_dict()}}

    def _rotate_prepare(self, node, network):
        return self.sign(
            Rotation(node, network, public_key(self.keys[node]), public_key(f"{node} next"), next(serials))
        )

    def _rotate_follow(self, node, *_):
        self.fire(FOLLOWING_TAG, {"id": node})
        return {"moved": False}

    def _rotate_switch(self, node, network):
        if node in self.broken:
            return {"switched": False, "comment": self.broken[node]}
        self.keys[node] = f"{node} next"
        statement = registration(node, next(serials), public_key=public_key(self.keys[node]))
        return {"switched": True, REGISTER_TAG: [self.sign(statement)]}

    def _sync(self, node):
        if node in self.broken:
            return {"networks": {"wg0": {"result": False, "comment": self.broken[node]}}}
        key = public_key(self.keys[node])
        if self.row(node).public_key != key:
            return {REGISTER_TAG: [self.sign(registration(node, next(serials), public_key=key))]}
        self.views[node] = self.master.moment().views(node).get("net")
        return self._report(node)

    def _refuse_to_sync(self):
        return {"networks": {"net": {"result": False, "comment": "this machine is a copy", "clone": True}}}

    def _delta(self, node, drop, peers=None, **_):
        if node in self.old:
            return None
        if self.views[node].public_key in drop.get("net", ()):
            self.views[node] = None
        else:
            described = (peers or {}).get("net", {})
            self.views[node] = changed(self.views[node], drop.get("net", ()), peers_from_dict(described, "a job"))
        return self._report(node)

    def _report(self, node):
        digest = self.views[node].digest if self.views[node] else ABSENT
        return {"networks": {}, REPORT_TAG: [self.sign(Report(node, "net", digest, next(serials)))]}

    @property
    def rows(self):
        return self.master.registry.snapshot().rows

    def row(self, node):
        return self.master.registry.snapshot().rows["net", node]
