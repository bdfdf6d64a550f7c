"""
What every ``Bus`` keeps: the fake one in the unit tests, and Salt's on a real master.

Each function takes a bus and two minions that are up; ``off`` is accepted and switched off.
"""

from typing import Any

from saltext.wireguard.control.bus import KEYWORDS, Bus, answer_of


def an_answer_bears_its_node_and_what_the_function_returned(bus: Bus, up: list[str], off: str) -> None:
    data = answer_of(bus, up[0], "test.arg", ["one", "two"], 30)
    assert data is not None
    assert (data["id"], data["return"]["args"], data["success"], data["retcode"]) == (up[0], ["one", "two"], True, 0)


def keywords_arrive_as_keywords_and_texts_in_them_as_they_are(bus: Bus, up: list[str], off: str) -> None:
    data = answer_of(bus, up[0], "test.arg", [{**KEYWORDS, "reason": "no: yaml=1", "keys": ["a="]}], 30)
    assert data is not None
    given = {name: value for name, value in data["return"]["kwargs"].items() if not name.startswith("__")}
    assert given == {"reason": "no: yaml=1", "keys": ["a="]}


def every_node_that_is_asked_answers_under_a_tag_of_its_own(bus: Bus, up: list[str], off: str) -> None:
    jid = bus.publish(up, "test.arg", [])
    assert isinstance(jid, str)
    missing = {f"salt/job/{jid}/ret/{node}" for node in up}
    for tag, _ in bus.events(30):
        missing.discard(tag)
        if not missing:
            return
    raise AssertionError(missing)


def a_function_that_is_not_there_is_no_success(bus: Bus, up: list[str], off: str) -> None:
    data = answer_of(bus, up[0], "wireguard.nothing", [], 30)
    assert data is not None
    assert (data["success"], "is not available" in data["return"]) == (False, True)


def a_job_for_nobody_has_no_id(bus: Bus, up: list[str], off: str) -> None:
    assert bus.publish(["nobody"], "test.arg", []) is None
    assert answer_of(bus, "nobody", "test.arg", [], 30) is None


def who_is_off_is_waited_for_until_the_time_is_over(bus: Bus, up: list[str], off: str) -> None:
    jid = bus.publish([*up, off], "test.arg", [])
    tags = [tag for tag, _ in bus.events(8) if tag.startswith(f"salt/job/{jid}/ret/")]
    assert {tag.rpartition("/")[2] for tag in tags} == set(up)
    assert answer_of(bus, off, "test.arg", [], 0.5) is None


CONTRACT: list[Any] = [
    an_answer_bears_its_node_and_what_the_function_returned,
    keywords_arrive_as_keywords_and_texts_in_them_as_they_are,
    every_node_that_is_asked_answers_under_a_tag_of_its_own,
    a_function_that_is_not_there_is_no_success,
    a_job_for_nobody_has_no_id,
    who_is_off_is_waited_for_until_the_time_is_over,
]
