"""
What the master does with its minions, by Salt jobs and events: reconciles and rotations.

The logic is in ``wgmesh``; this package asks nodes, listens to them, and passes on what they say.
"""
