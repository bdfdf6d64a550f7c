"""
Computes members, views and digests from mesh, registry and accepted keys.

Pure: it reads no files, and no earlier state counts.
"""
