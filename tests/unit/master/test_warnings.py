"""What the master says that needs a person."""

import os

from factories import registration
from saltext.wireguard.master.warnings import warnings
from saltext.wireguard.model.statements import Report
from saltext.wireguard.registry.budget import BOOTS
from speaking import says


def test_a_registry_that_is_older_than_the_list_of_denials_is_named_with_whom_it_would_let_in(master):
    """A backup that was put back let revoked nodes in without a word."""
    says(master, registration("a"))
    master.registry.admissions.revoke("net", "a", "alice", "stolen")
    assert warnings(master.moment()) == []
    os.unlink(master.registry.place)
    assert warnings(master.moment()) == [
        "the registry, new or from a backup, lacks the decision of alice about a in network net (revoked: stolen);"
        " it still holds. `salt-run wireguard.revoke a`, `readmit` or `admit` replaces it"
    ]
    assert says(master, registration("a", 2)) is False


def test_what_machines_could_not_have_is_named_once_with_all_nodes_that_it_is_true_of(master):
    for serial, node in enumerate("ab", 1):
        says(master, registration(node))
        says(master, Report(node, "net", "digest", serial, obstacles=("route 10.9.0.0/16 (dev eth0)",)))
    assert warnings(master.moment()) == ["network net: a, b could not have route 10.9.0.0/16 (dev eth0)"]
    says(master, Report("a", "net", "digest", 3))
    assert warnings(master.moment()) == ["network net: b could not have route 10.9.0.0/16 (dev eth0)"]


def test_a_node_that_boots_so_often_that_a_copy_of_it_could_go_unnoticed_is_named(master):
    says(master, registration("a"))
    for number in range(BOOTS.at_once + 1):
        says(master, Report("a", "net", "digest", number + 1, boot=f"boot {number}"))
    assert warnings(master.moment()) == [
        "a has booted 10 times in a short while, or claims so. Until it is quiet for some minutes, further boots are"
        " not noted, and a second machine with its Salt key could go unnoticed: compare `salt a status.uptime` with"
        " that machine's own `uptime`"
    ]
