import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltext.wireguard.errors import ConfigError
from saltext.wireguard.rollout import staged
from saltext.wireguard.rollout.reconcile import MAX_ASKS, WINDOW
from saltext.wireguard.rollout.staged import Staged, Stages

NODES = ["db1", "web1", "web2", "web3"]
SIX = dict.fromkeys("abcdef", "1")


def parse(canary=None, batch=None, stop_after=None):
    return staged.parse_stages(canary, batch, stop_after, NODES)


def course(**words):
    return Staged(20.0, stages=Stages(**words))


def confirm(walk, wanted, nodes):
    for node in nodes:
        walk.answered(node)
        del wanted[node]


# --- what an operator says -------------------------------------------------------------------------------------------


def test_without_words_there_are_no_steps():
    assert parse() is None


@pytest.mark.parametrize(
    ("canary", "nodes"),
    [
        ("web1", ("web1",)),
        ("web*", ("web1", "web2", "web3")),
        (["web3", "db*"], ("db1", "web3")),
        (["web1", "web*"], ("web1", "web2", "web3")),
    ],
)
def test_a_canary_is_an_id_a_glob_or_a_list(canary, nodes):
    assert parse(canary).canary == nodes


@pytest.mark.parametrize("canary", ["web9", ["web1", "web9"], "web9*", [], "", 9])
def test_a_canary_that_is_nobody_is_an_error(canary):
    with pytest.raises(ConfigError, match=r"canary: no registered node matches .*wireguard.nodes"):
        parse(canary)


@pytest.mark.parametrize(
    ("batch", "total", "size"),
    [
        (10, 120, 10),
        ("10", 120, 10),
        ("10%", 120, 12),
        ("%10", 120, 12),
        ("2.5%", 120, 3),
        ("10%", 19, 1),
        ("10%", 5, 1),
        ("100%", 7, 7),
        (1000, 5000, WINDOW),
        ("50%", 5000, WINDOW),
    ],
)
def test_a_batch_is_a_number_or_a_percentage_of_at_least_one_node(batch, total, size):
    assert parse(batch=batch).size(total) == size


@pytest.mark.parametrize("batch", [0, -1, "0", "0%", "x%", "%", "", "%5%", "1.5", True, "nan%", "1e3", [5]])
def test_a_batch_that_is_none_is_an_error(batch):
    with pytest.raises(ConfigError, match=r"batch: .* is neither a number of nodes from 1 on nor a percentage"):
        parse(batch=batch)


@pytest.mark.parametrize("stop_after", [0, -1, "x", True, 1.5])
def test_a_limit_that_is_none_is_an_error(stop_after):
    with pytest.raises(ConfigError, match=r"stop_after: .* is not a number of nodes from 1 on"):
        parse("web1", stop_after=stop_after)


def test_a_limit_without_steps_is_an_error():
    with pytest.raises(ConfigError, match="stop_after needs canary or batch"):
        parse(stop_after=2)


def test_one_failure_is_the_limit_unless_another_is_given():
    assert parse("web1").stop_after == 1
    assert parse("web1", stop_after=3).stop_after == 3


# --- the way ---------------------------------------------------------------------------------------------------------


def test_the_canary_goes_alone_and_the_others_follow_in_batches():
    walk, wanted = course(canary=("c",), batch=2), dict(SIX)
    taken = []
    for now in range(5):
        nodes = walk.next(wanted, float(now))
        taken.append(nodes)
        confirm(walk, wanted, nodes)
    assert taken == [["c"], ["a", "b"], ["d", "e"], ["f"], []]
    assert walk.stopped is None


def test_with_a_batch_of_none_only_the_canary_goes():
    walk, wanted = Staged(20.0, stages=parse("web1", 0)), dict.fromkeys(NODES, "1")
    assert walk.next(wanted, 0.0) == ["web1"]
    assert not walk.is_over
    confirm(walk, wanted, ["web1"])
    assert walk.next(wanted, 1.0) == []
    assert (walk.is_over, walk.stopped) == (True, None)
    assert walk.progress == "canary web1 ok: 1 of 4 nodes have it, 0 failed, 0 silent"
    del wanted["db1"]
    assert walk.next(wanted, 2.0) == []


def test_a_canary_that_fails_stops_it_also_with_a_batch_of_none():
    walk, wanted = Staged(20.0, stages=parse("web1", "0")), dict.fromkeys(NODES, "1")
    walk.next(wanted, 0.0)
    walk.answered("web1", "no")
    assert walk.next(wanted, 1.0) == []
    assert walk.stopped == "1 failed, 0 silent; 3 not asked"


def test_a_batch_begins_when_the_one_before_is_through():
    walk, wanted = course(batch=2), dict(SIX)
    assert walk.next(wanted, 0.0) == ["a", "b"]
    confirm(walk, wanted, "a")
    assert walk.next(wanted, 1.0) == []
    confirm(walk, wanted, "b")
    assert walk.next(wanted, 2.0) == ["c", "d"]


def test_a_canary_alone_is_followed_by_all_others():
    walk, wanted = course(canary=("c",)), dict(SIX)
    confirm(walk, wanted, walk.next(wanted, 0.0))
    assert walk.next(wanted, 1.0) == ["a", "b", "d", "e", "f"]


def test_several_canaries_go_together():
    assert course(canary=("a", "f"), batch=1).next(SIX, 0.0) == ["a", "f"]


def test_nodes_that_come_last_have_batches_of_their_own_unless_they_are_canaries():
    walk, wanted = course(canary=("b",), batch=3), dict(SIX)
    taken = []
    for now in range(4):
        nodes = walk.next(wanted, float(now), frozenset("abc"))
        taken.append(nodes)
        confirm(walk, wanted, nodes)
    assert taken == [["b"], ["d", "e", "f"], ["a", "c"], []]


def test_a_canary_that_failed_stops_it_whatever_the_limit_is():
    walk = course(canary=("c",), stop_after=5)
    walk.next(SIX, 0.0)
    walk.answered("c", "no wg")
    assert walk.next(SIX, 1.0) == []
    assert walk.stopped == "1 failed, 0 silent; 5 not asked"
    assert walk.progress == "canary c not ok: 0 of 6 nodes have it, 1 failed, 0 silent"


def test_a_canary_that_stays_silent_stops_it():
    walk = course(canary=("c",))
    walk.next(SIX, 0.0)
    assert walk.next(SIX, 20.0) == []
    assert walk.stopped == "0 failed, 1 silent; 5 not asked"


def test_an_answer_without_a_confirmation_is_no_success():
    """A return can be forged, and a node that registers a new key has not applied anything."""
    walk = course(canary=("c",))
    walk.next(SIX, 0.0)
    walk.answered("c")
    assert walk.next(SIX, 1.0) == []
    assert walk.stopped


def test_nodes_that_failed_stop_it_when_they_are_as_many_as_the_limit():
    walk, wanted = course(batch=2, stop_after=2), dict(SIX)
    walk.next(wanted, 0.0)
    walk.answered("a", "no wg")
    confirm(walk, wanted, "b")
    assert walk.next(wanted, 1.0) == ["c", "d"]
    confirm(walk, wanted, "c")
    assert walk.next(wanted, 21.0) == []
    assert walk.stopped == "1 failed, 1 silent; 2 not asked"


def test_it_waits_for_the_whole_batch_before_it_stops():
    walk = course(batch=2)
    walk.next(SIX, 0.0)
    walk.answered("a", "no wg")
    assert walk.next(SIX, 1.0) == []
    assert walk.stopped is None
    assert walk.waiting(1.0) == ["b"]


def test_nothing_is_stopped_when_all_were_asked():
    walk = course(batch=6)
    walk.next(SIX, 0.0)
    assert walk.next(SIX, 20.0) == []
    assert walk.stopped is None
    assert walk.progress == "batch 1 of 1: 0 of 6 nodes have it, 0 failed, 6 silent"


def test_nobody_is_asked_again_after_it_stopped():
    walk = course(canary=("c",))
    walk.next(SIX, 0.0)
    walk.answered("c", "no wg")
    walk.next(SIX, 1.0)
    assert walk.next(dict.fromkeys("abcdef", "2"), 2.0) == []


def test_a_canary_in_sync_is_said_and_the_others_go():
    walk = course(canary=("x",), batch=2)
    assert walk.next(SIX, 0.0) == ["a", "b"]
    assert walk.progress == "canary x in sync already"


def test_a_way_without_anybody_to_ask_is_over():
    walk = course(canary=("x",), batch=2)
    assert walk.next({}, 0.0) == []
    assert (walk.waiting(0.0), walk.stopped) == ([], None)


def test_progress_counts_batches_and_nodes():
    walk, wanted = course(canary=("a",), batch=2, stop_after=9), dict(SIX)
    confirm(walk, wanted, walk.next(wanted, 0.0))
    walk.next(wanted, 1.0)
    assert walk.progress == "canary a ok: 1 of 6 nodes have it, 0 failed, 0 silent"
    walk.answered("b", "no wg")
    confirm(walk, wanted, "c")
    walk.next(wanted, 2.0)
    assert walk.progress == "canary a ok; batch 1 of 3: 2 of 6 nodes have it, 1 failed, 0 silent"


# --- changes on the way ----------------------------------------------------------------------------------------------


def test_a_node_whose_view_changes_after_its_step_is_asked_again_in_the_place_of_another():
    walk, wanted = course(batch=2), dict(SIX)
    confirm(walk, wanted, walk.next(wanted, 0.0))
    assert walk.next(wanted, 1.0) == ["c", "d"]
    wanted["a"] = "2"
    assert walk.next(wanted, 2.0) == []
    walk.answered("c")
    assert walk.next(wanted, 3.0) == ["a"]


def test_a_node_that_comes_in_the_middle_has_its_turn_with_the_others():
    walk, wanted = course(batch=4), dict(SIX)
    confirm(walk, wanted, walk.next(wanted, 0.0))
    wanted["aa"] = "1"
    assert walk.next(wanted, 1.0) == ["aa", "e", "f"]


def test_changes_without_end_do_not_keep_a_step_from_its_end():
    walk = course(canary=("a",))
    for now in range(2 * MAX_ASKS):
        for node in walk.next({"a": str(now), "b": "1"}, float(now)):
            walk.answered(node)
    assert walk.stopped == "0 failed, 1 silent; 1 not asked"


@st.composite
def stories(draw):
    """A fleet, an operator's words, how each node answers, and what changes when."""
    nodes = [f"n{number}" for number in range(draw(st.integers(1, 14)))]
    some_nodes = st.sets(st.sampled_from(nodes))
    words = Stages(
        canary=tuple(sorted(draw(st.sets(st.sampled_from(nodes), max_size=3)))),
        batch=draw(st.integers(1, 6)),
        stop_after=draw(st.integers(1, 4)),
    )
    answers = {node: draw(st.sampled_from(["ok", "ok", "ok", "failed", "silent"])) for node in nodes}
    changes = draw(st.dictionaries(st.integers(1, 40), some_nodes, max_size=4))
    return nodes, words, frozenset(draw(some_nodes)), answers, changes


@given(stories())
def test_whatever_happens_the_order_is_kept_and_it_ends(story):
    nodes, words, last, answers, changes = story
    walk = Staged(5.0, stages=words)
    wanted = dict.fromkeys(nodes, "0")
    asked = []
    for moment in itertools.count():
        assert moment < 2000, "it hangs"
        wanted.update(dict.fromkeys(changes.get(moment, ()), str(moment)))
        missing = set(wanted) - set(asked)
        bad = set(asked) & set(wanted) - set(walk.waiting(float(moment)))
        now = walk.next(wanted, float(moment), last)
        first = set(now) - set(asked)
        busy = walk.waiting(float(moment))
        if not busy:
            break
        assert len(busy) <= words.batch or set(busy) <= set(words.canary)
        assert first <= set(words.canary) or not missing & set(words.canary)  # the canary goes alone
        assert not (first - set(words.canary)) & last or missing <= last  # those that come last are what is left
        if first and not changes:
            assert len(bad) < words.stop_after
            assert not bad & set(words.canary)
        asked += now
        for node in busy[: 1 + moment % 3]:
            if answers[node] != "silent":
                walk.answered(node, "no wg" if answers[node] == "failed" else None)
            if answers[node] == "ok":
                wanted.pop(node, None)
    assert bool(walk.stopped) == bool(set(wanted) - set(asked))
