"""What other tools keep becomes the files that these tools would write."""

import pytest

from saltext.wireguard.adopt import sources
from saltext.wireguard.formats.foreign import is_of_formula, parse_wg_quick
from saltext.wireguard.model.inventory import FoundPeer

KEY = "bKEaZsQvEI1sLm2s/MXW+j8D3hP9W+BHV4BoGGUt53k="
PSK = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="

TABLE = """\
"Name","Address","Endpoint","AllowedIPs","ListenPort","PersistentKeepalive","FwMark","PrivateKey","DNS","MTU","Table",\
"PreUp","PostUp","PreDown","PostDown","SaveConfig"
"tokyo1","10.1.0.1/16,fd1::1/64","tokyo.example.com","","51820","25","","private of tokyo","","1400","","","","","",""
"paris1","10.1.0.2/16,fd1::2/64","","192.168.9.0/24","51821","","","private of paris","","","","","sysctl","","","True"
"""


def public_of(private):
    return {"private of tokyo": sources.stand_in("t"), "private of paris": sources.stand_in("p")}[private]


def test_a_table_of_wg_meshconf():
    texts = sources.by_table(TABLE, public_of)
    tokyo, paris = (parse_wg_quick(texts[name]["wg0"]) for name in ("tokyo1", "paris1"))
    assert (tokyo.addresses, tokyo.port, tokyo.mtu) == (("10.1.0.1/16", "fd1::1/64"), 51820, 1400)
    assert tokyo.peers == (
        FoundPeer(sources.stand_in("p"), ("10.1.0.2/32", "192.168.9.0/24", "fd1::2/128"), None, 25, "paris1"),
    )
    assert paris.peers == (
        FoundPeer(sources.stand_in("t"), ("10.1.0.1/32", "fd1::1/128"), "tokyo.example.com:51820", 0, "tokyo1"),
    )
    assert (paris.hooks, paris.others) == ((("PostUp", "sysctl"),), (("SaveConfig", "True"),))
    with pytest.raises(ValueError, match="no table of wg-meshconf"):
        sources.by_table("a,b\n1,2\n", public_of)


MESCHENBACHER = {
    "wg0": {
        "listen_port": 51820,
        "private_key": "secret",
        "peers": [
            {
                "peer": KEY,
                "endpoint": "10.42.0.9:1338",
                "allowed_ips": ["10.0.0.2/32", "fdff::2/128"],
                "persistent_keepalive": 25,
            }
        ],
    }
}
FORMULAS = {
    "wg0": {
        "Interface": {"Address": "10.0.0.1/24", "ListenPort": 51820, "PrivateKey": "secret", "PostUp": ["a", "b"]},
        "Peers": {"web2": {"PublicKey": KEY, "AllowedIPs": ["10.0.0.2/32", "10.9.0.0/16"], "Endpoint": "web2:51820"}},
    }
}


def test_a_pillar_of_either_formula():
    (text,) = sources.by_pillar({"wireguard": {"interfaces": MESCHENBACHER}}).values()
    found = parse_wg_quick(text)
    assert (found.port, found.private_key) == (51820, "secret")
    assert found.peers == (FoundPeer(KEY, ("10.0.0.2/32", "fdff::2/128"), "10.42.0.9:1338", 25),)
    (text,) = sources.by_pillar({"wireguard": {"interfaces": FORMULAS}}).values()
    found = parse_wg_quick(text)
    assert found.addresses == ("10.0.0.1/24",)
    assert found.hooks == (("PostUp", "a"), ("PostUp", "b"))
    assert found.peers == (FoundPeer(KEY, ("10.0.0.2/32", "10.9.0.0/16"), "web2:51820", name="web2"),)


@pytest.mark.parametrize(
    ("described", "is_theirs"),
    [
        (MESCHENBACHER["wg0"], True),
        (FORMULAS["wg0"], True),
        ({"addresses": ["10.0.0.1/24"], "peers": {"a": {}}, "port": 1}, False),
        ({"addrseses": ["10.0.0.1/24"]}, False),
        ("no mapping", False),
    ],
)
def test_a_pillar_of_a_formula_is_told_from_one_of_ours(described, is_theirs):
    assert is_of_formula(described) is is_theirs


HOSTS = {
    "a": {"wireguard_address": "10.8.0.1/24", "wireguard_endpoint": "a.example.com", "wireguard_port": 4500},
    "b": {"wireguard_addresses": ["10.8.0.2/24", "fd8::2/64"], "wireguard_persistent_keepalive": 30},
    "c": {
        "wireguard_address": "10.8.0.3/24",
        "wireguard_endpoint": "",
        "wireguard_unmanaged_peers": {"phone": {"public_key": KEY, "allowed_ips": "10.8.0.9/32", "preshared_key": PSK}},
    },
    "other": {"ansible_host": "192.0.2.1"},
}


def test_the_variables_of_the_ansible_role_as_its_template_reads_them():
    texts = sources.by_variables(HOSTS)
    assert sorted(texts) == ["a", "b", "c"]
    a, b, c = (parse_wg_quick(texts[name]["wg0"]) for name in "abc")
    assert a.peers == (
        FoundPeer(sources.stand_in("b"), ("10.8.0.2/32", "fd8::2/128"), "b:4500", name="b"),
        FoundPeer(sources.stand_in("c"), ("10.8.0.3/32",), name="c"),
    )
    assert [peer.endpoint for peer in b.peers] == ["a.example.com:4500", None]
    assert c.peers[-1] == FoundPeer(KEY, ("10.8.0.9/32",), name="phone", preshared=True)
    assert (a.port, c.port) == (4500, None)


def test_a_line_break_in_a_value_is_no_setting_of_its_own():
    hosts = {"a\n[Peer]": {"wireguard_address": "10.8.0.1/24", "wireguard_mtu": "1400\nPostUp = reboot"}}
    ((_, text),) = next(iter(sources.by_variables(hosts).values())).items()
    assert "\nPostUp" not in text


def test_stand_ins_are_keys_and_differ():
    assert len({sources.stand_in(str(n)) for n in range(50)}) == 50
