"""WireGuard meshes for Salt, as a Python package: where Salt's loader finds the modules, and how to find the states."""

from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"

# `utils` is left out: Salt loads none from a package, and the modules import theirs.
LOADED = ("modules", "states", "beacons", "pillar", "runners", "engines", "output")


def loader_dirs() -> dict[str, list[str]]:
    """
    Return the directories of each kind of Salt module; the entry point ``salt.loader`` in setup.cfg is this function.

    Asked of each package, not derived from this file's place: in an editable installation they are not neighbours.
    """
    return {kind: list(import_module(f"{__name__}.{kind}").__path__) for kind in LOADED}


def file_root() -> str:
    """Return the directory of the states, for ``file_roots``. It has no ``__init__.py``, so it cannot be imported."""
    here = Path(__file__).parent
    installed = here / "fileroot"
    return str(installed if installed.is_dir() else here.parents[2] / "salt")  # the latter when installed editably
