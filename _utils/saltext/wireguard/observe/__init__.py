"""
What nodes see of each other, put beside what they should have: pairs, their states, and what follows from them.

Pure: who is asked, and how, is the matter of ``control``.
"""
