"""Makes ``factories`` importable in all folders of unit tests, and ends the database server that some need."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from databases import close_sessions, remove_server


@pytest.fixture(autouse=True)
def sessions_end_with_their_test():
    yield
    close_sessions()


def pytest_sessionfinish():
    remove_server()


@pytest.fixture(autouse=True)
def mesh_files_are_complete(monkeypatch):
    """The mesh files of most tests are complete as soon as they are written, and nobody has to wait to see that."""
    monkeypatch.setattr("saltext.wireguard.fleet.losses.SETTLE_SECONDS", 0.0)
    monkeypatch.setattr("saltext.wireguard.fleet.losses.SETTLE_SECONDS_FOR_MANY", 0.0)
