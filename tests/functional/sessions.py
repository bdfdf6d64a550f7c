"""Machines with WireGuard, as the benchmark of rotations makes them."""

import itertools
from contextlib import contextmanager

import pytest

from wgmachines.nodes import NodeError, Nodes


@contextmanager
def machines(count, settings=None):
    """So many machines with these settings of the minion; a skip if none can be made."""
    try:
        started = Nodes(count)
    except NodeError as exc:
        pytest.skip(f"machines cannot be made here: {exc}")
    with started:
        for node in started.all:
            node.do("configure", settings or {})
        yield started


@contextmanager
def machines_in_session(count, settings=None):
    """The same with sessions between all."""
    with machines(count, settings) as started:
        started.set_up()
        for one, other in itertools.combinations(started.all, 2):
            started.ping(one, other)
        yield started
