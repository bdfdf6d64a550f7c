"""What a change is about: typed, and in words that say one thing only."""

import itertools

import pytest

from saltext.wireguard.model.changes import Change, Kind, Subject, as_salt, united

# Names that a minion, an external peer or an interface can have, and one file and service of each.
NAMES = [*(kind.value.replace(" ", "") for kind in Kind), "wg0", "web1", "IPv4"]
WITHOUT_NAME = (Kind.DEVICE, Kind.PRIVATE_KEY, Kind.LISTEN_PORT, Kind.MARK, Kind.MTU, Kind.LINK, Kind.PATH_FILTER)


def possible():
    """Every subject that there can be with these names."""
    for kind, name in itertools.product(Kind, NAMES):
        if kind in (*WITHOUT_NAME, Kind.HOST_NAMES):
            yield Subject(kind)
        elif kind in (Kind.FORWARDING, Kind.DEFAULT_ROUTE):
            yield from (Subject(kind, "IPv4"), Subject(kind, "IPv6"))
        elif kind == Kind.FILE:
            yield Subject(kind, f"/etc/wireguard/{name}.conf")
        elif kind == Kind.SERVICE:
            yield Subject(kind, f"wg-quick@{name}")
        else:
            yield Subject(kind, name)


def test_no_two_subjects_have_the_same_words():
    """An interface called `mtu` was taken for its MTU, and a newcomer called `mtu` for a change of everybody's."""
    subjects = set(possible())
    assert len({str(subject) for subject in subjects}) == len(subjects)


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (Subject(Kind.MTU), "mtu"),
        (Subject(Kind.PEER, "mtu"), "peer mtu"),
        (Subject(Kind.INTERFACE, "mtu"), "interface mtu"),
        (Subject(Kind.ROUTE, "10.9.0.0/24"), "route 10.9.0.0/24"),
        (Subject(Kind.INTERFACE, "route"), "interface route"),
        (Subject(Kind.PEER, "link"), "peer link"),
        (Subject(Kind.DEFAULT_ROUTE, "IPv6"), "IPv6 default route"),
        (Subject(Kind.BYPASS, "UDP port 51821"), "outside the tunnel: UDP port 51821"),
        (Subject(Kind.FORWARDING, "IPv4"), "IPv4 forwarding"),
        (Subject(Kind.FILE, "/etc/wireguard/wg0.conf"), "/etc/wireguard/wg0.conf"),
        (Subject(Kind.SERVICE, "wg-quick@wg0"), "wg-quick@wg0"),
    ],
)
def test_the_words_are_what_people_call_it(subject, words):
    assert str(subject) == words


def test_several_changes_of_one_subject_are_united_and_those_of_nothing_left_out():
    gone, come = Change(Kind.PEER, "a", {"public_key": "A"}, None), Change(Kind.PEER, "a", None, {"public_key": "B"})
    step = Change(Kind.ADDRESS, "10.42.0.1/24", None, None)
    (both,) = united([step, come, gone])
    assert both == Change(Kind.PEER, "a", {"public_key": "A"}, {"public_key": "B"})
    assert as_salt([both]) == {"peer a": {"old": {"public_key": "A"}, "new": {"public_key": "B"}}}
