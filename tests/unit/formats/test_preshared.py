"""Preshared keys in files that wg-quick or systemd-networkd read."""

import pytest

from factories import public_key
from saltext.wireguard.formats import preshared

WEB1, WEB2, OLD, NEW = map(public_key, ("web1", "web2", "old", "new"))


def text(equals, first, second):
    return f"""[Peer]
PublicKey{equals}{WEB1}
PresharedKey{equals}{first}
AllowedIPs{equals}10.42.0.1/32

[Peer]
PublicKey{equals}{WEB2}
PresharedKey{equals}{second}
"""


@pytest.mark.parametrize("equals", [" = ", "="], ids=["wg-quick", "systemd-networkd"])
def test_only_the_named_peer_gets_another_key(equals):
    assert preshared.rewrite(text(equals, OLD, OLD), {WEB2: NEW}) == text(equals, OLD, NEW)


def test_a_peer_without_a_preshared_key_gets_none():
    bare = f"[Peer]\nPublicKey = {WEB1}\nAllowedIPs = 10.42.0.1/32\n"
    assert preshared.rewrite(bare, {WEB1: NEW}) == bare
    assert not preshared.is_in(bare)
    assert preshared.is_in(text(" = ", OLD, OLD))
