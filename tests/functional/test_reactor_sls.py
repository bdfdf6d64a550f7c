"""What the reactor's SLS files make of events, whose data is anything that a minion cares to send."""

import json
from pathlib import Path

import pytest
import salt.config
import salt.loader
import salt.template

REPO = Path(__file__).resolve().parents[2]
TAG = "wireguard/register"
NOTHING = {"id": "", "data": {"signed": {"statement": "", "signature": ""}}}


@pytest.fixture(scope="module")
def react(tmp_path_factory):
    """Renders an SLS file as the reactor does; gives the arguments of its only reaction."""
    root = tmp_path_factory.mktemp("master")
    opts = salt.config.master_config(None)
    opts.update(root_dir=str(root), cachedir=str(root), pki_dir=str(root), file_client="local", file_roots={"base": []})
    opts.update(grains={}, pillar={}, id="master")
    renderers = salt.loader.render(opts, {})

    def render(name, tag, data):
        path = str(REPO / "salt/reactor/wireguard" / f"{name}.sls")
        high = salt.template.compile_template(path, renderers, "jinja|yaml", None, None, tag=tag, data=data)
        ((reaction, (arguments,)),) = next(iter(high.values())).items()
        assert len(high) == 1
        assert reaction == {"hear": "runner.wireguard.hear", "start": "runner.wireguard.reconcile"}[name]
        return {name: value for argument in arguments["args"] for name, value in argument.items()}

    return render


def deep(levels):
    nested = []
    for _ in range(levels):
        nested = [nested]
    return nested


def said(statement, signature="eA==", **more):
    return {"data": {"signed": {"statement": statement, "signature": signature}}, **more}


def test_a_statement_arrives_as_it_was_sent(react):
    statement = json.dumps({"node": "a", "why": "quotes \" ' and \\ and # and : and {{ }} and ü and 😀"})
    event = react("hear", TAG, said(statement, "QUJD+/==", id="a", cmd="_minion_event", _stamp="now"))["event"]
    assert event == {"id": "a", "data": {"signed": {"statement": statement, "signature": "QUJD+/=="}}}


INJECTIONS = [
    "{{ 1 / 0 }}{% raw %}{#",
    "\"]}\\'- # : {a: !!python/name:os.system , &a *a",
    "x'\\\"{% endmacro %}",
    "\\u0022\\x22",
    "null",
    "- 1",
    "1e999",
    "<!-- & -->",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_yaml_or_jinja_stays_text(react, text):
    event = react("hear", TAG, said(text, text, id=text))["event"]
    assert event == {"id": text, "data": {"signed": {"statement": text, "signature": text}}}
    assert react("start", "salt/minion/a/start", {"id": text}) == {"contact": [text], "wait": False}


GARBAGE = {
    "nothing": {},
    "no data": {"data": None},
    "list": {"data": [1], "id": [1]},
    "text": {"data": "signed", "id": 5},
    "no statement": {"data": {"signed": [1]}},
    "bytes": {**said(b"\xff", b"{}"), "id": b"a", b"key": 1},
    "too deep": {**said(deep(5000), deep(5000)), "id": deep(5000)},
    "too long": said("x" * 10_000_000, "x" * 9000, id="x" * 9000),
    "line breaks": said("a\n- b: c", "a\u2028\u2029\x85b", id="a\nb"),
    "control characters": said("\x1b[2J\x00", "\x7f\x9b", id="\x1b]0;x\x07"),
    "not ASCII": said("\ufeff\uffff", "\U0001f600", id="\ud800"),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_anything_that_is_no_printable_text_of_a_few_kilobytes_is_left_out(react, garbage):
    """Bytes, control characters and deep nesting broke the rendering: nobody counted such an event as refused."""
    assert react("hear", TAG, garbage)["event"] == NOTHING


@pytest.mark.parametrize("id_", [None, 5, [1], {"a": 1}, b"a", deep(5000), "x" * 10_000_000, "\ud800", "\U0001f600"])
def test_an_id_that_cannot_be_one_contacts_nobody(react, id_):
    assert react("start", "salt/minion/a/start", {"id": id_})["contact"] == [""]
    assert react("start", "salt/minion/a/start", {})["contact"] == [""]


@pytest.mark.parametrize("id_", ["a", "web-1.example.com", "büro", "事務所", "a\nb", "\x1b[2J"])
def test_any_other_id_is_passed_on_as_it_is(react, id_):
    assert react("start", "salt/minion/a/start", {"id": id_})["contact"] == [id_]
