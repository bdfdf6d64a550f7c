"""
What a node does with its own files and devices.

A node knows views, not meshes: mesh file, registry and fleet are the master's.
"""
