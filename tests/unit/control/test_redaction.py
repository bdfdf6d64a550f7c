"""What strangers may read: no secrets, and words in the place of names and addresses that still tell the story."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import public_key
from saltext.wireguard.control.redaction import HIDDEN, Redaction, pseudonyms, without_comments

PRIVATE = "cHJpdmF0ZSBrZXkgb2YgYSB0ZXN0LCAzMiBieXRlcyE="
NAMES = {"web1": "node1", "web1.example.com": "name1", "backbone": "network1", "L@web1,db1": "name2"}


def redaction(names=None, public=("a",), secrets=(), seed=b"seed"):
    return Redaction([public_key(each) for each in public], secrets, names, seed)


def mapped(text, seed=b"seed"):
    return redaction({}, seed=seed)(text)


# -- secrets


@pytest.mark.parametrize("around", ["{}", "PrivateKey = {}\n", '"preshared_key": "{}"', "x {},", "key={}"])
def test_what_looks_like_a_key_goes_unless_it_is_a_known_public_one(around):
    assert PRIVATE not in redaction()(around.format(PRIVATE))
    assert public_key("a") in redaction()(around.format(public_key("a")))
    assert public_key("stranger") not in redaction()(around.format(public_key("stranger")))


def test_a_secret_that_is_known_goes_whatever_it_looks_like():
    assert redaction(secrets=["correct horse battery"])("is: correct horse battery.") == f"is: {HIDDEN}."


def test_the_private_key_of_a_minion_goes():
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----"
    assert redaction()(f"a\n{pem}\nb") == f"a\n{HIDDEN}\nb"
    assert "MIIE" not in redaction()(pem[:45])  # of a log whose beginning or end was cut off


def test_without_names_to_replace_the_rest_is_left_alone():
    text = "web1 in backbone at 192.0.2.1:51820 reported 0123456789abcdef"
    assert redaction()(text) == text


# -- names


def test_a_name_is_the_same_word_everywhere_and_the_longest_one_counts():
    text = "web1: web1.example.com:51820 in backbone; WEB1, web10, myweb1, web1-old"
    found = redaction(NAMES)(text)
    assert found == "node1: name1:51820 in network1; node1, web10, myweb1, node1-old"


def test_a_list_of_nodes_is_one_word_and_its_nodes_elsewhere_are_theirs():
    assert redaction(NAMES)("L@web1,db1: web1") == "name2: node1"


@pytest.mark.parametrize("name", ["web*", r"E@web\d+", "N@the office", "L@web1,db1", "web1:4000", "büro"])
def test_a_name_of_any_kind_is_replaced(name):
    assert redaction({name: "name1", "web1": "node1"})(f"'{name}': x, {name.upper()}") == "'name1': x, name1"


def test_a_name_at_the_end_of_a_sentence_is_one():
    assert redaction(NAMES)("It is web1. Not web1-,") == "It is node1. Not node1-,"


def test_thousands_of_names_are_replaced_in_one_pass():
    """In one pattern of all names, a report of a large fleet would have taken an hour."""
    names = {f"host{number}.example.com": f"node{number}" for number in range(5000)}
    text = " ".join(names) + " other" * 200_000
    assert redaction(names)(text).startswith("node0 node1 node2 ")


def test_public_keys_become_words_as_well():
    assert redaction({})(f"peer {public_key('a')}") == "peer key1"


def test_words_have_their_kind_and_a_number_and_the_first_kind_counts():
    found = pseudonyms([("network", ["b", "a"]), ("node", ["web1", "a", "", "WEB1"])])
    assert found == {"a": "network1", "b": "network2", "web1": "node1"}


# -- addresses


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "0.0.0.0/0", "::/0", "::1", "fe80::1", "ff02::1", "1.0.20210914", "12:34:56", "3008.3"]
)
def test_what_is_nobodys_address_stays(text):
    assert mapped(f"see {text}, there") == f"see {text}, there"


def test_an_endpoint_keeps_its_port():
    found = mapped("192.0.2.7:51820 [2001:db8::7]:51820")
    assert "192.0.2.7" not in found
    assert "2001:db8::7" not in found
    assert found.count(":51820") == 2


def test_what_was_private_is_private_and_what_was_not_is_not():
    for text in ("10.1.2.3", "192.168.1.1", "172.20.0.1", "fd42::1"):
        assert ipaddress.ip_address(mapped(text)).is_private
    assert not ipaddress.ip_address(mapped("172.99.0.1")).is_private
    assert mapped("192.168.1.1").startswith("192.168.")


def test_another_bundle_has_other_addresses():
    assert mapped("198.51.100.7", b"one") != mapped("198.51.100.7", b"another")


IPV4 = st.ip_addresses(v=4).filter(lambda each: each.is_global)
IPV6 = st.ip_addresses(v=6).filter(lambda each: each.is_global)


@given(st.one_of(st.tuples(IPV4, IPV4), st.tuples(IPV6, IPV6)))
def test_two_addresses_have_as_much_in_common_as_before(pair):
    before = [int(each) for each in pair]
    after = [int(ipaddress.ip_address(mapped(str(each)))) for each in pair]
    assert (before[0] ^ before[1]).bit_length() == (after[0] ^ after[1]).bit_length()


@given(IPV4, st.integers(0, 32))
def test_an_address_is_in_the_network_that_it_was_in(address, length):
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    found = ipaddress.ip_network(mapped(str(network)))
    assert ipaddress.ip_address(mapped(str(address))) in found
    assert found.prefixlen == length


# -- comments


def test_comments_go_and_lines_stay_where_they_are():
    text = "# ours\na: '#1' # one\n\nb: x#y\n#\n"
    spans = [(text.index("a:"), text.index("a:") + 1), (text.index("'#1'"), text.index("'#1'") + 4)]
    spans += [(text.index("b:"), text.index("b:") + 1), (text.index("x#y"), text.index("x#y") + 3)]
    assert without_comments(text, spans) == "\na: '#1' \n\nb: x#y\n\n"
