"""Operations on the default route through an exit node; see test_exits for the rules and routes themselves."""

from factories import in_words
from saltext.wireguard.device import exits
from saltext.wireguard.device.exits import Policy
from unit.device.views_and_devices import A, applied_by, device, have, operations, peer, view

GATEWAY = peer("gw1", "10.42.0.2/32", "0.0.0.0/0", endpoint=A)
PLAIN = view(peer("gw1", "10.42.0.2/32", endpoint=A), port=51820)
THROUGH = view(GATEWAY, port=51820, via="gw1")
MARK = exits.mark(THROUGH)


def present(wanted=THROUGH):
    """The device and the policy once the view has been applied."""
    peers = [have(each.name, *each.allowed_ips, endpoint=A) for each in wanted.peers]
    return device(*peers, mark=exits.mark(wanted)), Policy.of(wanted)


def changed(wanted, current, policy, applied=None):
    return in_words(operations(wanted, current, {A: A}, applied, policy=policy))


def test_it_is_added_after_everything_else_and_needs_nothing_then():
    steps = operations(THROUGH, device(have("gw1", "10.42.0.2/32", endpoint=A)), {A: A})
    assert [step.argv[2:4] for step in steps[-3:]] == [("route", "replace"), ("rule", "add"), ("rule", "add")]
    current, policy = present()
    assert changed(THROUGH, current, policy) == {}


def test_it_is_removed_before_everything_else():
    current, policy = present()
    first, *_ = operations(PLAIN, current, {A: A}, applied_by(THROUGH), policy=policy)
    assert first.argv[:4] == ("ip", "-4", "rule", "del")
    assert str(first.change.subject) == "IPv4 default route"


def test_another_exit_moves_it_by_the_allowed_ips_alone():
    other = view(
        peer("gw1", "10.42.0.2/32", endpoint=A), peer("gw2", "10.42.0.3/32", "0.0.0.0/0"), port=51820, via="gw2"
    )
    current, policy = present()
    result = changed(other, current, policy, applied_by(THROUGH))
    assert result["IPv4 default route"] == {"old": "via gw1", "new": "via gw2"}
    steps = operations(other, current, {A: A}, applied_by(THROUGH), policy=policy)
    assert not [step for step in steps if step.argv[:1] == ("ip",)]


def test_a_strict_path_filter_is_loosened_first():
    current, policy = present()
    strict = Policy(policy.items, strict=True)
    assert changed(THROUGH, current, strict) == {"reverse path filter": {"old": "strict", "new": "loose"}}
