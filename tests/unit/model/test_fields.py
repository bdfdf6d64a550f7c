"""Fields of data that others made."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saltext.wireguard.errors import KeyFormatError, RefusedError
from saltext.wireguard.model import fields
from saltext.wireguard.model.fields import Fields

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
CONVERTERS = [
    fields.mapping,
    fields.list_of(fields.text),
    fields.boolean,
    fields.integer(1, 5),
    fields.text,
    fields.short_text,
    fields.interface,
    fields.interface_address,
    fields.address,
    fields.network,
    fields.endpoint,
    fields.endpoint_address,
    fields.public_key,
    fields.preshared_keys,
]


def of(**data):
    return Fields(data, "its ", RefusedError)


def test_a_field_is_converted_and_what_is_missing_has_its_default():
    assert of(port=5).get("port", fields.integer(1, 9)) == 5
    assert of(port=None).get("port", fields.integer(1, 9), 7) == of().get("port", fields.integer(1, 9), 7) == 7


def test_an_error_says_which_field_and_what_is_wrong_with_it():
    with pytest.raises(RefusedError, match=r"^its port: must be a whole number from 1 to 9$"):
        of(port=10).get("port", fields.integer(1, 9))
    with pytest.raises(RefusedError, match=r"^its 'port' is missing$"):
        of().get("port", fields.integer(1, 9))
    with pytest.raises(RefusedError, match=r"^its: must be a mapping, not 'x'$"):
        Fields("x", "its ", RefusedError)


def test_unknown_fields_are_an_error_where_it_is_said_which_there_are():
    assert of(b=1).get("a", fields.text, "") == ""
    with pytest.raises(RefusedError, match=r"^its unknown key 'b'; the known keys are a$"):
        Fields({"b": 1}, "its ", RefusedError, {"a"})


def refusal(convert, value):
    """What is wrong with a value; nothing if it is converted."""
    try:
        convert(value)
    except (ValueError, KeyFormatError) as exc:
        return str(exc)
    return ""


@pytest.mark.parametrize("convert", CONVERTERS)
@given(value=ANYTHING)
@settings(max_examples=30)
def test_whatever_there_is_is_converted_or_refused_in_few_words(convert, value):
    assert len(refusal(convert, value)) < 300
