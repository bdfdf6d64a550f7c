"""Private key files: made once, never shown, and no other file is taken for one."""

import base64
import stat

import pytest

from saltext.wireguard.errors import NodeError
from saltext.wireguard.node import keys

SECRET = base64.b64encode(b"s" * 32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "wg0.key"


def test_a_key_is_made_once_and_only_its_owner_can_read_it(path):
    public_key = keys.ensure(str(path))
    before = (path.stat(), path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.ensure(str(path)) == keys.existing(str(path)) == keys.public_key(str(path)) == public_key
    assert (path.stat(), path.read_text()) == before


def test_without_a_file_there_is_no_key_and_none_is_made(path):
    assert keys.public_key(str(path)) is None
    with pytest.raises(NodeError, match="has disappeared"):
        keys.existing(str(path))
    assert not path.exists()


@pytest.mark.parametrize("function", [keys.ensure, keys.existing, keys.public_key])
def test_an_empty_file_is_an_error_that_says_what_to_do(path, function):
    path.touch()
    with pytest.raises(NodeError, match=f"{path} is empty, or a link to nothing: remove it"):
        function(str(path))
    assert path.read_bytes() == b""


@pytest.mark.parametrize("function", [keys.ensure, keys.existing, keys.public_key])
def test_a_link_to_nothing_is_an_error_and_not_no_key(path, function):
    """A registration without a key would have been signed."""
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(NodeError, match="a link to nothing"):
        function(str(path))
    assert path.is_symlink()
    assert not (path.parent / "elsewhere").exists()


GARBAGE = {
    "words": b"correct horse battery staple correct horse ba\n",
    "too short": base64.b64encode(b"s" * 31) + b"\n",
    "too long": base64.b64encode(b"s" * 33) + b"\n",
    "binary": bytes(range(128, 172)),
    "two keys": SECRET + b"\n" + base64.b64encode(b"t" * 32),
    "a key and a word": SECRET + b"correct\n",
    "a key among other characters": b"!" + SECRET + b"\n",
    "a configuration file": b"[Interface]\nPrivateKey = " + SECRET + b"\n",
    "not canonical": SECRET[:-2] + b"/=\n",
    "spaces": b" \n",
    "an empty line before the key": b"\n" + SECRET + b"\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_file_without_a_private_key_is_an_error_that_names_it_and_does_not_quote_it(path, garbage):
    path.write_bytes(garbage)
    with pytest.raises(NodeError) as caught:
        keys.ensure(str(path))
    message = str(caught.value)
    assert str(path) in message
    for word in garbage.decode(errors="replace").split():
        assert len(word) < 8 or word.strip("!") not in message
    assert path.read_bytes() == garbage
