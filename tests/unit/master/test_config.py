"""Where the master's things are, by Salt's options."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from saltext.wireguard.errors import ConfigError
from saltext.wireguard.master.master import Master
from saltext.wireguard.master.rotations import renew_secret
from speaking import want_preshared_keys

OPTS = {
    "cachedir": "/var/cache/salt/master",
    "pki_dir": "/etc/salt/pki/master",
    "ext_pillar": [{"git": []}, {"wireguard": {"mesh": "/srv/wireguard/mesh.yml"}}],
}


def test_the_paths_come_from_the_options_of_the_salt_master():
    assert Master.from_opts(OPTS) == Master(
        "/srv/wireguard/mesh.yml",
        "/etc/salt/pki/master/minions",
        "/var/cache/salt/master/wireguard",
        nodegroups={},
        registry_place="/var/cache/salt/master/wireguard/registry.db",
        name=socket.gethostname(),
    )


def with_registry(place):
    return {**OPTS, "ext_pillar": [{"wireguard": {"mesh": "/srv/wireguard/mesh.yml", "registry": place}}]}


def test_a_line_of_the_configuration_says_where_the_registry_is():
    assert Master.from_opts(with_registry("/data/registry.db")).registry.place == "/data/registry.db"
    elsewhere = Master.from_opts(with_registry("postgresql://wg:hidden@db/wg"))
    assert elsewhere.registry.place == "postgresql://wg@db/wg"
    assert "hidden" not in repr(elsewhere)


@pytest.mark.parametrize("place", ["registry.db", "mysql://db/wg", "sdb://vault/registry", 5, ["a"]])
def test_a_registry_that_can_be_nowhere_is_an_error_that_says_what_to_write(place):
    with pytest.raises(ConfigError, match="must be postgresql://USER:PASSWORD@HOST/DATABASE or the absolute path"):
        _ = Master.from_opts(with_registry(place)).registry


def test_nodegroups_are_words_whatever_way_the_configuration_has_them():
    groups = {"text": "L@a,b or c*", "list": ["a", "b"], "odd": 5}
    assert Master.from_opts({**OPTS, "nodegroups": groups}).nodegroups == {
        "text": ("L@a,b", "or", "c*"),
        "list": ("a", "b"),
    }
    assert Master.from_opts({**OPTS, "nodegroups": None}).nodegroups == {}


def test_the_key_directory_of_a_cluster_is_that_of_the_cluster():
    opts = {**OPTS, "cluster_id": "c1", "cluster_pki_dir": "/mnt/pki"}
    assert Master.from_opts(opts).keys_dir == "/mnt/pki/minions"


@pytest.mark.parametrize(("own", "node"), [("node1_master", "node1"), ("node1", "node1")])
def test_a_minion_on_the_masters_machine_is_known_by_the_masters_id(own, node):
    assert Master.from_opts({**OPTS, "id": own}).own_minion == node


@pytest.mark.parametrize(
    "ext_pillar",
    [
        None,
        [],
        {},
        {"wireguard": {"mesh": "x"}},
        ["wireguard"],
        [None, 1],
        [{"wireguard": None}],
        [{"wireguard": {}}],
        [{"wireguard": "mesh.yml"}],
        [{"wireguard": {"mesh": None}}],
        [{"wireguard": {"mesh": ["x"]}}],
    ],
)
def test_options_without_a_mesh_file_are_an_error_that_says_what_to_write(ext_pillar):
    with pytest.raises(ConfigError, match=r"ext_pillar:\n  - wireguard:\n      mesh: /srv/wireguard/mesh.yml"):
        Master.from_opts({**OPTS, "ext_pillar": ext_pillar})


def test_keys_that_are_kept_elsewhere_are_not_taken_for_none():
    with pytest.raises(ConfigError, match=r"'mmap_key' \(keys.cache_driver\)"):
        Master.from_opts({**OPTS, "keys.cache_driver": "mmap_key"})


LONG = "a secret that is long enough for this"


def test_a_secret_of_the_options_is_what_preshared_keys_come_from(master):
    want_preshared_keys(master)
    configured = Master.from_opts({**OPTS, "ext_pillar": [{"wireguard": {"mesh": "x", "preshared_secret": LONG}}]})
    there = replace(master, configured_secret=configured.configured_secret)
    assert there.moment().secret.text == LONG
    assert not Path(master.state_dir, "preshared.secret").exists()
    with pytest.raises(ConfigError, match="change it where it is kept, restart salt-master, and run `salt-run wire"):
        renew_secret(there, "me", "")


@pytest.mark.parametrize(
    ("value", "why"), [("sdb://vault/x", "could not be looked up"), ("c2VjcmV0", "at least 32"), (5, "at least 32")]
)
def test_a_secret_that_was_not_looked_up_or_is_short_is_an_error_that_does_not_show_it(value, why):
    options = {**OPTS, "ext_pillar": [{"wireguard": {"mesh": "x", "preshared_secret": value}}]}
    with pytest.raises(ConfigError, match=why) as caught:
        Master.from_opts(options)
    assert str(value) not in str(caught.value).replace("32", "")
