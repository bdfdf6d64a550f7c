"""What a minion that lies can send to the master, and how the master is to take it."""

import json
import re
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import steps
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report, sign

# Made up for this test: nobody has the private key.
KEY = "bKEaZsQvEI1sLm2s/MXW+j8D3hP9W+BHV4BoGGUt53k="
LOG_LINE = "refused what came as"


@dataclass(frozen=True)
class Forgery:
    """An event, and what the reason begins with for which it is refused."""

    tag: str
    data: Any
    node: str
    reason: str


def forgeries(lab: Any, liar: str, victim: str) -> list[Forgery]:
    """All that ``liar`` may try, most of it in the name of ``victim``."""
    pem = (lab.dir / "hosts" / liar / "etc/salt/pki/minion/minion.pem").read_bytes()
    later = time.time_ns() + 10**12
    registration = Registration(victim, steps.NETWORK, KEY, ("10.66.0.66",), 51820, later)
    report = Report(victim, steps.NETWORK, "0" * 64, later)
    own = replace(registration, node=liar)
    statement = sign(own, pem)
    not_his = f"its signature was not made with the accepted Salt key of {victim}"

    def register(signed: object, node: str, reason: str) -> Forgery:
        return Forgery(REGISTER_TAG, {"signed": signed}, node, reason)

    def signed(registration: Registration, reason: str) -> Forgery:
        return register(sign(registration, pem), registration.node, reason)

    return [
        signed(registration, not_his),
        Forgery(REPORT_TAG, {"signed": sign(report, pem)}, victim, not_his),
        signed(replace(own, node="ghost"), "ghost is not an accepted minion"),
        signed(replace(own, network="other"), "the mesh file has no .*network other"),
        signed(replace(own, public_key=steps.public_key(lab, victim)), "its public key .* is already that of"),
        signed(replace(own, endpoints=("127.0.0.1",)), "its endpoints: 127.0.0.1 cannot be reached from"),
        signed(replace(own, port=99999), "its port: must be a whole number"),
        register({**statement, "statement": statement["statement"].replace(liar, victim)}, victim, not_his),
        register({**statement, "signature": "not base64!"}, liar, "its signature is not base64"),
        Forgery(REPORT_TAG, {"signed": statement}, liar, "it is not a statement of the kind"),
        *[Forgery(REGISTER_TAG, data, "?", reason) for data, reason in _garbage()],
    ]


def _garbage() -> list[tuple[Any, str]]:
    no_statement = "it has no proper statement"
    return [
        ({}, no_statement),
        ({"signed": None}, no_statement),
        ({"signed": [1, 2]}, no_statement),
        ({"signed": {"statement": 5, "signature": 5}}, no_statement),
        ({"signed": {"statement": "x" * 9000, "signature": "eA=="}}, no_statement),
        ({"signed": {"statement": "{}", "signature": "x" * 3000}}, "it has no proper signature"),
        ({"signed": {"statement": "nonsense", "signature": "eA=="}}, "its statement is not JSON"),
        ({"signed": {"statement": "[" * 8000, "signature": "eA=="}}, "its statement is not JSON"),
        ({"signed": {"statement": "[1]", "signature": "eA=="}}, "its statement is not a JSON object"),
        ({"signed": {"statement": "{{ 1 / 0 }}{% raw %}", "signature": "eA=="}}, "its statement is not JSON"),
        ({"signed": {"statement": "'\"\n- x: !!python/name:os\n\u2028", "signature": "eA=="}}, no_statement),
        ({"{{ 1 / 0 }}": "{% endraw %}: ]}'\""}, no_statement),
    ]


def replayed(lab: Any, victim: str) -> Forgery:
    """A registration of the victim that was good once, before it registered anew."""
    old, new = (lab.salt_json(victim, "wireguard.record", steps.NETWORK)[victim] for _ in range(2))
    steps.send_events(lab, victim, [(REGISTER_TAG, {"signed": new})])
    serial = json.loads(new["statement"])["serial"]
    steps.wait_until("the newer record stored", lambda: _is_stored(lab, victim, serial))
    return Forgery(REGISTER_TAG, {"signed": old}, victim, "its serial .* is not newer than")


def _is_stored(lab: Any, node: str, serial: int) -> bool:
    """Whether the master has it: it tells each node the serial of its last registration."""
    return f'"serial": {serial}' in lab.salt_run("wireguard.view", node, "--out=json").stdout


def check(lab: Any, liar: str, victim: str) -> None:
    """Send everything, and see that it is refused, one line in the log each, and that nothing else happens."""
    members = lab.members
    events = [replayed(lab, victim), *forgeries(lab, liar, victim)]
    steps.wait_until("everybody in sync", lambda: steps.in_sync(lab, *members))
    before = _state(lab, members)
    counted = _refusals(lab)
    lines = lab.log("master").count(LOG_LINE)
    steps.send_events(lab, liar, [(event.tag, event.data) for event in events])
    steps.wait_until("all refused", lambda: lab.log("master").count(LOG_LINE) >= lines + len(events))
    new = _refusals(lab) - counted
    for event in events:
        found = [each for each in new if each[0] == event.node and re.match(event.reason, each[1])]
        assert found, f"{event} was not refused so: {new}"
    assert new.total() == len(events)
    assert lab.log("master").count(LOG_LINE) == lines + len(events)
    assert lab.salt_json("*", "test.ping") == dict.fromkeys(members, True)
    assert _state(lab, members) == before


def _refusals(lab: Any) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in steps.refused(lab):
        found[row["node"], row["reason"]] += row["count"]
    return found


def _state(lab: Any, members: list[str]) -> Any:
    rows = {node: {**row, "last_seen": None} for node, row in steps.nodes(lab).items()}
    return rows, {node: steps.configured(lab, node) for node in members}
