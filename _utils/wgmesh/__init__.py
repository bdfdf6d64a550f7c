"""
The logic of WireGuard meshes: plain Python, typed, and without Salt.

The Salt modules around it (``_modules/``, ``_states/``, ``_pillar/``, ``_runners/``, ``_engines/``) fetch and write;
this package parses, decides and describes. Of files, it touches only those of the master: the mesh file, accepted keys,
and what is in ``wireguard/`` in its ``cachedir``. It imports only the standard library, PyYAML and cryptography, which
every Salt installation has.
"""

__version__ = "0.1.0"
