"""
Forged, damaged and hostile statements are refused with a reason; nothing else than RefusedError comes out.
"""

import base64
import json
from dataclasses import asdict

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from factories import public_key, registration, salt_key
from saltext.wireguard.errors import RefusedError
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import Registration, Report, Rollback
from saltext.wireguard.registry.evidence import MAX_SIGNATURE, MAX_STATEMENT, claimed, verify
from saltext.wireguard.registry.salt_keys import AcceptedKey

A = salt_key("a")
ACCEPTED = {"a": A.accepted, "b": salt_key("b").accepted}
SIGNED = statements.sign(registration("a"), A.private_pem)


def signed_text(text, key=A):
    """Sign whatever text, as a minion that runs other software may do."""
    private = serialization.load_pem_private_key(key.private_pem, None)
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {"statement": text, "signature": base64.b64encode(signature).decode()}


def signed_fields(**changes):
    return signed_text(json.dumps({**json.loads(SIGNED["statement"]), **changes}))


def refusal(signed, kind=Registration, accepted=ACCEPTED):
    with pytest.raises(RefusedError) as caught:
        verify(signed, kind, accepted)
    return str(caught.value)


# --- what is right ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        registration("a"),
        registration("a", endpoints=()),
        registration("a", endpoints=("2001:db8::1", "192.0.2.1", "10.0.0.1", "fd00::1")),
        registration("a", serial=2**63 - 1, port=65535),
        Report("a", "net", "0" * 64, 7),
        Report("a", "net", "0" * 64, 7, "boot", Rollback("1" * 64, "no peer came back", 1_700_000_000)),
    ],
)
def test_a_signed_statement_comes_back_with_the_key_that_proves_it(statement):
    signed = statements.sign(statement, A.private_pem)
    assert verify(signed, type(statement), ACCEPTED) == (statement, A.accepted)


def test_a_report_of_a_version_that_knew_no_rollbacks_is_believed():
    data = {**asdict(Report("a", "net", "0", 7)), "kind": Report.KIND}
    del data["rollback"]
    assert verify(signed_text(json.dumps(data)), Report, ACCEPTED)[0] == Report("a", "net", "0", 7)


@pytest.mark.parametrize(
    "rollback",
    [
        "text",
        {"tried": "1", "why": "x" * 254, "at": 1},
        {"tried": "1", "why": "\x1b[2J", "at": 1},
        {"tried": "1", "why": "", "at": 1},
        {"tried": "1", "why": "x", "at": "now"},
        {"why": "x", "at": 1},
    ],
    ids=str,
)
def test_a_rollback_is_short_printable_and_complete(rollback):
    data = {**asdict(Report("a", "net", "0", 7)), "kind": Report.KIND, "rollback": rollback}
    assert refusal(signed_text(json.dumps(data)), Report).startswith("its ")


def test_a_signed_statement_survives_json():
    assert verify(json.loads(json.dumps(SIGNED)), Registration, ACCEPTED)[0] == registration("a")


def test_fields_that_are_not_known_are_left_out():
    assert verify(signed_fields(later="more"), Registration, ACCEPTED)[0] == registration("a")


# --- who signed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["node", "network", "public_key", "endpoints", "port", "serial", "kind"])
def test_changing_a_field_breaks_the_signature(field):
    other = {
        "node": "b",
        "network": "other",
        "public_key": public_key("evil"),
        "endpoints": ["192.0.2.66"],
        "port": 1,
        "serial": 2,
        "kind": Registration.KIND + " ",
    }
    data = {**json.loads(SIGNED["statement"]), field: other[field]}
    text = refusal({**SIGNED, "statement": json.dumps(data, sort_keys=True)})
    assert "signature was not made with" in text or "not a statement of the kind" in text


def test_changing_a_byte_of_the_signature_breaks_it():
    raw = bytearray(base64.b64decode(SIGNED["signature"]))
    raw[7] ^= 1
    signed = {**SIGNED, "signature": base64.b64encode(bytes(raw)).decode()}
    assert "its signature was not made with the accepted Salt key of a" in refusal(signed)


def test_white_space_added_to_the_statement_breaks_the_signature():
    assert "signature was not made with" in refusal({**SIGNED, "statement": SIGNED["statement"] + " "})


def test_the_signature_of_another_statement_proves_nothing():
    other = statements.sign(registration("a", serial=2), A.private_pem)
    assert "signature was not made with" in refusal({**SIGNED, "signature": other["signature"]})


def test_another_minion_cannot_speak_in_the_name_of_a():
    signed = statements.sign(registration("a"), salt_key("b").private_pem)
    assert refusal(signed) == "its signature was not made with the accepted Salt key of a"


def test_the_key_must_be_accepted_now():
    assert refusal(SIGNED, accepted={"b": ACCEPTED["b"]}) == "a is not an accepted minion"


def test_the_key_accepted_now_decides_not_the_one_accepted_before():
    assert "signature was not made with" in refusal(SIGNED, accepted={"a": salt_key("new a").accepted})


def test_a_report_is_no_registration():
    signed = statements.sign(Report("a", "net", "0", 1), A.private_pem)
    assert refusal(signed) == f"it is not a statement of the kind {Registration.KIND}"


def test_a_registration_is_no_report():
    assert refusal(SIGNED, kind=Report) == f"it is not a statement of the kind {Report.KIND}"


def pem_of(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


# A DSA key as `openssl dsa -pubout` writes it, cut down: an algorithm that cryptography names but does not load.
UNSUPPORTED = (
    b"-----BEGIN PUBLIC KEY-----\n"
    + base64.b64encode(bytes.fromhex("3019301306072a8648ce3d020106082a8648ce3d0300ff0302000400"))
    + b"\n-----END PUBLIC KEY-----\n"
)


@pytest.mark.parametrize(
    "pem",
    [b"", b"garbage", A.public_pem[:100], b"\xff" * 500, A.private_pem, UNSUPPORTED],
    ids=["empty", "garbage", "cut off", "no text", "private", "unsupported"],
)
def test_an_accepted_key_that_cannot_be_read_proves_nothing(pem):
    assert refusal(SIGNED, accepted={"a": AcceptedKey(pem, "f")}) == "the accepted Salt key of a is not readable"


def test_an_accepted_key_of_an_unsupported_algorithm_proves_nothing(monkeypatch):
    """cryptography's UnsupportedAlgorithm is no ValueError: it ended the engine, at the minion's will."""

    def load(pem):
        raise UnsupportedAlgorithm("a curve that nobody knows")

    monkeypatch.setattr(serialization, "load_pem_public_key", load)
    assert refusal(SIGNED) == "the accepted Salt key of a is not readable"


def test_an_accepted_key_that_is_no_rsa_key_proves_nothing():
    pem = pem_of(ed25519.Ed25519PrivateKey.generate())
    assert refusal(SIGNED, accepted={"a": AcceptedKey(pem, "f")}) == "the accepted Salt key of a is not an RSA key"


# --- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", [None, 1, "text", b"bytes", [], [SIGNED], {}, True, {1: 2}])
def test_what_is_no_mapping_with_a_statement_is_refused(signed):
    assert refusal(signed) == "it has no proper statement"


@pytest.mark.parametrize(
    "statement",
    [None, 1, b"{}", {}, [], "", "\u00fc" * 5, "x" * (MAX_STATEMENT + 1), " " * 10_000_000],
    ids=["none", "number", "bytes", "mapping", "list", "empty", "non-ASCII", "oversize", "huge"],
)
def test_an_improper_statement_is_refused(statement):
    assert refusal({**SIGNED, "statement": statement}) == "it has no proper statement"


@pytest.mark.parametrize("signature", [None, 1, b"AAAA", "", "A" * (MAX_SIGNATURE + 1), "\u00fc"])
def test_an_improper_signature_is_refused(signature):
    assert refusal({**SIGNED, "signature": signature}) == "it has no proper signature"


@pytest.mark.parametrize("signature", ["A", "****", "AA==AA", "QUJD\n"])
def test_a_signature_that_is_not_base64_is_refused(signature):
    assert refusal({**SIGNED, "signature": signature}) == "its signature is not base64"


@pytest.mark.parametrize(
    "text",
    ["{", "nothing", "[" * 8000, '{"a":' * 1600, "9" * 8000, '{"serial": ' + "9" * 8000 + "}", "'a'", "\x00"],
    ids=["cut", "word", "deep list", "deep mapping", "huge number", "huge number within", "quotes", "nul"],
)
def test_a_statement_that_is_not_json_is_refused(text):
    assert refusal(signed_text(text)) == "its statement is not JSON"


@pytest.mark.parametrize("text", ["[]", "1", "null", "NaN", '"text"', "true"])
def test_a_statement_that_is_no_json_object_is_refused(text):
    assert refusal(signed_text(text)) == "its statement is not a JSON object"


NO_TEXT = [1, 1.5, True, [], {}, "", "x" * 254, "a\nb", "a\x00b", "\u2028", "\ud800", "\u202e", "\x1b[2J"]
NO_NUMBER = ["1", 1.0, 1e400, True, False, [], {}, 0, -1]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        *[
            (field, None, f"its '{field}' is missing")
            for field in ("node", "network", "public_key", "port", "endpoints")
        ],
        *[("node", value, "its node: must be a short printable text") for value in NO_TEXT],
        *[("network", value, "its network: must be a short printable text") for value in NO_TEXT],
        *[("public_key", value, "its public_key: ") for value in NO_TEXT],
        *[
            ("port", value, "its port: must be a whole number from 1 to 65535")
            for value in [*NO_NUMBER, 65536, 10**4000]
        ],
        *[("serial", value, f"its serial: must be a whole number from 1 to {2**63 - 1}") for value in NO_NUMBER],
        ("serial", 2**63, f"its serial: must be a whole number from 1 to {2**63 - 1}"),
        ("serial", 10**4000, f"its serial: must be a whole number from 1 to {2**63 - 1}"),
        *[("endpoints", value, "its endpoints: must be a list, not ") for value in [1, "192.0.2.1", {}]],
        ("endpoints", ["192.0.2.1"] * 17, "its endpoints: must be a list of at most 16"),
        *[("endpoints", [value], "its endpoints: must be text, not ") for value in [None, 1, 3221225985, [], {}]],
        *[
            ("endpoints", [value], f"its endpoints: {value!r} is not an IP address")
            for value in ["", "host", "192.0.2.1:51820", "192.0.2.1/24", "192.0.2.01", " "]
        ],
        ("kind", None, f"it is not a statement of the kind {Registration.KIND}"),
        ("kind", [], f"it is not a statement of the kind {Registration.KIND}"),
        ("kind", "saltext-wireguard/registration/2", f"it is not a statement of the kind {Registration.KIND}"),
    ],
)
def test_a_field_with_a_wrong_value_is_refused_by_name(field, value, reason):
    assert refusal(signed_fields(**{field: value})).startswith(reason)


@pytest.mark.parametrize("field", ["node", "network", "public_key", "endpoints", "port", "serial", "kind"])
def test_every_field_is_needed(field):
    data = json.loads(SIGNED["statement"])
    del data[field]
    assert "its " in (text := refusal(signed_text(json.dumps(data)))) or "kind" in text


@pytest.mark.parametrize("field", ["digest", "serial", "node", "network"])
def test_every_field_of_a_report_is_needed(field):
    data = json.loads(statements.sign(Report("a", "net", "0", 1), A.private_pem)["statement"])
    del data[field]
    assert f"its '{field}' is missing" in refusal(signed_text(json.dumps(data)), kind=Report)


@pytest.mark.parametrize(
    "key",
    [
        base64.b64encode(bytes(32)).decode(),
        base64.b64encode(b"\x01" + bytes(31)).decode(),
        "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
        base64.b64encode(b"\xff" * 32).decode(),
        "short",
        "A" * 44,
        public_key("a")[:-1] + "\u00e4",
    ],
)
def test_an_unusable_public_key_is_refused(key):
    assert refusal(signed_fields(public_key=key)).startswith("its public_key: public key ")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "0.0.0.0",
        "::",
        "0.1.2.3",
        "224.0.0.1",
        "ff02::1",
        "169.254.1.1",
        "fe80::1",
        "fe80::1%eth0",
        "2001:db8::1%eth0",
        "2001:db8::1%$(reboot)",
        "255.255.255.255",
        "240.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:192.0.2.1",
    ],
)
def test_an_endpoint_that_no_other_machine_can_call_is_refused(address):
    """IPv4-mapped addresses let loopback through, and are written in two ways by different versions of Python."""
    text = refusal(signed_fields(endpoints=["192.0.2.1", address]))
    assert "cannot be reached from another machine" in text or "has a zone" in text


# --- what a refused statement claims ---------------------------------------------------------------------------------


def test_claimed_says_whom_and_what_a_statement_is_about_without_proof():
    assert claimed({"statement": '{"node": "a", "network": "net"}'}) == ("a", "net")


@pytest.mark.parametrize(
    "signed",
    [
        None,
        [],
        {"statement": "x" * 9000},
        {"statement": "[" * 8000},
        {"statement": '{"node": "a"}'},
        {"statement": '{"node": "a\\nforged log line", "network": "net"}'},
        {"statement": '{"node": "a", "network": "\\u001b[2J"}'},
        {"statement": '{"node": "a", "network": "\\ud800"}'},
        {"statement": json.dumps({"node": "x" * 254, "network": "net"})},
        {"statement": '{"node": ["a"], "network": "net"}'},
    ],
)
def test_claimed_shows_nothing_of_a_text_that_is_not_short_and_printable(signed):
    assert claimed(signed) == ("?", "?")


def test_an_accepted_key_that_is_dear_to_check_proves_nothing():
    """A minion chooses its own key: with an exponent of 3,072 bits, checking one statement took 5 ms."""
    modulus = serialization.load_pem_public_key(A.public_pem).public_numbers().n
    public = rsa.RSAPublicNumbers(2**2000 + 1, modulus).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    said = refusal(SIGNED, accepted={"a": AcceptedKey(pem, "f")})
    assert said == "the accepted Salt key of a has an exponent that is none of Salt's"
