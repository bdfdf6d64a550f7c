"""Why one node cannot reach another: the cause that follows from what both ends found."""

from dataclasses import replace

import pytest

from factories import public_key
from saltext.wireguard.model.examination import Counters, Examination, Look, Target
from saltext.wireguard.observe.why import Side, diagnose, diagnose_by_hub, evidence

FINE, LOST, NARROW = Target("wg0", True, True), Target("wg0", False, False), Target("wg0", True, False)
ADDRESS = {"a": "10.42.0.1", "b": "10.42.0.2", "hub": "10.42.0.3"}
SESSION, NONE = Counters(5, 1000, 1000), Counters(None, 0, 0)


def look(target, before=SESSION, after=None, **changes):
    found = Look(
        public_key=public_key(target),
        configured="192.0.2.9:51820",
        addresses=("192.0.2.9",),
        endpoint="192.0.2.9:51820",
        path="eth0",
        allowed_ips=(f"{ADDRESS[target]}/32",),
        before=before,
        after=after or replace(before, received=before.received + 500, sent=before.sent + 500),
        targets={ADDRESS[target]: FINE},
    )
    return replace(found, **changes)


def side(node, target, found=None, **changes):
    """An end that reaches the other; ``changes`` are of its look, ``found`` of the node itself."""
    own = Examination("wg0", True, public_key(node), 51820, 1420, looks={target: look(target, **changes)})
    return Side(node, target, (ADDRESS[target],), replace(own, **(found or {})), endpoint="192.0.2.9:51820")


def trying(node, target, sent=148, received=0, **changes):
    """An end whose handshakes and pings get no answer."""
    after = Counters(None, received, sent)
    lost = {"before": NONE, "after": after, "targets": {ADDRESS[target]: LOST}}
    return side(node, target, **{**lost, **changes})


def silent(node, target):
    return Side(node, target, (ADDRESS[target],), None, "no answer", endpoint="192.0.2.9:51820")


def lossy(node, target, **changes):
    """An end with a session, whose pings get no answer."""
    return side(node, target, **{"targets": {ADDRESS[target]: LOST}, **changes})


A, B = side("a", "b"), side("b", "a")
NOWHERE = {"endpoint": None, "configured": None, "addresses": (), "path": None}


def test_all_is_well():
    assert diagnose(A, B).cause == "none"


def test_one_end_is_enough_to_know_that_all_is_well():
    assert diagnose(A, silent("b", "a")).cause == "none"


@pytest.mark.parametrize(
    ("one", "other", "cause", "words"),
    [
        (silent("a", "b"), silent("b", "a"), "no answer", "a: no answer; b: no answer"),
        (lossy("a", "b"), side("b", "a", {"error": "wg0 is not set up"}), "no interface", "b: wg0 is not set up"),
        (lossy("a", "b"), side("b", "a", {"up": False}), "no interface", "wg0 is down"),
        (lossy("a", "b", public_key=None), B, "out of date", "a does not have b as a peer yet"),
        (lossy("a", "b", public_key=public_key("old")), B, "keys differ", "a has another public key of b"),
        (lossy("a", "b", allowed_ips=("10.9.9.9/32",)), B, "allowed ips", "10.42.0.2 is not in the AllowedIPs"),
        (trying("a", "b", before=Counters(-3600, 0, 0)), trying("b", "a"), "clock", "3600 s in the future"),
        (trying("a", "b"), trying("b", "a", 0, 148, **NOWHERE), "one way only", "answers do not come back"),
        (trying("a", "b"), trying("b", "a", 0, 0, **NOWHERE), "blocked", "none reaches b"),
        (trying("a", "b", path=None), trying("b", "a", 0, 0, **NOWHERE), "no route", "a has no route to 192.0.2.9"),
        (side("a", "b", targets={ADDRESS["b"]: Target("eth0", True, True)}), B, "route", "to eth0, not wg0"),
        (side("a", "b", targets={ADDRESS["b"]: Target(None, False, False)}), B, "route", "nowhere"),
        (lossy("a", "b"), B, "filtered", "pings of a get no answer from b"),
        (side("a", "b", targets={ADDRESS["b"]: NARROW}), B, "mtu", "those of 1420 bytes do not"),
    ],
)
def test_each_cause_is_found_whichever_end_is_named_first(one, other, cause, words):
    for pair in ((one, other), (other, one)):
        found = diagnose(*pair)
        assert found.cause == cause
        assert found.remedy
    assert words in diagnose(one, other).because


def test_a_device_that_lacks_a_peer_has_drifted():
    gone = replace(look("b", targets={ADDRESS["b"]: LOST}), before=None, after=None)
    one = replace(A, found=replace(A.found, looks={"b": gone}))
    found = diagnose(one, B)
    assert (found.cause, found.remedy) == ("drift", "`salt a wireguard.sync`")


def test_neither_end_has_an_endpoint():
    one, other = (replace(trying(*names, 0, **NOWHERE), endpoint=None) for names in (("a", "b"), ("b", "a")))
    assert diagnose(one, other).cause == "no endpoint"


def test_a_name_that_does_not_resolve():
    one = trying("a", "b", 0, **{**NOWHERE, "configured": "nowhere.invalid:51820"})
    found = diagnose(one, trying("b", "a", 0, **NOWHERE))
    assert found.cause == "name does not resolve"
    assert found.because == "nowhere.invalid, the endpoint of b, does not resolve on a"


def test_others_see_an_end_elsewhere():
    other = replace(trying("b", "a", 0, **NOWHERE), seen_at=frozenset({"203.0.113.5:51820"}))
    found = diagnose(trying("a", "b"), other)
    assert found.cause == "endpoint differs"
    assert "192.0.2.9:51820, but its packets come from 203.0.113.5:51820" in found.because


def test_a_firewall_that_drops_by_default_is_named():
    other = trying("b", "a", 0, found={"drops": ("inet filter input",)}, **NOWHERE)
    assert "drops by default in inet filter input" in diagnose(trying("a", "b"), other).because


def test_of_a_phone_that_nobody_can_ask_it_is_known_whether_packets_reach_it():
    assert diagnose(trying("a", "b"), silent("b", "a")).cause == "blocked"


def test_one_ip_version_alone():
    both = (ADDRESS["b"], "fd42::2")
    one = replace(side("a", "b", targets={both[0]: FINE, both[1]: LOST}), addresses=both)
    one = replace(
        one, found=replace(one.found, looks={"b": replace(one.look, allowed_ips=("10.42.0.2/32", "fd42::2/128"))})
    )
    found = diagnose(one, B)
    assert (found.cause, found.because) == ("one ip version", "a reaches b, but not by IPv6")


def test_what_nothing_explains_is_said_so():
    one = trying("a", "b", 0, 0)
    assert diagnose(one, trying("b", "a", 0, 0)).cause == "unknown"


# -- by a hub


def by_hub(end_to_end=FINE, forwards=(4, 6), drops=(), leg=FINE):
    """The diagnosis of a and b, which reach each other by way of the hub."""
    hub = {"forwards": forwards, "drops": drops}

    def end(node, target):
        found = look("hub", targets={ADDRESS["hub"]: leg, ADDRESS[target]: end_to_end}, allowed_ips=("10.42.0.0/24",))
        return Examination("wg0", True, public_key(node), 51820, 1420, looks={"hub": found})

    ends = (
        Side("a", "hub", (ADDRESS["b"],), end("a", "b")),
        Side("b", "hub", (ADDRESS["a"],), end("b", "a")),
    )
    legs = [(replace(each, addresses=(ADDRESS["hub"],)), side("hub", each.node, hub)) for each in ends]
    return diagnose_by_hub(ends, legs, "hub")


def test_all_is_well_by_way_of_a_hub():
    assert by_hub().cause == "none"


def test_a_hub_that_does_not_forward():
    found = by_hub(LOST, forwards=(6,))
    assert (found.cause, "IPv4" in found.because) == ("hub does not forward", True)


def test_a_hub_that_filters():
    found = by_hub(LOST, drops=("inet filter forward",))
    assert found.cause == "filtered at the hub"
    assert "inet filter forward" in found.remedy


def test_a_leg_to_the_hub_is_looked_at_first():
    found = by_hub(LOST, leg=LOST)
    assert found.cause == "filtered"
    assert found.because.startswith("the way leads through hub; ")


def test_the_evidence_is_in_sentences_each_of_them_once():
    lines = evidence([A, B, A, silent("b", "a")])
    assert len(lines) == len(set(lines))
    assert "a: wg0, port 51820, MTU 1420; latest handshake with b: 5 s ago" in lines
    assert "a: 10.42.0.2 by wg0 answers" in lines
    assert "b: no answer" in lines
