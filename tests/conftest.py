"""
Makes the sources importable as they are when synced, and undoes what importing Salt does to logging.

Property tests try 40 examples, or 500 with ``--hypothesis-profile=thorough``, however slow the machine is.
"""

import contextlib
import logging
import sys
import time
from pathlib import Path

import pytest

STARTED = time.monotonic()
BEGUN = pytest.StashKey[set[Path]]()

sys.path.insert(0, str(Path(__file__).parent.parent / "_utils"))

# Salt puts handlers of its own on the root logger when it is imported; pytest closes the streams that they write to.
_before = list(logging.root.handlers)
with contextlib.suppress(ImportError):
    import salt.config  # noqa: F401
for _handler in [handler for handler in logging.root.handlers if handler not in _before]:
    logging.root.removeHandler(_handler)
    _handler.close()

with contextlib.suppress(ImportError):
    import hypothesis

    hypothesis.settings.register_profile("quick", max_examples=40, deadline=None)
    hypothesis.settings.register_profile("thorough", max_examples=500, deadline=None)
    hypothesis.settings.load_profile("quick")


def pytest_addoption(parser):
    parser.addoption(
        "--begin-within", type=float, metavar="SECONDS", help="skip the files whose tests have not begun by then"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Keep the limit, if there is one. A file that has begun is a story that goes on to its end."""
    seconds = item.config.getoption("begin_within")
    begun = item.config.stash.setdefault(BEGUN, set())
    if seconds is not None and time.monotonic() > STARTED + seconds and item.path not in begun:
        pytest.skip(f"not begun within {seconds:g} s")
    begun.add(item.path)
