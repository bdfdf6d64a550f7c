"""
Makes the sources importable as they are when synced, and undoes what importing Salt does to logging.

Property tests try 40 examples, or 500 with ``--hypothesis-profile=thorough``, however slow the machine is.
"""

import contextlib
import logging
import sys
from pathlib import Path

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
