"""What people are shown comes from nodes: one on a machine that is made up is here, too."""

from unit.node.conftest import host

__all__ = ["host"]
