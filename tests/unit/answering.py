"""Nodes that answer what a reconcile asks them, as far as they are up to it, and the bus between."""

import itertools
from dataclasses import replace
from pathlib import Path

from factories import accept, master_of, mesh_text, public_key, registration, salt_key
from saltext.wireguard.control.reconciler import Reconciler, Request
from saltext.wireguard.master.intake import announce, take_in
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import ABSENT, REGISTER_TAG, REPORT_TAG, Report, Rotation

serials = itertools.count(100)


class Fleet:
    """
    Nodes that apply and report what they are asked for, or register the key that they have, if it is another.

    Those that are ``off`` do it too, and nobody hears of that.
    """

    def __init__(self, path, nodes="ab", own_minion=""):
        self.mesh = path / "mesh.yml"
        self.master = master_of(path, "'*': {}", own_minion=own_minion)
        self.keys = {}
        self.asked = []
        self.jobs = []  # (nodes, arguments)
        self.functions = []  # (function, nodes)
        self.views = {}  # what the nodes have applied; None for what was taken down
        self.said = []
        self.off = set()
        self.old = set()  # nodes with modules from before there was wireguard.drop
        self.broken = {}  # node -> its error
        self.cloned = set()  # nodes with a copy that answers first
        self.copied = set()  # the same, with copies that do not know yet that they are
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
        for each in (self.asked, self.jobs, self.functions, self.said):
            each.clear()

    def change_everybody(self):
        """Give all nodes another view."""
        self.mesh.write_text(mesh_text("'*': {}", extra="mtu: 1300"))

    def accept(self, node):
        """As a minion with a WireGuard key pair of its own, which nobody knows yet."""
        accept(self.master, node)
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

    def announce(self, node):
        statement = Rotation(node, "net", public_key(node), public_key("next"), next(serials))
        assert announce(self.master, self.sign(statement), ("net", node), "alice", "")

    def reconcile(self, **options):
        return Reconciler(self.master, self, self.said.append, Request(timeout=1.0, **options)).run()

    def publish(self, nodes, function, arguments):
        self.asked += sorted(nodes)
        self.jobs.append((sorted(nodes), arguments))
        self.functions.append((function, sorted(nodes)))
        answer = {"wireguard.sync": self._sync, "wireguard.drop": self._drop}[function]
        clones = [(node, self._refuse_to_sync()) for node in sorted(self.cloned.intersection(nodes))]
        clones += [(node, {REPORT_TAG: ["refused"]}) for node in sorted(self.copied.intersection(nodes))]
        for returns in (clones, [(node, answer(node, arguments[0])) for node in sorted(nodes)]):
            self._events += [(f"salt/job/{len(self.jobs)}/ret/{node}", node, data) for node, data in returns]
            self._events.append(None)  # a pause
        self.on_publish()
        return str(len(self.jobs))

    def events(self, _):
        while self._events:
            event = self._events.pop(0)
            if event is None:
                return
            tag, node, data = event
            if node not in self.off:
                yield tag, {"id": node, "success": True, "retcode": 0, "return": data}

    def _sync(self, node, _):
        if node in self.broken:
            return {"networks": {"wg0": {"result": False, "comment": self.broken[node]}}}
        key = public_key(self.keys[node])
        if self.row(node).public_key != key:
            return {REGISTER_TAG: [self.sign(registration(node, next(serials), public_key=key))]}
        self.views[node] = self.master.moment().views(node).get("net")
        return self._report(node)

    def _refuse_to_sync(self):
        return {"networks": {"net": {"result": False, "comment": "this machine is a copy", "clone": True}}}

    def _drop(self, node, peers):
        if node in self.old:
            return "'wireguard.drop' is not available."
        if self.views[node].public_key in peers["net"]:
            self.views[node] = None
        else:
            left = [peer for peer in self.views[node].peers if peer.public_key not in peers["net"]]
            self.views[node] = replace(self.views[node], peers=tuple(left))
        return self._report(node)

    def _report(self, node):
        digest = self.views[node].digest if self.views[node] else ABSENT
        return {"networks": {}, REPORT_TAG: [self.sign(Report(node, "net", digest, next(serials)))]}

    def row(self, node):
        return self.master.registry.snapshot().rows["net", node]
