"""What a node's files say, and the names of its boots."""

import pytest

from saltext.wireguard.node import config_files


def booted(monkeypatch, boot_id, stat):
    """The name of a boot on a machine where the kernel says this of itself and of its first process."""
    texts = {"/proc/sys/kernel/random/boot_id": f"{boot_id}\n", "/proc/1/stat": stat}
    monkeypatch.setattr(config_files.files, "read", texts.__getitem__)
    return config_files.boot_name()


def stat(start, name="systemd"):
    return f"1 ({name}) S 0 1 1 0 -1 4194560 0 0 0 0 1 2 3 4 20 0 1 0 {start} 171900928 3219 18446744073709551615 1 1\n"


def test_a_container_that_comes_back_to_a_host_has_another_boot_than_before(monkeypatch):
    """It went from one host to another and back, was taken for a copy of itself, and took its interface down."""
    names = [booted(monkeypatch, boot_id, stat(start)) for boot_id, start in (("a", 700), ("b", 90), ("a", 9100))]
    assert names == ["a/700", "b/90", "a/9100"]


@pytest.mark.parametrize("name", ["systemd", "tini -- x", "a) S 0 (b"])
def test_the_start_is_found_whatever_the_first_process_is_called(monkeypatch, name):
    assert booted(monkeypatch, "a", stat(2, name)) == "a/2"


def test_where_the_first_process_is_hidden_the_boot_id_alone_counts(monkeypatch):
    assert booted(monkeypatch, "a", "") == "a"
