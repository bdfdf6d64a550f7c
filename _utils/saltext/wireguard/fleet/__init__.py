"""
Members, views and digests, from mesh, registry and accepted keys.

Pure: it reads no file, asks nobody, and remembers nothing.
"""
