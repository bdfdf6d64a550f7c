"""
Values that both halves know, the master's and the node's: each parses or fails, and travels.

Views travel in the pillar, statements in events, answers in the returns of jobs. Files, commands and SQL are left to
others, and so is every decision about a device or a fleet.
"""
