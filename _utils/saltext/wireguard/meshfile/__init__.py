"""
The operator's words: the text of a mesh file, its tree, and the ``Mesh``, or every problem at once.

What nodes say of themselves is left to ``registry``.
"""
