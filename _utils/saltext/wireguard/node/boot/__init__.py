"""
Interfaces at boot: by systemd with wg-quick, or by systemd-networkd.

What runs now is left to ``node.converge``.
"""
