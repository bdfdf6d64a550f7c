"""
Mesh, registry and accepted keys, joined: members, views and digests.

Pure: it reads no file, asks nobody, and remembers nothing.
"""
