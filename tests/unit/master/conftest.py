import pytest

from factories import accept, master_of


@pytest.fixture
def master(tmp_path):
    """Two members, a and b; c is no minion, and z not in the mesh file."""
    made = master_of(tmp_path, "a: {}, b: {}, c: {}")
    for name in "abz":
        accept(made, name)
    return made
