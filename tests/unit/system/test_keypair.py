"""Key pairs are the same whether PyNaCl or ``wg`` makes them."""

import base64
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from saltext.wireguard.errors import NodeError
from saltext.wireguard.model.keys import parse_public_key
from saltext.wireguard.system import keypair, machine
from unit.node.fake_machine import FakeMachine

PRIVATE = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
PUBLIC = base64.b64encode(
    X25519PrivateKey.from_private_bytes(base64.b64decode(PRIVATE)).public_key().public_bytes_raw()
).decode()


@pytest.fixture(params=["PyNaCl", "wg"])
def maker(request, monkeypatch):
    """Which of the two there is; the machine, with the commands that ran on it."""
    made = FakeMachine()
    monkeypatch.setattr(machine, "here", made)
    if request.param == "wg":
        without_pynacl(monkeypatch)
    else:
        pytest.importorskip("nacl.public")
        made.programs.clear()
    return made


def without_pynacl(monkeypatch):
    for name in ("nacl", "nacl.encoding", "nacl.public"):
        monkeypatch.setitem(sys.modules, name, None)


def test_the_public_key_is_that_of_curve25519(maker):
    assert keypair.public_of(PRIVATE) == PUBLIC


def test_a_new_key_is_another_one_each_time_and_has_a_usable_public_key(maker):
    one, other = keypair.generate(), keypair.generate()
    assert one != other
    assert parse_public_key(keypair.public_of(one)) != keypair.public_of(other)


def test_the_private_key_is_in_no_command(maker):
    keypair.public_of(PRIVATE)
    assert PRIVATE not in repr(maker.commands)


def test_without_either_the_error_names_the_package(monkeypatch):
    made = FakeMachine()
    made.programs.clear()
    monkeypatch.setattr(machine, "here", made)
    without_pynacl(monkeypatch)
    for make in (keypair.generate, lambda: keypair.public_of(PRIVATE)):
        with pytest.raises(NodeError, match="wg is not installed: install wireguard-tools"):
            make()
