"""What the rules of a firewall say about a port. The JSON is that of nft 1.0.6."""

import json

import pytest

from saltext.wireguard.device.firewall import dropping_chains, iptables_drops, iptables_may_accept, may_accept

PORT = 51820
PLACE = {"family": "inet", "table": "filter"}
REJECT = [{"reject": {"type": "icmpx", "expr": "port-unreachable"}}]


def chain(name="input", hook="input", policy="accept"):
    return {"chain": {**PLACE, "name": name, "type": "filter", "hook": hook, "prio": 0, "policy": policy}}


def rule(*steps, of="input"):
    return {"rule": {**PLACE, "chain": of, "expr": [*steps]}}


def dport(right, op="==", protocol="udp"):
    return {"match": {"op": op, "left": {"payload": {"protocol": protocol, "field": "dport"}}, "right": right}}


def ruleset(*objects):
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *objects]})


ESTABLISHED = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}


def test_a_chain_drops_by_its_policy_or_by_its_last_rule():
    """firewalld's chains accept by policy, and reject at their end."""
    by_policy = chain("one", policy="drop")
    by_rule = [chain("two"), rule(ESTABLISHED, {"accept": None}, of="two"), rule(*REJECT, of="two")]
    text = ruleset(
        by_policy, *by_rule, chain("three"), rule(ESTABLISHED, {"drop": None}, of="three"), chain("f", "forward")
    )
    assert dropping_chains(text, "input") == ("inet filter one", "inet filter two")


@pytest.mark.parametrize("step", [ESTABLISHED, {"xt": None}, {"limit": {"rate": 1, "per": "second"}}])
def test_a_last_rule_with_a_condition_drops_some_packets_only(step):
    assert dropping_chains(ruleset(chain(), rule(step, {"drop": None})), "input") == ()


def test_only_chains_of_the_hooks_that_were_asked_for_count():
    text = ruleset(chain(policy="drop"), chain("f", "forward", "drop"), chain("o", "output", "drop"))
    assert dropping_chains(text, "input", "forward") == ("inet filter input", "inet filter f")


@pytest.mark.parametrize(
    "right", [PORT, {"set": [53, PORT]}, {"set": [{"range": [51000, 52000]}]}, {"range": [PORT, PORT]}, "@unknown"]
)
@pytest.mark.parametrize("verdict", [{"accept": None}, {"jump": {"target": "more"}}])
def test_a_rule_that_names_the_port_may_accept_it(right, verdict):
    assert may_accept(ruleset(chain(policy="drop"), rule(dport(right), verdict)), PORT)


@pytest.mark.parametrize(
    "steps",
    [
        (dport(53), {"accept": None}),
        (dport({"set": [53, {"range": [1, 1024]}]}), {"accept": None}),
        (dport(PORT), {"drop": None}),
        (ESTABLISHED, {"accept": None}),
        ({"counter": {"packets": 0, "bytes": 0}}, {"accept": None}),
    ],
)
def test_a_rule_that_does_not_name_it_opens_nothing(steps):
    assert not may_accept(ruleset(chain(policy="drop"), rule(*steps)), PORT)


@pytest.mark.parametrize(("elements", "opens"), [([53, PORT], True), ([53], False)])
def test_the_ports_of_a_named_set_are_looked_up(elements, opens):
    named = {"set": {**PLACE, "name": "ports", "type": "inet_service", "elem": elements}}
    assert may_accept(ruleset(named, rule(dport("@ports"), {"accept": None})), PORT) is opens


@pytest.mark.parametrize(
    "steps",
    [
        (dport(53, op="!="), {"accept": None}),
        ({"xt": {"type": "match", "name": "multiport"}}, {"accept": None}),
        ({"vmap": {"key": {"payload": {"protocol": "udp", "field": "dport"}}, "data": "@verdicts"}},),
        ({"match": {"op": "==", "left": {"concat": [dport(1)["match"]["left"]]}, "right": "@pairs"}}, {"accept": None}),
    ],
)
def test_what_cannot_be_told_is_no_reason_for_a_warning(steps):
    assert may_accept(ruleset(rule(*steps)), PORT)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"nftables": 1}', '{"nftables": [1, {"rule": 2}]}'])
def test_malformed_output_says_nothing(text):
    assert dropping_chains(text, "input") == ()
    assert not may_accept(text, PORT)


UFW = "-P INPUT DROP\n-A INPUT -j ufw-user-input\n-A ufw-user-input -p udp -m udp --dport {} -j ACCEPT\n"


@pytest.mark.parametrize(
    ("rules", "drops", "opens"),
    [
        ("-P INPUT ACCEPT\n", False, False),
        ("-P INPUT DROP\n", True, False),
        ("-P INPUT ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited\n", True, False),
        ("-P INPUT ACCEPT\n-A INPUT -p tcp -j DROP\n", False, False),
        (UFW.format("51820"), True, True),
        (UFW.format("53,51000:52000"), True, True),
        (UFW.format("53,1:1024"), True, False),
        ("-P INPUT DROP\n-A INPUT -p udp --dport 51820 -j DROP\n", True, False),
        ("-P INPUT DROP\n-A INPUT -p tcp --dport 51820 -j ACCEPT\n", True, False),
    ],
)
def test_the_rules_of_old_iptables_are_read_too(rules, drops, opens):
    assert iptables_drops(rules) is drops
    assert iptables_may_accept(rules, PORT) is opens
