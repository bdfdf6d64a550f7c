"""
Views as text for other programs, and back.

Writing the files is left to ``node`` and ``control``.
"""
