"""
The only room that touches the operating system: whole files, processes, DNS, key pairs.

Nothing here knows about WireGuard's interfaces, networks or nodes.
"""
