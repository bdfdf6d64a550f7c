"""
What nodes proved and operators decided: one transaction a change.

Who may be in a network is decided in ``fleet``, and what a mesh file says in ``meshfile``.
"""
