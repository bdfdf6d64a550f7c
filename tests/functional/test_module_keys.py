"""Key pairs: made once, complete and unreadable to others from the first moment, and never shown."""

import base64
import os
import stat
import sys

import pytest

pytest.importorskip("salt")

from hosts import ETC, key
from isolation import Fork

KEY_FILE = ETC / "wg0.key"


@pytest.fixture(params=["with PyNaCl", "without PyNaCl"])
def maker(request, host, monkeypatch):
    """The host, once with and once without PyNaCl."""
    if request.param == "with PyNaCl":
        pytest.importorskip("nacl.public")
    else:
        for name in ("nacl", "nacl.encoding", "nacl.exceptions", "nacl.public"):
            monkeypatch.setitem(sys.modules, name, None)
    return host


def test_a_key_file_is_0600_and_holds_the_private_key_of_what_is_returned(maker):
    public_key = maker.call("keypair", "wg0")
    assert stat.S_IMODE(KEY_FILE.stat().st_mode) == 0o600
    assert maker.run("wg", "pubkey", text=KEY_FILE.read_text()).strip() == public_key
    assert os.listdir(ETC) == ["wg0.key"]


def test_the_public_key_is_the_same_with_and_without_pynacl(maker):
    KEY_FILE.write_text(maker.run("wg", "genkey"))
    assert maker.call("public_key", "wg0") == maker.run("wg", "pubkey", text=KEY_FILE.read_text()).strip()


def test_every_key_is_another_one(maker):
    assert len({maker.call("keypair", f"wg{number}") for number in range(4)}) == 4


def test_a_key_that_exists_is_not_touched(maker):
    public_key = maker.call("keypair", "wg0")
    before = (KEY_FILE.stat(), KEY_FILE.read_text())
    assert maker.call("keypair", "wg0") == public_key
    assert (KEY_FILE.stat(), KEY_FILE.read_text()) == before


def test_concurrent_callers_get_the_same_key(maker):
    def make():
        return maker.functions["wireguard.keypair"]("wg0")

    callers = [Fork(make) for _ in range(8)]
    keys = {each.result() for each in callers}
    assert keys == {maker.call("public_key", "wg0")}
    assert os.listdir(ETC) == ["wg0.key"]


def test_whoever_sees_the_key_file_sees_a_whole_key_that_others_cannot_read(maker):
    def watch():
        while True:
            try:
                mode, text = stat.S_IMODE(KEY_FILE.stat().st_mode), KEY_FILE.read_text()
            except FileNotFoundError:
                continue
            return [mode, len(text)]

    watcher = Fork(watch)
    maker.call("keypair", "wg0")
    assert watcher.result() == [0o600, 45]


def test_a_key_file_that_links_to_nothing_is_an_error_and_not_no_key(host):
    """`keypair` returned None, and a registration without a key would have been signed."""
    KEY_FILE.symlink_to(host.disk / "elsewhere")
    for function in ("keypair", "public_key"):
        assert "a link to nothing" in host.error(function, "wg0")
    assert not (host.disk / "elsewhere").exists()
    assert KEY_FILE.is_symlink()


def test_without_a_key_file_there_is_no_public_key_and_none_is_made(host):
    assert host.call("public_key", "wg0") is None
    assert os.listdir(ETC) == []


def test_a_path_instead_of_an_interface_is_an_error_and_makes_no_file(host):
    """A key file of that name was made in the directory."""
    assert "'../../tmp/wg7' is no interface name" in host.error("keypair", "../../tmp/wg7")
    assert os.listdir(ETC) == []


def test_an_empty_key_file_is_an_error_that_says_what_to_do(maker):
    KEY_FILE.touch()
    for function in ("keypair", "public_key"):
        message = maker.error(function, "wg0")
        assert "/etc/wireguard/wg0.key is empty" in message
        assert "remove it" in message
    assert KEY_FILE.read_bytes() == b""


GARBAGE = {
    "words": b"correct horse battery staple correct horse ba\n",
    "too short": base64.b64encode(b"s" * 31) + b"\n",
    "too long": base64.b64encode(b"s" * 33) + b"\n",
    "binary": bytes(range(128, 172)),
    "two keys": b"\n".join([base64.b64encode(b"s" * 32), base64.b64encode(b"t" * 32)]),
    "a key and a word": base64.b64encode(b"s" * 32) + b"correct\n",
    "a key among other characters": b"!" + base64.b64encode(b"s" * 32) + b"\n",
    "a configuration file": b"[Interface]\nPrivateKey = " + base64.b64encode(b"s" * 32) + b"\n",
    "not canonical": base64.b64encode(b"s" * 32)[:-2] + b"/=\n",
    "spaces": b" \n",
    "an empty line before the key": b"\n" + base64.b64encode(b"s" * 32) + b"\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_file_without_a_private_key_is_an_error_that_does_not_quote_it(maker, garbage):
    """
    With PyNaCl, which passes over characters that are not base64, a file with a key and something else counted as a
    key file, and `wg set` refused it in the middle of an apply. Without PyNaCl, the error did not say which file.
    """
    KEY_FILE.write_bytes(garbage)
    for function in ("keypair", "public_key"):
        message = maker.error(function, "wg0")
        assert str(KEY_FILE) in message
        for word in garbage.decode(errors="replace").split():
            assert len(word) < 4 or word.strip("!") not in message
    maker.secrets.update(word.strip("!") for word in garbage.decode(errors="replace").split() if len(word) > 20)
    assert KEY_FILE.read_bytes() == garbage


def test_without_wg_and_without_pynacl_the_error_names_the_package(host, monkeypatch):
    for name in ("nacl", "nacl.encoding", "nacl.exceptions", "nacl.public"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "install wireguard-tools" in host.error("keypair", "wg0")
    assert os.listdir(ETC) == []


def test_keys_of_several_interfaces_are_kept_apart(host):
    first, second = host.call("keypair", "wg0"), host.call("keypair", "wg1")
    assert host.call("public_key", "wg0") == first
    assert host.call("public_key", "wg1") == second
    assert key("node2") not in (first, second)
