"""The jobs of a rotation reach the nodes as they are meant."""

from types import SimpleNamespace

import pytest
import salt.utils.args

from saltext.wireguard.control import rotation

KEYS = [
    ("M58ynFdjnEKPaFPR3ZwrtEE8KJZZh8kzIwlXHYFz7xI=", "bEHeSaAyb4ue6WLkx+TsCNz69+mcnWArqUZuPnTQMV0="),
    ("1e58ynFdjnEKPaFPR3ZwrtEE8KJZZh8kzIwlXHYFz7I=", "/EHeSaAyb4ue6WLkx+TsCNz69+mcnWArqUZuPnTQMV0="),
    ("+58ynFdjnEKPaFPR3ZwrtEE8KJZZh8kzIwlXHYFz7xI=", "MbHeSaAyb4ue6WLkxTsCNz69mcnWArqUZuPnTQMV0000="),
]


@pytest.mark.parametrize(("current", "following"), KEYS)
def test_peers_get_both_keys_whole_whatever_letters_are_in_them(current, following, monkeypatch):
    """Half of all keys begin like the name of an argument and end in "=", and Salt took them for that."""
    published = []

    class Bus:
        def publish(self, nodes, function, arguments):
            published.append((sorted(nodes), function, arguments))

        def events(self, _):
            yield from ()

    member = SimpleNamespace(member=SimpleNamespace(node="b"), network="net", reason=None)
    monkeypatch.setattr(rotation, "statuses", lambda _: [member])
    master = SimpleNamespace(moment=lambda: None)
    row = SimpleNamespace(public_key=current, next_key=following)
    rotation.Rotation(master, Bus(), print, "net", "a", 1, "alice", "")._follow(row)
    ((nodes, function, arguments),) = published
    assert (nodes, function) == (["b"], "wireguard.rotate_follow")
    (given,) = salt.utils.args.parse_input(arguments, condition=True)
    assert {key: value for key, value in given.items() if not key.startswith("__")} == {
        "network": "net",
        "current_key": current,
        "next_key": following,
    }
