"""The minion keys, in each of the caches that Salt has for them: the directory, and mmap_key."""

import pytest

pytest.importorskip("salt.cache.mmap_key", reason="this Salt knows the key directory only")

import salt.cache
import salt.config
import salt.key

from factories import salt_key
from saltext.wireguard.control.key_cache import KeyCache, key_store_of
from saltext.wireguard.errors import ConfigError, PillarError
from saltext.wireguard.master.master import Master
from saltext.wireguard.master.pillar import views_for


def options(path, driver):
    (path / "var/cache/salt/master").mkdir(parents=True)
    mesh = path / "mesh.yml"
    mesh.write_text("networks: {net: {subnets: [10.42.0.0/24], nodes: {'*': {}}}}\n")
    given = {"root_dir": str(path), "keys.cache_driver": driver, "ext_pillar": [{"wireguard": {"mesh": str(mesh)}}]}
    return {**salt.config.apply_master_config(given), "__role": "master"}


@pytest.fixture(params=["localfs_key", "mmap_key"])
def opts(request, tmp_path):
    return options(tmp_path, request.param)


@pytest.fixture
def cache(opts):
    """Salt's own."""
    return salt.cache.Cache(opts, driver=opts["keys.cache_driver"])


def put(cache, node, state, key=None):
    cache.store("keys", node, {"state": state, "pub": salt_key(key or node).public_pem.decode()})


def master(opts):
    return Master.from_opts(opts, key_store_of(opts))


def test_accepted_keys_are_those_that_salt_has_accepted(opts, cache):
    put(cache, "a", "accepted")
    put(cache, "b", "pending")
    put(cache, "c", "rejected")
    assert master(opts).accepted() == {"a": salt_key("a").accepted}
    assert set(master(opts).keys.pending()) == {"b"}


def test_a_key_that_salt_key_accepts_or_deletes_is_seen_at_once(opts, cache):
    put(cache, "a", "pending")
    assert master(opts).accepted() == {}
    salt.key.Key(opts).accept("a")
    assert set(master(opts).accepted()) == {"a"}
    salt.key.Key(opts).delete_key("a")
    assert master(opts).accepted() == {}


def test_a_key_that_was_replaced_is_the_new_one(opts, cache):
    put(cache, "a", "accepted")
    assert master(opts).accepted()["a"] == salt_key("a").accepted
    put(cache, "a", "accepted", key="other")
    assert master(opts).accepted()["a"] == master(opts).salt_keys()["a"] == salt_key("other").accepted


def test_keys_that_have_not_changed_are_the_same_object(opts, cache):
    """Views are computed again for another one."""
    put(cache, "a", "accepted")
    before = master(opts).accepted()
    assert master(opts).accepted() is before


def test_one_key_is_looked_up_by_its_name_alone(opts, cache):
    put(cache, "a", "accepted")
    put(cache, "b", "pending")
    keys = master(opts).salt_keys()
    assert keys["a"] == salt_key("a").accepted
    assert [name in keys for name in ("a", "b", "nobody")] == [True, False, False]
    assert (len(keys), list(keys)) == (1, ["a"])


@pytest.mark.parametrize("name", ["", ".", "..", "../minions/a", "a/../a", "\0", "/etc/passwd"])
def test_no_name_leads_out_of_the_cache(opts, cache, name):
    put(cache, "a", "accepted")
    assert name not in master(opts).salt_keys()


def test_who_is_denied_is_known(opts, cache):
    put(cache, "a", "accepted")
    cache.store("denied_keys", "a", [salt_key("other").public_pem.decode()])
    assert set(master(opts).keys.denied()) == {"a"}


def test_a_member_has_a_pillar_by_each_of_them_and_a_stranger_has_none(opts, cache):
    put(cache, "a", "accepted")
    mesh = opts["ext_pillar"][0]["wireguard"]["mesh"]
    views, _ = views_for(opts, mesh, "a", key_store_of(opts))
    assert set(views) == {"net"}
    assert views_for(opts, mesh, "b", key_store_of(opts)) is None


def test_the_key_directory_is_read_without_salts_cache(tmp_path):
    assert key_store_of(options(tmp_path, "localfs_key")) is None
    assert key_store_of({}) is None  # Salt 3006


@pytest.mark.parametrize("driver", ["localfs", "redis", "there_is_no_such_cache"])
def test_a_cache_that_is_none_for_keys_lets_nobody_in_and_takes_nobody_out(tmp_path, driver):
    """Salt's own `salt-key` does not work with these either."""
    opts = options(tmp_path, driver)
    with pytest.raises(ConfigError, match=rf"'{driver}' \(keys.cache_driver\), which cannot be read"):
        KeyCache(opts).accepted()
    with pytest.raises(PillarError):
        views_for(opts, opts["ext_pillar"][0]["wireguard"]["mesh"], "a", key_store_of(opts))
