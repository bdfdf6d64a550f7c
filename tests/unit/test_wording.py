"""How messages name what may be many, long or hostile."""

from saltext.wireguard.wording import shown, some


def test_of_many_names_the_first_are_listed_in_order():
    assert some({"b", "a"}) == "a, b"
    assert some("hgfedcba") == "a, b, c, d, e and 3 more"


def test_a_quoted_text_shows_what_does_not_print_and_is_cut():
    assert shown("two\nlines") == r"'two\nlines'"
    assert shown("x" * 61) == "'" + "x" * 60 + "'..."
