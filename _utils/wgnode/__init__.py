"""
What a node does with its own files and devices, without Salt: keys, applying a view, its side of a key rotation.

What should be is worked out by ``wgmesh``; this package reads the machine, runs ``wg`` and ``ip``, and writes files.
"""
