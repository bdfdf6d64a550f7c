"""``salt-run wireguard.export`` through Salt's loader, without a salt-master; tests/integration has one."""

import contextlib
import json
import os
import re
import stat
import sys

import pytest

pytest.importorskip("salt")

import salt.exceptions

import masters
from hosts import key
from masters import NETWORK, MasterSide
from saltext.wireguard.formats import external_peer
from saltext.wireguard.master.settling import settle

PRIVATE = re.compile(r"PrivateKey = ([A-Za-z0-9+/]{43}=)")


@pytest.fixture(scope="module")
def salt_keys():
    return masters.make_salt_keys(2)


@pytest.fixture
def master(tmp_path, salt_keys):
    made = MasterSide(tmp_path, salt_keys)
    made.write_mesh("nodes: {'node*': {}}, peers: {phone: , tablet: }")
    made.register("node1", key("node1"))
    return made


class Terminal:
    """What a person sees."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.fixture
def terminal(master):
    master.terminal = Terminal()
    return master.terminal


def export(master, *args, opts=None, **kwargs):
    """As ``salt-run`` calls it. Returns what would become an event, which has no private key."""
    master.opts.update({"fun": "wireguard.export", **(opts or {})})
    runner = master.runner()
    with contextlib.redirect_stdout(getattr(master, "terminal", sys.stdout)):
        return runner["wireguard.export"](*args, **kwargs)


def error(master, *args, **kwargs):
    with pytest.raises(salt.exceptions.NotImplemented) as caught:
        export(master, *args, **kwargs)
    return str(caught.value)


def peers(master):
    return {row["peer"]: row for row in master.runner()["wireguard.nodes"]()["peers"]}


def everything_kept(master):
    """Of all files below the master's directories."""
    return b"".join(path.read_bytes() for path in sorted(master.root.rglob("*")) if path.is_file())


# -- the private key


def test_the_configuration_is_on_the_terminal_and_its_private_key_nowhere_else(master, terminal):
    answer = export(master, "phone")
    (private,) = PRIVATE.findall(terminal.text)
    assert private not in json.dumps(answer)
    assert private.encode() not in everything_kept(master)
    assert answer["public_key"] == peers(master)["phone"]["public_key"]


def test_a_file_is_readable_for_its_owner_alone(master, tmp_path):
    answer = export(master, "phone", file=str(tmp_path / "phone.conf"))
    text = (tmp_path / "phone.conf").read_text()
    assert stat.S_IMODE(os.stat(tmp_path / "phone.conf").st_mode) == 0o600
    assert PRIVATE.search(text)[1] not in json.dumps(answer)
    assert answer["answer"].startswith(f"the configuration of phone is in {tmp_path}/phone.conf, and its private key")


def test_the_public_key_belongs_to_the_private_one(master, tmp_path):
    answer = export(master, "phone", file=str(tmp_path / "phone.conf"))
    from saltext.wireguard.system import keypair

    assert keypair.public_of(PRIVATE.search((tmp_path / "phone.conf").read_text())[1]) == answer["public_key"]


@pytest.mark.parametrize("opts", [{"fun": "state.orchestrate"}, {"fun": None}, {"async": True}])
def test_who_would_return_it_to_the_event_bus_is_refused(master, terminal, opts):
    message = error(master, "phone", opts=opts)
    assert "must not get to the event bus or the job cache: run `salt-run wireguard.export` by hand" in message
    assert terminal.text == ""
    assert peers(master)["phone"]["configuration"] == "not exported"


def test_a_pipe_gets_nothing(master, capsys):
    assert "shown on a terminal only, and this is none" in error(master, "phone")
    assert capsys.readouterr().out == ""


def test_data_is_not_mixed_with_a_configuration(master, terminal):
    assert "with --out, give `file=`" in error(master, "phone", opts={"output": "json"})


# -- once, and again


def test_a_second_time_the_key_is_gone_and_the_ways_on_are_named(master, terminal):
    public = export(master, "phone")["public_key"]
    message = error(master, "phone")
    assert "its private key was not kept" in message
    assert f"`public_key={public}` shows" in message
    assert "with `rekey=True` it gets another key" in message


def test_rekeying_drops_the_old_key_and_keeps_the_addresses(master, terminal):
    first, second = export(master, "phone"), export(master, "phone", rekey=True)
    assert first["public_key"] != second["public_key"]
    assert first["addresses"] == second["addresses"]
    view = master.pillar("node1")["wireguard"]["networks"][NETWORK]
    assert view["peers"]["phone"]["public_key"] == second["public_key"]


def test_with_its_public_key_it_is_shown_again_with_a_placeholder(master, terminal):
    public = export(master, "phone")["public_key"]
    terminal.text = ""
    answer = export(master, "phone", public_key=public)
    assert f"PrivateKey = {external_peer.PLACEHOLDER}\n" in terminal.text
    assert answer["answer"].endswith(f"without the private key: {external_peer.PLACEHOLDER}")


def test_a_peer_may_bring_its_own_public_key(master, terminal):
    assert export(master, "phone", public_key=key("phone"))["public_key"] == key("phone")
    assert "has another" not in terminal.text
    assert "was exported on" in error(master, "phone", public_key=key("other"))


def test_a_public_key_of_the_mesh_file_is_changed_there(master, terminal):
    master.write_mesh(
        f"nodes: {{'node*': {{}}}}, peers: {{phone: {{public_key: {key('phone')}, addresses: [10.42.0.9]}}}}"
    )
    assert peers(master)["phone"]["configuration"] == "by hand"
    assert export(master, "phone")["addresses"] == ["10.42.0.9/24"]
    assert peers(master)["phone"]["configuration"] == "as exported"
    assert "the mesh file has the public key of phone" in error(master, "phone", rekey=True)


# -- what the others learn


def test_nobody_is_told_of_a_peer_before_it_is_exported(master, terminal):
    assert master.pillar("node1")["wireguard"]["networks"][NETWORK]["peers"] == {}
    export(master, "phone")
    assert list(master.pillar("node1")["wireguard"]["networks"][NETWORK]["peers"]) == ["phone"]


def test_a_configuration_is_out_of_date_once_a_node_has_another_key(master, terminal):
    export(master, "phone")
    assert peers(master)["phone"]["configuration"] == "as exported"
    master.register("node1", key("new"))
    assert peers(master)["phone"]["configuration"] == "out of date; export it again"
    export(master, "phone", public_key=peers(master)["phone"]["public_key"])
    assert peers(master)["phone"]["configuration"] == "as exported"


def test_a_plan_warns_of_a_configuration_that_an_edit_makes_out_of_date(master, terminal, tmp_path):
    export(master, "phone")
    plan = master.runner()["wireguard.plan"]
    (tmp_path / "other.yml").write_text(master.mesh.read_text().replace("{'node*': {}}", "{'node*': {port: 4444}}"))
    assert [each["where"] for each in plan(mesh=str(tmp_path / "other.yml"))["warnings"]] == ["phone"]
    assert plan(mesh=str(master.mesh))["warnings"] == []


def test_a_node_that_an_exported_peer_knows_rotates_by_force_only(master, terminal):
    """The refusal was there, and nothing ever called it."""
    rotate = master.runner()["wireguard.rotate"]
    export(master, "phone")
    with pytest.raises(
        salt.exceptions.NotImplemented, match=r"external peers \(phone\), which lose contact with a node whose key"
    ):
        rotate("node1")


def test_a_peer_of_a_network_that_got_another_name_may_keep_its_key(master, terminal):
    """The old network, which the mesh file does not have any more, had a claim on it for ever."""
    public = export(master, "phone")["public_key"]
    master.mesh.write_text(master.mesh.read_text().replace(NETWORK, "renamed"))
    settle(master.state)
    assert export(master, "phone", public_key=public)["network"] == "renamed"


# -- forms


@pytest.mark.parametrize("form", external_peer.FORMS)
def test_every_form_can_be_asked_for(master, terminal, form):
    export(master, "phone", format=form)
    assert key("node1") in terminal.text


def test_a_png_is_one(master, tmp_path):
    pytest.importorskip("segno")
    export(master, "phone", format="png", file=str(tmp_path / "phone.png"))
    assert (tmp_path / "phone.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_qr_code_is_that_of_the_configuration(master, terminal, monkeypatch):
    segno = pytest.importorskip("segno")
    made = []
    make = segno.make
    monkeypatch.setattr(segno, "make", lambda text, **kwargs: made.append(text) or make(text, **kwargs))
    export(master, "phone", format="qr")
    (text,) = made
    assert PRIVATE.search(text)
    assert "█" in terminal.text
    assert not PRIVATE.search(terminal.text)


def test_more_nodes_than_a_qr_code_holds_are_an_error_and_change_nothing(master, terminal):
    pytest.importorskip("segno")
    other = "p{0}: {{public_key: {1}, addresses: [10.42.0.{0}], endpoint: p{0}.example}}"
    lots = ", ".join(other.format(number, key(str(number))) for number in range(50, 90))
    master.write_mesh(f"nodes: {{'node*': {{}}}}, peers: {{phone: , {lots}}}")
    assert "do not fit into a QR code, which has room for 2953" in error(master, "phone", format="qr")
    assert peers(master)["phone"]["configuration"] == "not exported"


def test_without_segno_the_error_says_how_to_install_it(master, terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "segno", None)
    assert "needs the Python package segno on this machine: `salt-pip install segno`" in error(
        master, "phone", format="qr"
    )
    assert peers(master)["phone"]["configuration"] == "not exported"


# -- mistakes


def test_who_wants_to_revoke_a_phone_is_told_how(master):
    with pytest.raises(salt.exceptions.NotImplemented, match="remove it from the mesh file, or give it another key"):
        master.runner()["wireguard.revoke"]("phone")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"name": "telephone"}, "the mesh file has no peer telephone: write `peers: {telephone: }` into its network"),
        ({"network": "other"}, "network other of the mesh file has no peer phone"),
        ({"format": "windows"}, "there is no format windows; it can be wg-quick, networkd, openwrt, mikrotik, qr, png"),
        ({"format": "png"}, "format=png needs `file=`"),
        ({"file": "/no/such/dir/x"}, "/no/such/dir/x could not be written: No such file or directory; nothing was"),
        ({"file": "/etc/passwd"}, "/etc/passwd exists already; remove it, or choose another `file=`"),
        ({"public_key": "abc"}, "public key 'abc' must be 44 characters"),
        ({"public_key": key("node1")}, "is the public key of node1 in network backbone"),
        ({"public_key": key("x"), "format": "qr"}, "format=qr is of use only with the private key"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(master, terminal, words, message):
    if "qr" in words.values():
        pytest.importorskip("segno")
    assert message in error(master, **{"name": "phone", **words})
    assert terminal.text == ""
    assert peers(master)["phone"]["configuration"] == "not exported"


def test_a_terminal_that_is_gone_when_it_should_show_the_key_is_an_error_that_names_the_way_on(master, terminal):
    def gone(_):
        raise BrokenPipeError(32, "Broken pipe")

    terminal.write = gone
    assert "could not be handed out: Broken pipe. Fix the cause, and run this again with rekey=True" in error(
        master, "phone"
    )
