"""
What a minion's WireGuard interfaces should be.

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

from typing import TYPE_CHECKING, Any

from salt.exceptions import CommandExecutionError

if TYPE_CHECKING:
    # Salt's loader puts these here.
    __opts__: dict[str, Any] = {}
    __salt__: dict[str, Any] = {}

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


def present(
    name,
    addresses=None,
    private_key_file=None,
    port=None,
    mtu=None,
    peers=None,
    wait=15,
    force=False,
    reason=None,
):
    """
    Make a network or an interface what it should be. Touches only what differs, and other tunnels not at all.

    name
        With ``addresses``: the interface. Without: the network of the mesh file that the pillar describes, or an
        interface of ``wireguard:interfaces`` in the pillar.

    addresses
        List of the interface's addresses with prefix length.

    private_key_file
        A file on the minion; by default ``/etc/wireguard/<interface>.key``, made when it is missing.

    port, mtu
        When not given, the port is the system's choice, and the MTU what fits through the paths to the peers.

    peers
        ``{name: {public_key, allowed_ips, endpoint, keepalive}}``; ``endpoint`` is ``host:port``.

    wait
        For a network: seconds to wait for the master to take in a first registration.

    force, reason
        Refuse no change that is more often a mistake than meant, and say why: the minion's log has the reason.
    """
    if addresses is None:
        explicit = {"private_key_file": private_key_file, "port": port, "mtu": mtu, "peers": peers}
        given = sorted(key for key, value in explicit.items() if value is not None)
        if given:
            return _failed(name, f"{', '.join(given)} without `addresses`: list those of interface {name} as well")
        return _apply(
            name,
            lambda: __salt__["wireguard.apply"](name, test=__opts__["test"], wait=wait, force=force, reason=reason)[
                name
            ],
        )
    return _apply(
        name,
        lambda: __salt__["wireguard.apply_interface"](
            name,
            addresses,
            private_key_file=private_key_file,
            port=port,
            mtu=mtu,
            peers=peers,
            test=__opts__["test"],
            force=force,
            reason=reason,
        ),
    )


def absent(name):
    """
    Take an interface of ours down: device, configuration file and service. Its key file is kept under another name.

    name
        The interface.
    """
    return _apply(name, lambda: __salt__["wireguard.remove"](name, test=__opts__["test"]))


def gone(name, networks):
    """
    Take down the interfaces of all networks that this minion has been in, but for these. Interfaces that were described
    by hand stay.

    networks
        List of those to keep.
    """

    def remove_all():
        left = __salt__["wireguard.gone"](networks)
        removed = {each: __salt__["wireguard.remove"](each, test=__opts__["test"]) for each in left}
        return {
            "result": None if removed and __opts__["test"] else True,
            "changes": {interface: each["changes"] for interface, each in removed.items()},
            "comment": "; ".join(each["comment"] for each in removed.values())
            or "This minion has nothing of a network that it is not in",
        }

    return _apply(name, remove_all)


def _apply(name, action):
    try:
        return {"name": name, **action()}
    except CommandExecutionError as exc:
        return _failed(name, str(exc))


def _failed(name, comment):
    return {"name": name, "result": False, "changes": {}, "comment": comment}
