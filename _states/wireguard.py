"""
The WireGuard interfaces that a minion should have.

.. code-block:: yaml

    backbone:                       # a network of the mesh file, or an interface, as the pillar has it
      wireguard.present: []

    wg1:                            # an interface described right here, without a mesh file
      wireguard.present:
        - addresses: [10.9.0.1/24]
        - port: 51821
        - peers:
            router:
              public_key: xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
              allowed_ips: [10.9.0.2/32]
              endpoint: router.example.com:51820

    wg9:
      wireguard.absent: []

    interfaces of other networks:
      wireguard.gone:
        - networks: [backbone]
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from salt.exceptions import CommandExecutionError

if TYPE_CHECKING:
    # Salt's loader puts these here.
    __opts__: dict[str, Any] = {}
    __salt__: dict[str, Any] = {}

__virtualname__ = "wireguard"


def __virtual__() -> str:
    return __virtualname__


def present(
    name: str,
    addresses: list[str] | None = None,
    private_key_file: str | None = None,
    port: int | None = None,
    mtu: int | None = None,
    peers: dict[str, Any] | None = None,
    wait: float = 15,
    force: bool = False,
    reason: str | None = None,
) -> dict[str, Any]:
    """
    Make a network or an interface what it should be. Touches only what differs; other tunnels are left alone.

    name
        With ``addresses``: the interface. Without: the network of the mesh file that the pillar describes, or an
        interface of ``wireguard:interfaces`` in the pillar.

    addresses
        List of the interface's addresses with prefix length.

    private_key_file
        A file on the minion; by default ``/etc/wireguard/<interface>.key``, created if it is missing.

    port, mtu
        By default, the system chooses the port, and the MTU is the largest that fits the paths to the peers.

    peers
        ``{name: {public_key, allowed_ips, endpoint, keepalive}}``; ``endpoint`` is ``host:port``.

    wait
        For a network: seconds to wait for the master to accept a first registration.

    force, reason
        Make even a change that would otherwise be refused as a likely mistake. The reason goes into the minion's log.
    """
    common = {"test": __opts__["test"], "force": force, "reason": reason}
    explicit = {"private_key_file": private_key_file, "port": port, "mtu": mtu, "peers": peers}
    if addresses is not None:
        return _result(name, lambda: __salt__["wireguard.apply_interface"](name, addresses, **explicit, **common))
    given = sorted(key for key, value in explicit.items() if value is not None)
    if given:
        return _failed(name, f"{', '.join(given)} without `addresses`: list the addresses of interface {name} too")
    return _result(name, lambda: __salt__["wireguard.apply"](name, wait=wait, **common)[name])


def absent(name: str) -> dict[str, Any]:
    """
    Take an interface of ours down: device, configuration file and service. Its key file is kept under another name.

    name
        The interface.
    """
    return _result(name, lambda: __salt__["wireguard.remove"](name, test=__opts__["test"]))


def gone(name: str, networks: list[str]) -> dict[str, Any]:
    """
    Take down the interfaces of all networks that this minion has left. Interfaces described by hand stay.

    networks
        List of the networks to keep.
    """

    def remove_all() -> dict[str, Any]:
        left = __salt__["wireguard.gone"](networks)
        removed = {each: __salt__["wireguard.remove"](each, test=__opts__["test"]) for each in left}
        return {
            "result": None if removed and __opts__["test"] else True,
            "changes": {interface: each["changes"] for interface, each in removed.items()},
            "comment": "; ".join(each["comment"] for each in removed.values())
            or "This minion has nothing of a network that it is not in",
        }

    return _result(name, remove_all)


def cleaned(name: str, purge: bool = False, force: bool = False, reason: str | None = None) -> dict[str, Any]:
    """
    Take everything of ours off this machine; see ``wireguard.clean`` of the execution module.

    purge
        True: remove the keys of interfaces that are gone as well.

    force, reason
        Also where the pillar still has a network for this minion, or the master is reached through it. The reason goes
        into the minion's log.
    """
    given = {"purge": purge, "test": __opts__["test"], "force": force, "reason": reason}
    return _result(name, lambda: __salt__["wireguard.clean"](**given))


def _result(name: str, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"name": name, **action()}
    except CommandExecutionError as exc:
        return _failed(name, str(exc))


def _failed(name: str, comment: str) -> dict[str, Any]:
    return {"name": name, "result": False, "changes": {}, "comment": comment}
