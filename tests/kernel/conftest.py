"""Machines that boot; kernel and disks are made when a test first needs them."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def made_by(*argv):
    """What one of the scripts made, or found."""
    done = subprocess.run([HERE / argv[0], *argv[1:]], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def kernel():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    return made_by("build")


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def disk(request):
    return made_by("make-disk", request.param)


@pytest.fixture(scope="session")
def boot(kernel, disk):
    """Make a machine in a folder, with what another one has written before; it is on."""
    from machine import Debian

    @contextlib.contextmanager
    def booted(folder, written=None):
        machine = Debian(kernel, disk, folder, written)
        try:
            machine.on()
            yield machine
        finally:
            machine.cut()

    return booted
