"""Nodes that answer what a reconcile asks them, as far as they are up to it, and the bus between."""

import itertools

from factories import mesh_text, public_key, registration, salt_key
from wgcontrol.round import Round
from wgmesh import record
from wgmesh.master import Master
from wgmesh.record import ABSENT, REGISTER_TAG, REPORT_TAG, Report, Rotation

serials = itertools.count(100)


class Fleet:
    """Nodes that apply and report what they are asked for, or register the key that they have, if it is another."""

    def __init__(self, path, nodes="ab", own_minion=""):
        self.mesh = path / "mesh.yml"
        self.mesh.write_text(mesh_text("'*': {}"))
        self._minions = path / "minions"
        self._minions.mkdir()
        self.master = Master(str(self.mesh), str(self._minions), str(path / "state"), own_minion)
        self.keys = {}
        self.asked = []
        self.jobs = []  # (nodes, arguments)
        self.said = []
        self.off = set()
        self.broken = {}  # node -> its error
        self.on_publish = lambda: None
        self._events = []
        for node in nodes:
            self.accept(node)
        for node in nodes:
            self.register(node)
        self.reconcile()
        self.forget()

    def forget(self):
        """What was asked and said so far."""
        for each in (self.asked, self.jobs, self.said):
            each.clear()

    def change_everybody(self):
        """Give all nodes another view."""
        self.mesh.write_text(mesh_text("'*': {}", extra="mtu: 1300"))

    def accept(self, node):
        """As a minion with a WireGuard key pair of its own, which nobody knows yet."""
        (self._minions / node).write_bytes(salt_key(node).public_pem)
        self.keys[node] = node

    def register(self, node):
        self.say(REGISTER_TAG, registration(node, next(serials), public_key=public_key(node)))

    def sign(self, statement):
        return record.sign(statement, salt_key(statement.node).private_pem)

    def say(self, tag, statement):
        assert self.master.hear(tag, {"id": statement.node, "data": {"signed": self.sign(statement)}})

    def announce(self, node):
        statement = Rotation(node, "net", public_key(node), public_key("next"), next(serials))
        assert self.master.announce(self.sign(statement), "alice", "")

    def reconcile(self, **options):
        return Round(self.master, self, [], 0.3, self.said.append, **options).run()

    def publish(self, nodes, function, arguments):
        self.asked += sorted(nodes)
        self.jobs.append((sorted(nodes), arguments))
        self._events += [(f"salt/job/1/ret/{node}", node) for node in sorted(nodes) if node not in self.off]
        assert function == "wireguard.sync"
        self.on_publish()
        return "1"

    def events(self, _):
        while self._events:
            tag, node = self._events.pop(0)
            yield tag, {"id": node, "success": True, "retcode": 0, "return": {"networks": {}, **self._sync(node)}}

    def _sync(self, node):
        if node in self.broken:
            return {"networks": {"wg0": {"result": False, "comment": self.broken[node]}}}
        key = public_key(self.keys[node])
        if self.master.registry.snapshot().rows["net", node].public_key != key:
            return {REGISTER_TAG: [self.sign(registration(node, next(serials), public_key=key))]}
        digest = self.master.fleet().digests().get(("net", node), ABSENT)
        return {REPORT_TAG: [self.sign(Report(node, "net", digest, next(serials)))]}

    def row(self, node):
        return self.master.registry.snapshot().rows["net", node]
