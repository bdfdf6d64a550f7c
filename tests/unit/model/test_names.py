"""What machines, minions and interfaces can be called."""

import pytest

from saltext.wireguard.model.names import is_dns_name, is_host_name, is_id, is_interface, is_like_another_device

LONG = ".".join(["x" * 50] * 5)  # 254 characters


@pytest.mark.parametrize("name", ["a", "A", "7", "web-1", "db_1.example.com", "10.0.0.1", "x" * 63, LONG[1:]])
def test_an_id_is_made_like_a_host_name(name):
    assert is_id(name)


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "-a", "a-", "a.-b", "x" * 64, LONG, "a b", "a/b", "a\n"])
def test_what_is_not_made_like_a_host_name_is_no_id(name):
    assert not is_id(name)
    assert not is_host_name(name)


@pytest.mark.parametrize("name", ["*", "ü", "$a", "a;b", "a'b", '"a"', "a#b", "a=b", "%s", "{a}"])
def test_what_means_something_in_a_command_or_a_file_is_no_id(name):
    assert not is_id(name)


@pytest.mark.parametrize("name", ["10.0.0.1", "web.1", "7", "localhost", "web.LocalHost"])
def test_an_address_and_this_very_machine_are_ids_and_no_host_names(name):
    assert is_id(name)
    assert not is_host_name(name)


def test_a_resolver_can_be_asked_for_a_name_with_a_dot_at_its_end_and_for_one_with_an_underscore():
    """Resolvers take an underscore, and clouds and compose files name machines so: it was refused."""
    assert is_dns_name("vpn.example.com.")
    assert not is_dns_name("vpn.example.com..")
    assert is_dns_name("vpn_1.example.com")


@pytest.mark.parametrize("name", ["wg0", "w", "w" * 15, "backbone", "a=b", "a+b", "a.b", "_a"])
def test_an_interface_can_have_a_name_that_wg_quick_takes(name):
    assert is_interface(name)


@pytest.mark.parametrize(
    "name", ["", "w" * 16, "-a", "a b", "a/b", "a:1", "ü", "wg0\n", ".", "..", "lo", "all", "default"]
)
def test_an_interface_cannot_have_the_name_of_an_option_a_path_or_a_kernel_file(name):
    assert not is_interface(name)


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "wlp2s0", "br0", "docker0", "tun0", "eth0.7"])
def test_a_name_that_other_devices_have_is_noticed(name):
    assert is_like_another_device(name)


@pytest.mark.parametrize("name", ["wg0", "backbone", "eth", "my-eth0", "ethernet"])
def test_a_name_that_only_begins_like_that_of_another_device_is_not(name):
    assert not is_like_another_device(name)
