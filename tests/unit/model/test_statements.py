"""What a node says of itself, and how it signs that."""

import json
from dataclasses import asdict

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from factories import public_key, registration, salt_key
from saltext.wireguard.errors import RefusedError
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import Registration, Rotation
from saltext.wireguard.registry.evidence import verify

A = salt_key("a")
ACCEPTED = {"a": A.accepted}


def test_a_statement_is_text_with_its_kind_and_its_author():
    fields = json.loads(statements.sign(registration("a"), A.private_pem)["statement"])
    assert (fields["kind"], fields["node"]) == ("saltext-wireguard/registration/1", "a")


def test_a_rotation_needs_another_key():
    fields = asdict(Rotation("a", "net", public_key("a"), public_key("next"), 1))
    assert Rotation.from_dict(fields).next_key == public_key("next")
    with pytest.raises(RefusedError, match=r"its next_key is its public_key"):
        Rotation.from_dict({**fields, "next_key": public_key("a")})


@pytest.mark.parametrize("value", [None, 7, "", "x" * 254, "a\nb"])
def test_an_unchecked_field_is_short_printable_text(value):
    with pytest.raises(RefusedError, match=r"^its "):
        statements.short_text({"node": value}, "node")


def test_a_salt_key_with_a_passphrase_signs():
    key = serialization.load_pem_private_key(A.private_pem, None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"secret"),
    )
    signed = statements.sign(registration("a"), pem, b"secret")
    assert verify(signed, Registration, ACCEPTED)[0] == registration("a")


def test_only_an_rsa_key_signs():
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(TypeError, match="RSA"):
        statements.sign(registration("a"), pem)


def test_a_damaged_key_does_not_sign():
    numbers = serialization.load_pem_private_key(A.private_pem, None).private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d - 2, numbers.dmp1, numbers.dmq1 - 2, numbers.iqmp, numbers.public_numbers
    )
    pem = damaged.private_key(unsafe_skip_rsa_key_validation=True).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="damaged"):
        statements.sign(registration("a"), pem)
