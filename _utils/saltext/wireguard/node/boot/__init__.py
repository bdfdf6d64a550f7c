"""
What brings interfaces up when the machine boots: systemd with wg-quick, or systemd-networkd.

What runs now is left to ``node.converge``.
"""
