from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from saltext.wireguard.model.peer_set import PeerSet

DIGESTS = st.sets(st.integers(0, 600).map(lambda number: sha256(b"%d" % number).digest()), max_size=300)


@given(DIGESTS, DIGESTS)
def test_two_sets_have_the_same_hashes_if_they_are_the_same(one, other):
    assert (PeerSet.of(one).hashes == PeerSet.of(sorted(other)).hashes) == (one == other)


@given(DIGESTS, DIGESTS, DIGESTS)
def test_a_set_that_was_changed_is_the_one_that_is_made_of_the_rest(digests, gone, new):
    before = PeerSet.of(digests)
    assert before.changed(gone, new).hashes == PeerSet.of((digests - gone) | new).hashes
    assert before.hashes == PeerSet.of(digests).hashes


@given(DIGESTS, DIGESTS)
def test_a_set_is_known_without_any_of_its_digests_before_and_after_a_change(digests, new):
    before = PeerSet.of(digests)
    for known in (before, before.changed((), new), before):
        for digest in digests:
            rest = (digests | new if known is not before else digests) - {digest}
            assert known.hashes_without(digest) == PeerSet.of(rest).hashes


def test_an_empty_set_has_no_hashes():
    assert PeerSet.of([]).hashes == b""
