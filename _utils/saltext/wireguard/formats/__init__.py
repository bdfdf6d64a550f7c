"""
A view as other programs' text, and back.

Files are written in ``node`` and ``control``.
"""
