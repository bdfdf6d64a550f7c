"""
What is wrong with a mesh, or would follow from it: lint and plan.

Pure. Nodes are asked, and names looked up, in ``control``.
"""
