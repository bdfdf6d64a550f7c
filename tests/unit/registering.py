"""Registering in a registry."""

import contextlib
import multiprocessing

import pytest

from factories import membership, network
from saltext.wireguard.errors import RefusedError

FORK = multiprocessing.get_context("fork")
DUAL = "10.42.0.0/24, 'fd42::/64'"


def everybody(*names):
    return {"a", "b", "c", "d", "e", *names}


def register(registry, record, net=None, salt_key=None, members=None):
    return registry.register(
        record,
        salt_key or f"salt key of {record.node}",
        membership(net or network(), everybody() if members is None else members),
    )


def addresses(registry, node="a", net="net"):
    return [str(address) for address in registry.snapshot().rows[net, node].addresses]


def content(registry):
    """All that can be read, without the times."""
    rows = {key: (row.public_key, row.serial, row.addresses) for key, row in registry.snapshot().rows.items()}
    return rows, registry.applied(), [(each.node, each.reason, each.count) for each in registry.audit.refusals()]


@contextlib.contextmanager
def refused_without_a_trace(registry, match):
    before = content(registry), registry.snapshot().generation
    with pytest.raises(RefusedError, match=match):
        yield
    assert (content(registry), registry.snapshot().generation) == before


def run(function, *arguments):
    """In another process, and wait for it."""
    process = FORK.Process(target=function, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0


def whats(registry, node=None):
    return [entry.what for entry in registry.audit.history(node)]
