"""What the master says that needs a person."""

import os

from factories import registration
from saltext.wireguard.master.warnings import warnings
from speaking import says


def test_a_registry_that_is_older_than_the_list_of_denials_is_named_with_whom_it_would_let_in(master):
    """A backup that was put back let revoked nodes in without a word."""
    says(master, registration("a"))
    master.registry.admissions.revoke("net", "a", "alice", "stolen")
    assert warnings(master.moment()) == []
    os.unlink(master.registry.path)
    assert warnings(master.moment()) == [
        "the registry, new or from a backup, lacks what alice decided about a in network net (revoked: stolen);"
        " it still holds. `salt-run wireguard.revoke a`, `readmit` or `admit` decides it anew"
    ]
    assert says(master, registration("a", 2)) is False
