"""
Where the master keeps things, and one file a verb on them.

Nothing here imports Salt: jobs and events belong to ``control``.
"""
