"""Makes ``factories`` importable in all folders of unit tests, and these independent of how fast the machine is."""

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

with contextlib.suppress(ImportError):
    import hypothesis

    hypothesis.settings.register_profile("whatever the load", deadline=None)
    hypothesis.settings.load_profile("whatever the load")
