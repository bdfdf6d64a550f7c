"""Operations on the interface itself."""

from factories import change
from saltext.wireguard.device.operations import Operation
from unit.device.views_and_devices import OWN, argvs, device, key, operations, view


def test_a_device_that_does_not_exist_is_created_first():
    first, *_ = operations(view(), None)
    assert first == Operation(change("device", None, "wg0"), ("ip", "link", "add", "dev", "wg0", "type", "wireguard"))


def test_a_wrong_private_key_is_set_by_the_path_of_its_file():
    assert argvs(view(), device(public_key=key("other"))) == ["wg set wg0 private-key /etc/wireguard/wg0.key"]


def test_the_change_of_a_private_key_shows_public_keys_only():
    (operation,) = operations(view(), device(public_key=key("other")))
    assert (operation.change.old, operation.change.new) == ({"public_key": key("other")}, {"public_key": OWN})


def test_a_wrong_port_is_set():
    assert argvs(view(port=51821), device()) == ["wg set wg0 listen-port 51821"]


def test_a_wrong_mtu_is_set():
    assert argvs(view(mtu=1380), device()) == ["ip link set dev wg0 mtu 1380"]


def test_an_mtu_too_small_for_ipv6_is_set_after_the_ipv6_addresses_went():
    assert argvs(view(mtu=1200), device(addresses=["10.42.0.1/16", "fd42::1/64"])) == [
        "ip address del fd42::1/64 dev wg0",
        "ip link set dev wg0 mtu 1200",
    ]


def test_a_link_that_is_down_is_set_up():
    assert argvs(view(), device(up=False)) == ["ip link set dev wg0 up"]
