import contextlib
import re
from datetime import datetime, timedelta

import pytest

from saltext.wireguard.meshfile.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("5m", 300),
        ("8h", 28_800),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("36500d", 36_500 * 86_400),
    ],
)
def test_a_duration_is_a_whole_number_of_a_unit(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("30", "'30' is not a duration: it has no unit; write 30s, 30m, 30h, 30d or 30w"),
        ("0", "'0' is not a duration: it must be at least 1s"),
        ("0h", "'0h' is not a duration: it must be at least 1s"),
        ("36501d", "'36501d' is not a duration: it must be at most 36500d"),
        ("9" * 10 + "s", "it must be at most 36500d"),
        ("9" * 11, "it must be at most 36500d"),
        ("9" * 10_000 + "s", "it must be at most 36500d"),
        *(
            (text, "is not a duration: write a whole number and a unit (s, m, h, d or w), such as 30d")
            for text in (
                *("", "d", "never", "-1d", "+1d", "1.5h", "1e3s", "030d", "1_0d", "1d12h", "1:20", "1y", "30D", "0x1d"),
                *("30 d", " 30d", "30d\n", "30 days", "\uff13\uff10d", "\u0663d", "30\u212a"),
            )
        ),
    ],
)
def test_what_is_no_duration_is_refused_with_a_reason(text, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_duration(text)


@pytest.mark.parametrize("text", ["\x1b[31m" + "x" * 100_000, "9" * 100_000 + "d"])
def test_what_a_hostile_text_says_is_quoted_and_cut_in_the_reason(text):
    with pytest.raises(ValueError, match="is not a duration") as caught:
        parse_duration(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_the_longest_duration_from_now_is_still_a_date():
    assert datetime.now() + timedelta(seconds=parse_duration("36500d"))


def test_any_text_is_a_duration_or_a_value_error():
    hypothesis = pytest.importorskip("hypothesis")
    st = pytest.importorskip("hypothesis.strategies")

    @hypothesis.settings(database=None)
    @hypothesis.given(st.text() | st.from_regex(r"[0-9]{0,12}[smhdw]?", fullmatch=True))
    def check(text):
        with contextlib.suppress(ValueError):
            assert parse_duration(text) >= 1

    check()
