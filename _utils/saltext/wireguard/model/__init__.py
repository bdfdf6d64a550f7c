"""
Values that both halves know, the master's and the node's. Each parses or fails, and travels.

Views travel in the pillar, statements in events, answers in the returns of jobs. Files, commands, SQL and decisions
about devices or fleets are left to other rooms.
"""
