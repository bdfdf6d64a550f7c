"""A reconcile asks a node, and two machines answer."""

import pytest

from answering import Fleet


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


@pytest.mark.parametrize("kind", ["cloned", "copied"])
def test_the_answer_of_a_clone_is_not_that_of_its_node(fleet, kind):
    """The quicker clone was taken for the node, which was out of date from then on until the next reconcile."""
    setattr(fleet, kind, {"a", "b"})
    fleet.change_everybody()
    result = fleet.reconcile()
    assert (result["asked"], result["confirmed"]) == (["a", "b"], ["a", "b"])
    assert (result["failed"], result["silent"]) == ({}, [])
