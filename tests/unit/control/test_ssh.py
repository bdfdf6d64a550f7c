"""What comes back from salt-ssh, which has many ways to fail."""

import json

import pytest

pytest.importorskip("salt")

from factories import network, public_key
from saltext.wireguard.control.ssh import Ssh
from saltext.wireguard.errors import ConfigError, RefusedError

NET = network("host1: {port: 51900}")
KEY = public_key("host1")
GOOD = {"public_keys": {"wg0": KEY}, "endpoints": ["192.0.2.7"]}


class Client:
    """Gives these answers, one a call."""

    def __init__(self, *answers):
        self.asked = []
        self._answers = list(answers)

    def cmd(self, node, function, arguments):
        self.asked.append((node, function, arguments))
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return {} if answer is None else {node: answer}


def ssh(*answers):
    made = object.__new__(Ssh)
    made._client = Client(*answers)
    return made


def returns(value):
    return {"return": value, "retcode": 0}


def test_the_host_gets_our_modules_and_is_then_asked_for_its_keys():
    asking = ssh(returns({}), returns(GOOD))
    (statement,) = asking.registrations("host1", [NET])
    assert (statement.node, statement.network, statement.public_key) == ("host1", "net", KEY)
    assert (statement.endpoints, statement.port) == (("192.0.2.7",), 51900)
    assert [function for _, function, _ in asking._client.asked] == ["state.single", "wireguard.enrollment"]
    assert json.loads(asking._client.asked[1][2][0]) == ["wg0"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "salt-ssh has no host1 in its roster"),
        ("Permission denied (publickey).", "on host1: Permission denied"),
        ({"retcode": 255, "stderr": "ssh: connect to host h port 22: Connection refused", "stdout": ""}, "refused"),
        ({"retcode": 1, "return": "'x' is not available."}, "on host1: 'x' is not available."),
        (
            {"_error": "Failed to return clean data", "retcode": 0, "stdout": "hello"},
            "Failed to return clean data; hello",
        ),
        (SystemExit(1), "on host1: 1"),
    ],
    ids=str,
)
def test_whatever_goes_wrong_is_told_in_the_words_of_salt_ssh(answer, said):
    with pytest.raises(ConfigError) as caught:
        ssh(answer).registrations("host1", [NET])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [None, "text", {}, {"public_keys": []}, {**GOOD, "public_keys": {}}, {**GOOD, "endpoints": ["127.0.0.1"]}],
    ids=str,
)
def test_an_answer_that_makes_no_sense_enrolls_nobody(said):
    with pytest.raises(RefusedError):
        ssh(returns({}), returns(said)).registrations("host1", [NET])


ODD = "\x1b[2J\x1b]0;owned\x07\r\n\u202e" + "x" * 10_000


@pytest.mark.parametrize(
    "answers",
    [
        (ODD,),
        ({"retcode": 255, "stderr": ODD, "stdout": ODD},),
        ({"retcode": 1, "return": ODD},),
        ({"_error": ODD, "retcode": 0},),
        (SystemExit(ODD),),
        (returns({}), returns(ODD)),
        (returns({}), returns({**GOOD, "public_keys": {"wg0": ODD}})),
        (returns({}), returns({**GOOD, "endpoints": [ODD]})),
        (returns({}), returns({**GOOD, "endpoints": {ODD: ODD}})),
    ],
    ids=range(9),
)
def test_what_a_host_says_comes_to_the_operators_terminal_as_one_short_printable_line(answers):
    with pytest.raises((ConfigError, RefusedError)) as caught:
        ssh(*answers).registrations("host1", [NET])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1200
