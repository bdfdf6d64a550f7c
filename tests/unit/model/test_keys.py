import base64

import pytest

from saltext.wireguard.errors import KeyFormatError
from saltext.wireguard.model.keys import parse_public_key

P = 2**255 - 19
ORDER_8 = (
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
)
LOW_ORDER = [0, 1, P - 1, P, P + 1, *(int.from_bytes(bytes.fromhex(point), "little") for point in ORDER_8)]
KEY = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="


def text_of(number: int) -> str:
    return base64.b64encode(number.to_bytes(32, "little")).decode()


def refusal(text: object) -> str:
    with pytest.raises(KeyFormatError) as caught:
        parse_public_key(text)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("text", [KEY, text_of(9), text_of(2), text_of(P - 2)])
def test_a_canonical_key_is_returned_as_it_is(text):
    assert parse_public_key(text) == text


def test_a_key_made_by_the_cryptography_library_is_accepted():
    x25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.x25519")
    text = base64.b64encode(x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    assert parse_public_key(text) == text


@pytest.mark.parametrize("number", LOW_ORDER[1:])
def test_a_point_of_low_order_is_refused(number):
    assert "low order" in refusal(text_of(number))


@pytest.mark.parametrize("number", LOW_ORDER)
def test_a_point_of_low_order_is_refused_with_the_high_bit_set_too(number):
    assert "low order" in refusal(text_of(number | 2**255))


@pytest.mark.parametrize("number", LOW_ORDER)
def test_the_refused_points_are_those_that_give_no_shared_secret(number):
    x25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.x25519")
    public = x25519.X25519PublicKey.from_public_bytes(number.to_bytes(32, "little"))
    private = x25519.X25519PrivateKey.generate()
    with pytest.raises(ValueError, match="shared key"):
        private.exchange(public)


def test_the_all_zero_key_is_refused_by_name():
    assert "all zero" in refusal(text_of(0))


@pytest.mark.parametrize("number", [P + 2, P + 18, 2**255 + 9])
def test_a_number_that_is_not_reduced_is_refused(number):
    assert "not a canonical Curve25519 key" in refusal(text_of(number))


def test_base64_with_spare_bits_set_is_refused():
    assert "spare bits" in refusal(KEY[:-2] + "x=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        KEY[:-1],
        KEY + "=",
        KEY + "\n",
        " " + KEY,
        KEY[1:],
        "A" * 44,
        "-" + KEY[1:],
        "_" + KEY[1:],
        "é" + KEY[1:],
        "\ud800" * 44,
        bytes.fromhex(ORDER_8[0]).hex(),
        None,
        42,
        b"x" * 44,
    ],
)
def test_what_is_not_44_characters_of_base64_is_refused(text):
    assert "44 characters" in refusal(text)


def test_a_hostile_text_is_quoted_and_cut():
    assert refusal("\x1b[31m\n" + "A" * 100_000).startswith(f"public key '\\x1b[31m\\n{'A' * 54}'... must")
