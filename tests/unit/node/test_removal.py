"""What a node makes of its configuration file when others have left is what the master wants of it then."""

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import accepted, mesh, public_key, row, snapshot
from saltext.wireguard.device import rotation
from saltext.wireguard.errors import NodeError
from saltext.wireguard.fleet.fleet import Fleet
from saltext.wireguard.formats.wg_quick import render
from saltext.wireguard.model.device import Device, DevicePeer
from saltext.wireguard.model.keys import PrivateKey, parse_public_key
from saltext.wireguard.model.peer import Peer
from saltext.wireguard.model.view import View
from saltext.wireguard.node import config_files, keys, removal
from saltext.wireguard.system import files
from saltext.wireguard.system.files import read

NAMES = "abcdefg"
PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"


@contextmanager
def node(view, private=None):
    """A node that has applied this view: its key and configuration files. Gives its own public key."""
    with tempfile.TemporaryDirectory() as etc, patch.object(config_files, "CONFIG_DIR", etc):
        own = keys.ensure(config_files.key_file("wg0"))
        private = private or read(config_files.key_file("wg0")).strip()
        files.replace(config_files.config_file("wg0"), render(view, PrivateKey(private), {}))
        yield own


def fleet(rows, members):
    text = ", ".join(f"{name}: {{{settings}}}" for name, settings in members.items())
    return Fleet(mesh(text, peers=PHONE), snapshot(*rows), accepted(*members), 0.0)


def device(handshakes):
    peers = {key: DevicePeer(key, None, frozenset(), at, 0, 0, 0, None) for key, at in handshakes.items()}
    return Device("wg0", True, None, 51820, 1420, frozenset(), frozenset(), peers)


@st.composite
def fleets(draw):
    """Registrations, the mesh file's members before and after some left, and handshakes with all keys there are."""
    rows = []
    for number, name in enumerate(NAMES, 1):
        addresses = [ip_address(f"10.42.0.{number}"), ip_address(f"fd42::{number:x}")][: draw(st.integers(1, 2))]
        next_key = public_key(f"{name} next") if draw(st.booleans()) else None
        endpoints = draw(st.sampled_from([(), (f"192.0.2.{number}",), (f"2001:db8::{number}",)]))
        rows.append(row(name, *addresses, next_key=next_key, endpoints=endpoints))
    names = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    texts = ["", "endpoint: false", "endpoint: {}.example.com", "port: 7"]
    before = {name: draw(st.sampled_from(texts)).format(name) for name in sorted(names)}
    stay = draw(st.sets(st.sampled_from(sorted(before)), min_size=1))
    everybodys = [key for row in rows for key in (row.public_key, row.next_key) if key]
    handshakes = {key: draw(st.integers(0, 3)) for key in everybodys}
    return rows, before, {name: before[name] for name in before if name in stay}, handshakes


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(fleets())
def test_the_view_without_those_who_left_is_the_one_that_the_master_wants_then(made):
    rows, before, after, handshakes = made
    left = [key for row in rows if row.node not in after for key in (row.public_key, row.next_key) if key]
    name = min(after)
    had = fleet(rows, before).views(name)["net"]
    with node(rotation.expand(had, device(handshakes))) as own:
        reduced = removal.last_view("wg0").without_peers(left)
    wanted = replace(fleet(rows, after).views(name)["net"], public_key=own)
    # what does not belong to the digest is in no file
    assert reduced == replace(wanted, serial=0, generation=0, withdrawn=(), offered=None)
    assert reduced.digest == wanted.digest


VIEW = replace(fleet([row("a", ip_address("10.42.0.1")), row("b")], {"a": "", "b": ""}).views("a")["net"])


def test_a_key_that_no_peer_has_changes_nothing():
    with node(VIEW) as own:
        assert removal.last_view("wg0").without_peers([public_key("nobody")]).peers == VIEW.peers
        assert parse_public_key(own) == removal.last_view("wg0").public_key


def test_a_peer_goes_by_its_next_key_too():
    """The row of a node may have forgotten an announcement that this node's view still had."""
    (b,) = [peer for peer in VIEW.peers if peer.name == "b"]
    rotating = replace(VIEW, peers=(replace(b, next_key=public_key("next")),))
    with node(rotation.expand(rotating, None)):
        assert removal.last_view("wg0").without_peers([public_key("next")]).peers == ()


def refusal():
    with pytest.raises(NodeError) as caught:
        removal.last_view("wg0")
    return str(caught.value)


@pytest.mark.parametrize("text", ["", "[Interface]\n", "# Managed by Salt (saltext-wireguard)"])
def test_a_file_that_does_not_tell_is_left_to_a_sync(text):
    with node(VIEW):
        files.replace(config_files.config_file("wg0"), text)
        assert "does not say what was applied last" in refusal()


def test_a_key_that_the_configuration_file_does_not_have_is_left_to_a_sync():
    """The master may not know it: on the device, it would cut the node off until it has registered."""
    with node(VIEW, private=f"{'A' * 42}E="):
        assert "wireguard.sync" in refusal()


def test_a_node_that_switched_to_its_next_key_is_left_to_a_sync():
    with node(VIEW):
        files.replace(config_files.previous_key_file("wg0"), f"{'A' * 42}E=\n")
        assert "the last rotation of wg0 is not over" in refusal()


def test_without_a_key_file_there_is_nothing_to_apply():
    with node(VIEW):
        os.unlink(config_files.key_file("wg0"))
        assert "has disappeared" in refusal()


@pytest.mark.parametrize("kept", [{"preshared_key": "a secret"}, {"kept_keepalive": 25}])
def test_a_peer_with_what_its_pair_had_before_a_takeover_is_not_replaced_without_a_pillar(kept):
    """A job has no secrets, and so would end the sessions of the pair."""
    mine = Peer("b", public_key("b"), ("10.42.0.2/32",), **kept)
    other = Peer("c", public_key("c"), ("10.42.0.3/32",))
    view = View("wg0", ("10.42.0.1/24",), (mine, other), "net")
    with pytest.raises(NodeError, match="keeps them"):
        removal.changed(view, [], [replace(mine, endpoint="192.0.2.2:51820")])
    moved = replace(other, endpoint="192.0.2.3:51820")
    assert removal.changed(view, [], [moved]).peers == (mine, moved)
    assert removal.changed(view, [public_key("b")], []).peers == (other,)
