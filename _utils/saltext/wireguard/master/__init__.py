"""
The master's files and registry, and a module for each kind of work on them.

Nothing here imports Salt: jobs and events belong to ``control``.
"""
