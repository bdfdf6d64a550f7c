"""
When, and in which order, nodes are asked; the hold and the lock.

How they are asked is left to ``control``, and what they are asked for to ``master``.
"""
