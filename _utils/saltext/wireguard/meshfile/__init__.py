"""
What the operator writes: the text of a mesh file, its tree, and the ``Mesh``, or all problems at once.

What nodes claim about themselves is left to ``registry``.
"""
