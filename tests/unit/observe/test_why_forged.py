"""Whatever a node returns, a diagnosis comes of it: returns can be forged, and odd ones are nobody's traceback."""

import pytest

pytest.importorskip("hypothesis", reason="the property test needs hypothesis")

from hypothesis import given
from hypothesis import strategies as st

from factories import public_key
from saltext.wireguard.model.examination import Examination
from saltext.wireguard.observe.why import Side, diagnose, diagnose_by_hub, evidence

ADDRESSES = ["10.42.0.1", "fd42::1"]
TEXTS = st.sampled_from(["", "192.0.2.1:51820", "[fe80::1%eth0]:51820", "no endpoint", ":", "[", "x" * 253, "\x1b[2J"])
NUMBERS = st.one_of(st.integers(-(2**64), 2**64), st.none(), st.booleans(), st.floats(), TEXTS)
COUNTERS = st.one_of(
    st.none(), st.fixed_dictionaries({"received": NUMBERS, "sent": NUMBERS}, optional={"age": NUMBERS})
)
TARGETS = st.dictionaries(
    st.sampled_from([*ADDRESSES, "nonsense"]),
    st.fixed_dictionaries({"small": st.booleans(), "full": st.booleans()}, optional={"device": TEXTS}),
)
LOOKS = st.fixed_dictionaries(
    {},
    optional={
        "public_key": st.sampled_from([public_key("a"), public_key("b"), "no key"]),
        "configured": st.sampled_from(["192.0.2.1:51820", "a.example:51820", "no endpoint"]),
        "addresses": st.lists(TEXTS, max_size=2),
        "endpoint": TEXTS,
        "path": TEXTS,
        "allowed_ips": st.lists(st.sampled_from(["10.42.0.1/32", "::/0", "10.42.0.1/24"]), max_size=2),
        "before": COUNTERS,
        "after": COUNTERS,
        "targets": TARGETS,
    },
)
RETURNS = st.one_of(
    st.none(),
    st.fixed_dictionaries({"result": st.just(False), "comment": st.one_of(st.none(), TEXTS)}),
    st.fixed_dictionaries(
        {"interface": st.just("wg0"), "up": st.booleans(), "looks": st.dictionaries(st.just("peer"), LOOKS)},
        optional={"drops": st.lists(TEXTS, max_size=2), "forwards": st.lists(st.sampled_from([4, 6]), max_size=2)},
    ),
)


def side(node, returned):
    found = None if returned is None else Examination.from_dict(returned)
    return Side(node, "peer", tuple(ADDRESSES), found, "no answer")


@given(RETURNS, RETURNS)
def test_any_two_returns_have_a_diagnosis_in_printable_words(one, other):
    """An endpoint that is none was a traceback on the master."""
    ends = side("a", one), side("b", other)
    for found in (diagnose(*ends), diagnose_by_hub(ends, [ends, ends[::-1]], "hub")):
        assert found.cause
        assert found.because.isprintable()
        assert found.remedy.isprintable()
    assert all(line.isprintable() for line in evidence(ends))
