"""What stays outside of a default route through an exit node."""

from dataclasses import replace
from unittest.mock import patch

import pytest

from factories import public_key
from saltext.wireguard.formats.wg_quick import render
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.model.view import Peer, View
from saltext.wireguard.node import config_files
from saltext.wireguard.node.local_facts import with_local_facts
from saltext.wireguard.system import files

EXIT = Peer("gw1", public_key("gw1"), ("0.0.0.0/0",), "192.0.2.1:51820")
VIEW = View("wg0", ("10.42.0.2/24",), (EXIT,), network="backbone", port=51820, mtu=1420, via="gw1")
MASTER = ("198.51.100.9", 4506)


@pytest.fixture(autouse=True)
def etc(tmp_path):
    with patch.object(config_files, "CONFIG_DIR", str(tmp_path)):
        yield


def applied(view):
    files.replace(config_files.config_file("wg0"), render(view, PrivateKey("secret"), {}))


def outside(master=None, caller="", view=VIEW):
    return with_local_facts(view, {}, master, caller).bypass_addresses


def test_whoever_gives_a_node_an_exit_by_ssh_can_still_reach_it():
    """A host by salt-ssh answered ssh through the exit from then on, so that nobody could take the exit back."""
    assert outside(caller="198.51.100.7") == ("198.51.100.7",)


def test_a_master_counts_for_more_than_ssh():
    assert outside(MASTER, "198.51.100.7") == (MASTER[0],)


def test_an_exit_that_a_node_has_keeps_what_was_outside_of_it():
    applied(replace(VIEW, bypass_addresses=("198.51.100.7",)))
    assert outside(caller="203.0.113.5") == ("198.51.100.7",)


def test_a_node_that_had_no_exit_before_has_nothing_to_keep():
    applied(replace(VIEW, via=None, peers=(replace(EXIT, allowed_ips=("10.42.0.1/32",)),)))
    assert outside(caller="198.51.100.7") == ("198.51.100.7",)


@pytest.mark.parametrize("caller", ["", "UNKNOWN", "127.0.0.1", "fe80::1%eth0"])
def test_an_address_that_says_nothing_is_passed_over(caller):
    assert outside(caller=caller) == ()


def test_a_node_without_an_exit_has_no_bypass_addresses():
    assert outside(MASTER, "198.51.100.7", replace(VIEW, via=None)) == ()
