"""
The life of a registry: what honest nodes, a hostile one, a clone, operators, restores and clocks may do to it, in any
order. Whatever they do, nobody loses anything by another's doing, nobody revoked is in a view, and the history has it.
"""

import contextlib
import os
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from factories import accept, mesh_text, public_key, registration, salt_key
from saltext.wireguard.errors import RefusedError, WireguardError
from saltext.wireguard.master.decisions import admit
from saltext.wireguard.master.intake import announce, take_in
from saltext.wireguard.master.master import Master
from saltext.wireguard.master.settling import settle
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report, Rotation
from saltext.wireguard.registry.registry import Registry

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")
stateful = pytest.importorskip("hypothesis.stateful")

HONEST = ("a", "b", "c")
EVIL = "evil"
ALL = (*HONEST, EVIL)
START = 1_800_000_000.0
HOUR = 3600.0

honest = st.sampled_from(HONEST)
anybody = st.sampled_from(ALL)


class Life(stateful.RuleBasedStateMachine):
    """A master with three honest nodes and a hostile one, and what is right to believe of it."""

    def __init__(self):
        super().__init__()
        self._stack = contextlib.ExitStack()
        self.path = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.now = START
        # the master's clock; those of the nodes are right
        self._stack.enter_context(mock.patch("time.time", side_effect=lambda: self.now))
        self._stack.enter_context(mock.patch("time.time_ns", side_effect=self.tick))
        self.serial = int(START * 10**9)
        self.keys = dict.fromkeys(ALL, 0)  # node -> the number of its present key
        self.ports = dict.fromkeys(ALL, 51820)
        self.sent = []  # (tag, signed) of honest nodes, which the hostile one has recorded
        self.revoked = set()
        self.backups = []
        self.made = 0

    def tick(self):
        """No clock stands still."""
        self.now += 0.000_01
        return int(self.now * 10**9)

    def teardown(self):
        self._stack.close()

    @stateful.initialize(policy=st.sampled_from(["rekey: auto", "rekey: manual", "admit: manual"]))
    def begin(self, policy):
        (self.path / "mesh.yml").write_text(mesh_text("'*': {}", extra=policy))
        (self.path / "minions").mkdir()
        self.master = Master(str(self.path / "mesh.yml"), str(self.path / "minions"), str(self.path / "state"))
        for node in ALL:
            accept(self.master, node)
            self.say(REGISTER_TAG, self.registration(node))
            admit(self.master, "net", node, "alice", None)

    # -- what there is

    @property
    def registry(self):
        return Registry(self.master.registry.place)

    def rows(self):
        """What a row says, without what is of no consequence."""
        return {
            node: (row.public_key, row.next_key, row.salt_key, row.endpoints, row.port, row.addresses)
            for (_, node), row in self.registry.snapshot().rows.items()
        }

    def held(self):
        """All that honest nodes have, and what waits of them."""
        snapshot = self.registry.snapshot()
        waiting = {node: each.public_key for (_, node), each in snapshot.waiting.items() if node != EVIL}
        rows = {node: row for node, row in self.rows().items() if node != EVIL}
        return rows, waiting, snapshot.standings

    def key(self, node, ahead=0):
        return public_key(f"{node} {self.keys[node] + ahead}")

    def next_serial(self):
        self.serial += 1
        return self.serial

    def sign(self, statement, signer=None):
        return statements.sign(statement, salt_key(signer or statement.node).private_pem)

    def say(self, tag, statement, signer=None):
        signed = self.sign(statement, signer)
        if statement.node != EVIL and signer is None:
            self.sent.append((tag, signed))
        return take_in(self.master, tag, {"id": EVIL, "data": {"signed": signed}})

    def registration(self, node, **changes):
        fields = {"public_key": self.key(node), "port": self.ports[node], "boot": f"boot of {node}", **changes}
        return registration(node, self.next_serial(), **fields)

    @contextlib.contextmanager
    def harmless(self):
        """A hostile step: nothing of honest nodes is another one afterwards. An operator rotates keys meanwhile."""
        before = self.held()
        with self.recorded({EVIL, "alice"}):
            yield
        assert self.held() == before

    @contextlib.contextmanager
    def recorded(self, authors):
        """A step after which the history has who changed a row: one of these."""
        before, last = self.rows(), max([entry.id for entry in self.registry.audit.history(limit=1)], default=0)
        yield
        after = self.rows()
        entries = [entry for entry in self.registry.audit.history(limit=1000) if entry.id > last]
        changed = {node for node in {*before, *after} if before.get(node, ())[:5] != after.get(node, ())[:5]}
        for node in changed:
            assert {entry.who for entry in entries if entry.node == node} & authors, (node, entries)

    # -- honest nodes

    @stateful.rule(node=honest, what=st.sampled_from(["same", "moved", "new key"]))
    def registers(self, node, what):
        if what == "moved":
            self.ports[node] += 1
        if what == "new key":
            self.keys[node] += 1
        others = {name: row for name, row in self.rows().items() if name != node}
        with self.recorded({node}):
            self.say(REGISTER_TAG, self.registration(node))
        assert {name: row for name, row in self.rows().items() if name != node} == others

    @stateful.rule(node=honest)
    def reports(self, node):
        digests = self.master.moment().unguarded.digests()
        with self.recorded({node}):
            self.say(REPORT_TAG, Report(node, "net", digests.get(("net", node), "absent"), self.next_serial()))

    @stateful.rule(node=honest, finishes=st.booleans())
    def rotates(self, node, finishes):
        statement = Rotation(node, "net", self.key(node), self.key(node, 1), self.next_serial())
        with self.recorded({"alice", "master", node}), contextlib.suppress(RefusedError):
            announce(self.master, self.sign(statement), ("net", node), "alice", "")
            if finishes:
                self.keys[node] += 1
                self.say(REGISTER_TAG, self.registration(node))
            else:
                self.registry.forget_announced("net", node)

    @stateful.rule(node=honest)
    def is_heard_from_a_clone(self, node):
        """A copy with the Salt key and the WireGuard key of the node."""
        row = self.rows().get(node)
        clone = self.registration(node, boot="boot of a clone")
        self.say(REGISTER_TAG, clone)
        if row and clone.public_key == row[0]:
            assert self.rows()[node][:3] == row[:3]

    # -- the hostile one

    @stateful.rule()
    def takes_keys(self):
        """Those that others have, or announced, or will have."""
        for victim in HONEST:
            for ahead in (0, 1):
                with self.harmless():
                    self.say(REGISTER_TAG, self.registration(EVIL, public_key=self.key(victim, ahead)))

    @stateful.rule(number=st.integers(0, 3), boot=st.sampled_from(["one", "two", "three"]))
    def changes_all_the_time(self, number, boot):
        with self.harmless():
            for port in range(12):
                made_up = public_key(f"evil {number} {port % 2}")
                self.say(REGISTER_TAG, self.registration(EVIL, public_key=made_up, port=port + 1, boot=boot))

    @stateful.rule(victim=honest, signer=st.sampled_from([EVIL, "stranger"]))
    def forges(self, victim, signer):
        with self.harmless():
            forged = self.registration(victim, public_key=public_key("forged"))
            assert self.say(REGISTER_TAG, forged, signer=signer) is None
            assert self.say(REPORT_TAG, Report(victim, "net", "forged", self.next_serial()), signer=signer) is None

    @stateful.precondition(lambda self: self.sent)
    @stateful.rule(data=st.data())
    def plays_again(self, data):
        """What was taken in before is old now; what was refused then may not be, and its author did say it."""
        tag, signed = data.draw(st.sampled_from(self.sent[-40:]))
        before = self.rows()
        take_in(self.master, tag, {"id": EVIL, "data": {"signed": signed}})
        for node, row in before.items():
            assert self.rows()[node][0] in {row[0], *(public_key(f"{node} {n}") for n in range(self.keys[node] + 1))}

    @stateful.rule(asked=st.sampled_from([EVIL, *ALL]))
    def announces_keys_of_others(self, asked):
        """When it is asked for its next key, or another is."""
        row = self.rows().get(EVIL)
        present = row[0] if row else self.key(EVIL)
        for following in sorted({self.key(victim, ahead) for victim in ALL for ahead in (0, 1)} - {present}):
            with self.harmless(), contextlib.suppress(RefusedError):
                statement = Rotation(EVIL, "net", present, following, self.next_serial())
                announce(self.master, self.sign(statement), ("net", asked), "alice", "")
                assert asked == EVIL

    @stateful.rule(asked=honest, digest=st.sampled_from(["absent", "x", "y"]), days=st.sampled_from([0, 1, 400, 10**5]))
    def reports_nonsense_and_answers_for_others(self, asked, digest, days):
        with self.harmless():
            serial = min(self.next_serial() + days * 86_400 * 10**9, 2**63 - 1)
            signed = self.sign(Report(EVIL, "net", digest, serial, generation=serial))
            take_in(self.master, REPORT_TAG, {"id": asked, "data": {"signed": signed}}, asked=asked)
            take_in(self.master, REPORT_TAG, {"id": EVIL, "data": {"signed": signed}})

    # -- operators, disks and clocks

    @stateful.rule(node=anybody)
    def is_revoked(self, node):
        before = self.rows()
        self.registry.admissions.revoke("net", node, "alice", "")
        self.revoked.add(node)
        assert self.rows() == before

    @stateful.rule(node=anybody)
    def is_readmitted(self, node):
        before = self.rows()
        self.registry.admissions.readmit("net", node, "alice", "")
        self.revoked.discard(node)
        assert self.rows() == before

    @stateful.rule(node=honest)
    def is_admitted(self, node):
        waiting = self.registry.snapshot().waiting.get(("net", node))
        with self.recorded({"alice"}), contextlib.suppress(RefusedError):
            admit(self.master, "net", node, "alice", None, waiting.public_key if waiting else "")
            self.revoked.discard(node)

    @stateful.rule()
    def settles(self):
        before = self.rows()
        with self.recorded({*ALL}), contextlib.suppress(WireguardError):
            settle(self.master)
        assert self.rows().keys() == before.keys()

    @stateful.rule()
    def makes_a_backup(self):
        if self.registry.exists():
            self.made += 1
            backup = self.path / f"backup {self.made}"
            backup.write_bytes(Path(self.registry.place).read_bytes())
            self.backups.append(backup)

    @stateful.rule(data=st.data())
    def is_put_back(self, data):
        """A backup, or none: a new registry."""
        backup = data.draw(st.sampled_from([None, *self.backups]))
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.registry.place + suffix)
        if backup:
            Path(self.registry.place).write_bytes(backup.read_bytes())

    @stateful.rule(hours=st.sampled_from([-24 * 400, -30, -1, 1, 30, 24 * 400]))
    def is_set(self, hours):
        self.now += hours * HOUR

    @stateful.rule()
    def is_right_again(self):
        self.now = self.serial / 10**9 + 1

    # -- what holds

    @stateful.invariant()
    def nobody_revoked_is_in_a_view(self):
        if not hasattr(self, "master"):
            return
        moment = self.master.moment()
        fleet, rows = moment.unguarded, moment.snapshot.rows
        gone = {rows["net", node].public_key for node in self.revoked if ("net", node) in rows}
        members = {member.node for _, member in fleet.members()}
        assert not members & self.revoked
        for node in members:
            for view in fleet.views(node).values():
                assert not {peer.name for peer in view.peers} & self.revoked
                assert not {peer.public_key for peer in view.peers} & gone

    @stateful.invariant()
    def nobody_has_what_another_has(self):
        if not hasattr(self, "master"):
            return
        rows = self.rows().values()
        keys = [key for row in rows for key in row[:2] if key]
        addresses = [address for row in rows for address in row[5]]
        assert len(keys) == len(set(keys))
        assert len(addresses) == len(set(addresses))

    @stateful.invariant()
    def honest_nodes_have_only_keys_of_their_own(self):
        if not hasattr(self, "master"):
            return
        for node, row in self.rows().items():
            own = {public_key(f"{node} {number}") for number in range(self.keys[node] + 2)}
            assert node == EVIL or row[0] in own
            assert row[2] == salt_key(node).accepted.fingerprint


TestLife = Life.TestCase
TestLife.settings = hypothesis.settings(
    stateful_step_count=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
)
