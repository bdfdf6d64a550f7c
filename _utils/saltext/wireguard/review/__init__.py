"""
Lint and plan: what is wrong with a mesh, and what it would change.

Pure: ``control`` asks nodes and looks up names.
"""
