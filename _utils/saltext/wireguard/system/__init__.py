"""
The only room that touches the operating system: whole files, processes, DNS, key pairs.

Nothing here knows what WireGuard's interfaces, networks or nodes are.
"""
