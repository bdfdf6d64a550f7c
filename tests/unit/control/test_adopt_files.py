"""A network is read from files alone, whichever tool keeps them; and its private keys stay where they are."""

import itertools
import time

import pytest

from factories import public_key
from saltext.wireguard.adopt.networks import join
from saltext.wireguard.adopt.proposal import propose
from saltext.wireguard.adopt.sources import stand_in
from saltext.wireguard.control import adopt_files
from saltext.wireguard.errors import ConfigError
from unit.adopt.living import Machine, link, text

PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="


def machines(count):
    found = [Machine(f"web{n}", f"10.42.0.{n}", f"192.0.2.{n}:51820") for n in range(1, count + 1)]
    for one, other in itertools.combinations(found, 2):
        link(one, other)
    return found


def write(folder, path, content):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def without_key(machine):
    return text(machine).replace("PrivateKey = (its private key)\n", "")


@pytest.mark.parametrize("place", ["{}.conf", "{}/wg0.conf", "{}/etc/wireguard/wg0.conf"])
def test_a_directory_of_wg_quick_files(tmp_path, place):
    made = machines(3)
    for each in made:
        write(tmp_path, place.format(each.name), without_key(each))
    found = adopt_files.read(str(tmp_path))
    assert {host: each["wg0"].public_key for host, each in found.items()} == {
        each.name: public_key(each.name) for each in made
    }
    assert propose(join(found), found, []).differences == ()


def test_the_public_key_follows_from_the_private_one_which_gets_no_further(tmp_path):
    (machine,) = machines(1)
    write(tmp_path, "web1.conf", text(machine).replace("(its private key)", PRIVATE))
    found = adopt_files.read(str(tmp_path))["web1"]["wg0"]
    assert found.public_key not in (None, stand_in("web1"))
    assert PRIVATE not in repr(found)
    write(tmp_path, "web1.conf", text(machine).replace("(its private key)", "nonsense"))
    assert "its private key is none" in adopt_files.read(str(tmp_path))["web1"]["wg0"].problems


def test_fifty_nodes_from_files_take_less_than_five_seconds(tmp_path):
    for each in machines(50):
        write(tmp_path, f"{each.name}.conf", without_key(each))
    started = time.monotonic()
    found = adopt_files.read(str(tmp_path))
    assert propose(join(found), found, []).differences == ()
    assert time.monotonic() - started < 5


def test_a_table_of_wg_meshconf(tmp_path):
    head = "Name,Address,Endpoint,AllowedIPs,ListenPort,PersistentKeepalive,PrivateKey\n"
    write(tmp_path, "database.csv", head + "a,10.1.0.1/16,a.example.com,,51820,,\nb,10.1.0.2/16,,,51820,25,\n")
    proposal = propose(join(adopt_files.read(str(tmp_path / "database.csv"))), "ab", [])
    assert "a: {addresses: [10.1.0.1], endpoint: a.example.com}" in proposal.text
    assert proposal.differences == ()
    write(tmp_path, "other.csv", "x\n1\n")
    with pytest.raises(ConfigError, match="no table of wg-meshconf"):
        adopt_files.read(str(tmp_path / "other.csv"))


def test_pillars_of_a_formula(tmp_path):
    one, other = public_key("web1"), public_key("web2")
    for host, key, address, peer in (("web1", other, 1, "web2"), ("web2", one, 2, "web1")):
        interface = f"Interface: {{Address: 10.0.0.{address}/24, ListenPort: 51820}}"
        peers = (
            f"Peers: {{{peer}: {{PublicKey: {key}, AllowedIPs: 10.0.0.{3 - address}/32, Endpoint: '{peer}:51820'}}}}"
        )
        write(tmp_path, f"{host}.sls", f"wireguard:\n  interfaces:\n    wg0:\n      {interface}\n      {peers}\n")
    proposal = propose(join(adopt_files.read(str(tmp_path))), ["web1", "web2"], [])
    assert "web1: {addresses: [10.0.0.1], endpoint: web1}" in proposal.text
    assert proposal.differences == ()


def test_an_inventory_of_ansible_with_variables_of_groups_and_hosts(tmp_path):
    write(
        tmp_path, "hosts.yml", "all:\n  children:\n    vpn:\n      hosts: {a: , b: {wireguard_address: 10.8.0.2/24}}\n"
    )
    write(tmp_path, "group_vars/vpn.yml", "wireguard_port: 4500\nwireguard_interface: vpn0\n")
    write(
        tmp_path,
        "host_vars/a/vpn.yml",
        "wireguard_address: 10.8.0.1/24\nwireguard_endpoint: a.example.com\nwireguard_private_key: !vault |\n  x\n",
    )
    found = adopt_files.read(str(tmp_path))
    proposal = propose(join(found), "ab", [])
    assert "a: {addresses: [10.8.0.1], endpoint: a.example.com}" in proposal.text
    assert "interface: vpn0\n    port: 4500" in proposal.text
    assert found["a"]["vpn0"].public_key == stand_in("a")
    assert stand_in("a") not in proposal.text


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("x.yml", "a: {{ b }}", "is no plain YAML"),
        ("x.yml", "a: 1", "has no wg-quick files"),
        ("x.txt", "", "has no wg-quick files"),
    ],
)
def test_what_is_none_of_these_is_an_error(tmp_path, path, content, message):
    write(tmp_path, path, content)
    with pytest.raises(ConfigError, match=message):
        adopt_files.read(str(tmp_path / path))
    with pytest.raises(ConfigError, match="does not exist"):
        adopt_files.read(str(tmp_path / "nowhere"))
