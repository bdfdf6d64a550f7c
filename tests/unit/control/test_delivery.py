"""Where the configuration of an external peer goes."""

import os
import stat

import pytest

from saltext.wireguard.control.delivery import Delivery, picture
from saltext.wireguard.errors import ConfigError

TEXT = "[Interface]\nPrivateKey = secret\n"


def test_a_file_is_complete_and_for_its_owner_only(tmp_path):
    with Delivery("wg-quick", tmp_path / "phone.conf").ready(TEXT) as deliver:
        assert not (tmp_path / "phone.conf").exists()
        deliver()
    assert (tmp_path / "phone.conf").read_text() == TEXT
    assert stat.S_IMODE((tmp_path / "phone.conf").stat().st_mode) == 0o600


def test_nothing_is_left_of_a_file_that_is_not_delivered(tmp_path):
    with pytest.raises(RuntimeError), Delivery("wg-quick", tmp_path / "phone.conf").ready(TEXT):
        raise RuntimeError("the key was refused")
    assert os.listdir(tmp_path) == []


def test_a_file_that_cannot_be_written_is_an_error_before_anything_is_exported(tmp_path):
    with (
        pytest.raises(ConfigError, match=r"phone.conf could not be written: No such file or directory; nothing was"),
        Delivery("wg-quick", tmp_path / "missing" / "phone.conf").ready(TEXT),
    ):
        pass


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "phone.conf").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"phone.conf exists already; remove it, or choose another `file=`"):
        Delivery("wg-quick", tmp_path / "phone.conf")


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ("doc", "there is no format doc; it can be "),
        ("wg-quick", "the configuration is shown on a terminal only, and this is none"),
    ],
)
def test_where_it_cannot_go_is_said_at_once(form, reason):
    with pytest.raises(ConfigError, match=reason):
        Delivery(form, None)


def test_a_picture_for_a_file_is_a_png_and_one_for_a_terminal_is_text():
    pytest.importorskip("segno")
    assert picture(TEXT, "png").startswith(b"\x89PNG")
    assert "\u2588" in picture(TEXT, "qr")


def test_a_configuration_that_no_qr_code_can_hold_says_what_to_do():
    pytest.importorskip("segno")
    with pytest.raises(ConfigError, match=r"3000 bytes do not fit into a QR code.*link the peer with fewer"):
        picture("x" * 3000, "png")


def test_a_picture_on_the_terminal_needs_a_file():
    pytest.importorskip("segno")
    with pytest.raises(ConfigError, match="format=png needs `file=`"):
        Delivery("png", None)
