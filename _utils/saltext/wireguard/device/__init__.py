"""
A view beside a device: the operations that make them equal, and what speaks against these.

Pure: commands are run and devices are read in ``node``.
"""
