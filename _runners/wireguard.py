"""
What an operator asks of the master about WireGuard, and the reconcile that reactor, engine and schedule run as well.

.. code-block:: bash

    salt-run wireguard.validate
    salt-run wireguard.nodes
    salt-run wireguard.view node1
    salt-run wireguard.reconcile
"""

import functools
from typing import TYPE_CHECKING, Any

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard.control import admission as _admission
from saltext.wireguard.control import check as _check
from saltext.wireguard.control import export as _export
from saltext.wireguard.control import operator as _operator
from saltext.wireguard.control import reconcile as _reconcile
from saltext.wireguard.control import removal as _removal
from saltext.wireguard.control import rotate as _rotate
from saltext.wireguard.control import tables as _tables

if TYPE_CHECKING:
    # Salt's loader puts this here.
    __context__: dict[str, Any] = {}
    __opts__: dict[str, Any] = {}

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


# What every function below comes down to.
_run = functools.partial(_operator.run_job, globals())


@_operator.command
def validate(mesh=None):
    """
    Check the mesh file: list all its errors at once, and warn of what is probably a mistake.

    Where a master is configured, the file is judged together with its registry and accepted keys; else by itself. The
    names of endpoints are looked up, for 5 seconds at most.

    mesh
        Another file or directory to check instead of the configured one, before it goes live.

    Returns ``valid``, ``errors`` and ``warnings`` (rows of where, message), ``checked`` (what was looked at) and
    ``networks``, unless the file cannot be parsed. Exit code 1 for errors, not for warnings.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.validate
        salt-run wireguard.validate mesh=/home/me/mesh.yml --out=json
    """
    return _run(_check.validate, mesh)


@_operator.command
def plan(mesh=None, timeout=20):
    """
    What would change on which node, which live sessions that would cut off, and what drifted; nothing is touched.

    Asks the nodes to look at their devices. Where none can be asked, it says what the master can tell by itself; and
    where no master is, whether the mesh file is valid.

    mesh
        A mesh file or directory that is not live yet: what it would change in place of the present one.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``errors``, ``warnings``, ``changes`` and ``drift`` (rows of network, node, kind,
    subject, old, new, and disturbs: how many live sessions it cuts off, null where that is not known), ``relayed``
    (rows of network, hub, pairs and nodes: so many pairs of these cannot reach each other directly, and use the hub),
    ``failed`` (node: why it cannot say) and ``unreachable`` (rows of network, node, why it is out of date, last_seen).
    Exit code 0 when nothing would change, 2 when something would, 1 for an error.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.plan
        salt-run wireguard.plan mesh=/home/me/mesh.yml --out=json
    """
    return _run(_check.plan, mesh, timeout)


@_operator.command
def nodes(network=None):
    """
    Who is in which network, with which addresses, and whether its device is what it should be.

    ``in_sync`` means that the node read the wanted configuration back from its device and signed that. ``last_seen`` is
    the time of its last registration or report. ``peers`` are the external peers, and whether the configuration
    that was exported is what they need now. ``left_out`` lists nodes that the registry knows and that are no members
    now, ``warnings`` what needs a person, ``refused`` statements that the master did not believe.

    network
        Only this one.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.nodes
        salt-run wireguard.nodes network=backbone --out=json
    """
    return _run(_tables.nodes, network)


@_operator.command
def addresses(network=None):
    """
    How the subnets of each network are used, what is free in them, and what is not free yet.

    network
        Only this one.

    Returns ``pools`` (rows of network, subnet, size, used, reserved, excluded, quarantined, free, next: what the next
    node gets), ``free`` (rows of network, first, last, count), ``quarantined`` (rows of network, address, node, until)
    and ``warnings``: what stands in the way of giving nodes their addresses.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.addresses
        salt-run wireguard.addresses backbone --out=json
    """
    return _run(_tables.addresses, network)


@_operator.command
def view(node):
    """
    What the pillar of ``node`` holds under ``wireguard``.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.view node1
    """
    return _run(_tables.view, node)


@_operator.command
def hear(tag, event):
    """
    Take in what a node said in an event with the tag ``wireguard/register`` or ``wireguard/report``. For the reactor.

    The event's own words are not believed, only the signed statement in it. A new registration is followed by a
    reconcile, and so is a report of a machine that came up anew. Returns whether the event brought news.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.hear wireguard/register '{"data": {"signed": {"statement": "...", "signature": "..."}}}'
    """
    return _run(_reconcile.hear, tag, event)


@_operator.command
def reconcile(
    contact="*",
    wait=True,
    timeout=None,
    everybody=False,
    canary=None,
    batch=None,
    stop_after=None,
    force=False,
    reason="",
):
    """
    Ask every node that is out of date to fetch its pillar and apply it, and say who did.

    Compares what each node must have with what it last reported as applied, and asks the nodes that differ, and those
    that left a network and have not taken it down. Members that never registered are asked for ``state.apply
    wireguard``, which brings the modules along. Safe to run at any time, by any number at once: while one runs, all
    others together cost one more. While changes are on ``hold``, only one with ``canary`` or ``batch`` asks anybody.

    contact
        Which members that never registered are asked: ``*`` for all, or a list of minion ids that have just appeared.

    wait
        False: return at once when another reconcile waits for its turn already.

    timeout
        Seconds that a node has to answer: 20 if not given, step by step 60, in which one that cannot confirm a change
        has taken it back and says why.

    everybody
        True: ask also the nodes that are in sync for all the master knows. Finds what no node reported: a device
        that was changed by hand, or a new key whose registration was lost.

    canary
        Step by step: this node first, alone; a minion id, a glob, or a list of these. If it does not confirm, nobody
        else is asked. Members that never registered are not asked in steps.

    batch
        Step by step: so many nodes at once, a number or a percentage of the nodes to be asked, and the next ones when
        all of these have confirmed. At most 100, which is also what there is without it. 0: only the canary is asked,
        and changes stay on hold for the others.

    stop_after
        How many nodes that failed or were silent end it before the next step; 1 if not given.

    force
        True: the nodes apply also what their guard would refuse, and most of a network may leave it at once. Needs a
        ``reason``.

    reason
        For the history.

    Returns ``asked``, ``confirmed``, ``failed`` (node: error), ``silent``, ``unregistered``, ``in_sync`` (a count) and
    ``seconds``; step by step also ``answer`` (a sentence), ``stopped`` (why, or None), ``counts`` and ``not_asked``.
    Exit code 1 when a node failed or was silent, or when it stopped.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.reconcile
        salt-run wireguard.reconcile everybody=True
        salt-run wireguard.reconcile canary=web1 batch=10% stop_after=2
        salt-run wireguard.reconcile force=True reason="half of the web servers are replaced"
    """
    return _run(
        _reconcile.reconcile,
        contact=contact,
        wait=wait,
        timeout=timeout,
        everybody=everybody,
        canary=canary,
        batch=batch,
        stop_after=stop_after,
        force=force,
        reason=reason,
    )


@_operator.command
def hold(reason=""):
    """
    Put changes on hold: from now on only a reconcile with ``canary`` or ``batch`` delivers them; engine, reactor,
    rotations and plain reconciles do not. Run it before you edit the mesh file.

    A reconcile with ``canary`` or ``batch`` starts a hold as well, and releases it when it completes; after one that
    stopped, ``release`` does. ``revoke`` and ``dropped`` ignore the hold and deliver all changes, and so do nodes that
    fetch their pillar themselves, as by ``state.apply``.

    reason
        Shown to others while the hold lasts.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.hold reason="new ports, carefully"
    """
    return _run(_reconcile.hold, reason)


@_operator.command
def release():
    """
    End a hold, and bring what has changed to all nodes, as ``reconcile`` does.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.release
    """
    return _run(_reconcile.release)


# -- nodes that go


@_operator.command
def revoke(node, network=None, reason="", timeout=20):
    """
    Exclude a node at once, even while the mesh file lists it, and say who has dropped it. Lasts until ``readmit``.

    network
        Only from this one; by default from all networks that know the node.

    reason
        For the history.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``confirmed`` and ``of`` (counts), ``missing`` (rows of node, why, last_seen) and
    ``seconds``. A node counts as confirmed when it read its device back after dropping the peer. Exit code 1 when one
    is missing; it is asked again by itself when it returns.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.revoke web7 reason="stolen"
    """
    return _run(_removal.revoke, node, network, reason, timeout)


@_operator.command
def dropped(node, network=None, timeout=20):
    """
    Say who has dropped a node that was taken out of the mesh file or whose Salt key was deleted, asking who has not.

    Returns what ``revoke`` returns.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.dropped web7
    """
    return _run(_removal.dropped, node, network, timeout)


@_operator.command
def readmit(node, network=None, reason=""):
    """
    Take a revocation back. The node is a member again, under its old addresses, as far as the mesh file lists it.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.readmit web7
    """
    return _run(_removal.readmit, node, network, reason)


# -- external peers


@_operator.command
def export(name, network=None, format="wg-quick", public_key=None, file=None, rekey=False, reason=""):
    """
    Make the configuration of an external peer of the mesh file, such as a phone, a partner or a router. The private
    key is made here, handed out once, and kept nowhere. Then the nodes get the peer.

    Only ``salt-run`` itself can run this, on the master: what runs asynchronously, or for the API, a reactor or an
    orchestration, has no terminal, and its return goes to the event bus.

    name
        The peer.

    network
        Its network, where several have a peer of this name.

    format
        ``wg-quick``, ``qr`` (a QR code for the terminal) or ``png`` (one for a file); ``openwrt``, ``mikrotik`` or
        ``networkd``. QR codes need the Python package segno.

    public_key
        What ``wg pubkey`` printed on the peer, if it has a key pair already; then the configuration has a placeholder
        for the private key.

    file
        Where to write it, readable for you alone, instead of to the terminal. It must not exist yet.

    rekey
        True: give a peer that was exported before a new key. The old one is dropped.

    reason
        For the history.

    Returns ``answer`` (a sentence), ``addresses``, ``public_key``, ``unreachable`` (nodes that it can never reach, as
    neither side has an endpoint) and ``reconcile``; never the private key.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.export alice-phone format=qr
        salt-run wireguard.export branch-router format=mikrotik file=/root/branch-router.rsc
        salt-run wireguard.export alice-phone rekey=True reason="lost"
    """
    return _run(_export.export, name, network, format, public_key, file, rekey, reason)


# -- nodes that come


@_operator.command
def enroll(node, network=None):
    """
    Let a host in by ssh, which has no minion yet, or none that reaches this master. Run it again for a new key.

    Has salt-ssh sync the modules to the host, where the host makes its key pair, and stores the public key in the
    registry. That is the acceptance: the host is a member without a Salt key, until its minion has registered, or it is
    revoked. ``salt-ssh NODE state.apply wireguard`` then brings its interface up, and every later change.

    node
        Its id in the roster of salt-ssh, and in the mesh file.

    network
        Only in this one; by default in all networks that the mesh file has the host in.

    Returns ``answer`` (a sentence) and ``enrolled``: rows of network, public_key, addresses and endpoint.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.enroll host1
    """
    return _run(_admission.enroll, node, network)


@_operator.command
def pending():
    """
    The registrations that wait for an operator, where the mesh file says ``admit: manual`` or ``rekey: manual``.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.pending
    """
    return _run(_tables.pending)


@_operator.command
def admit(node, network=None, valid_for=None, public_key=None):
    """
    Let a node in, or its changed key; at once if its registration waits, else as soon as it registers.

    What waits must be what ``pending`` showed last, or all that the node has asked for; else the key has to be given.

    valid_for
        For so long only, such as ``8h`` or ``30d``; then the node is removed.

    public_key
        The key that is meant, or at least its first 8 characters: if another one waits by now, nothing is admitted.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.admit web7
        salt-run wireguard.admit guest1 valid_for=8h
        salt-run wireguard.admit web7 public_key=h7yYyu2H
    """
    return _run(_admission.admit, node, network, valid_for, public_key)


@_operator.command
def reject(node, network=None):
    """
    Say no to a registration that waits. The node stays out, or keeps its old key; the same key is refused from now on.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.reject web7
    """
    return _run(_admission.reject, node, network)


@_operator.command
def rename(old, new, reason=""):
    """
    Let a minion that has another id now go on as the same node: with its key, its addresses and its history.

    Rename the minion, accept its Salt key under the new id, and have the new id in the mesh file; then run this, and
    delete the Salt key of the old id. That the two are one machine is known from its Salt key, which stays the same. A
    revoked node is revoked under every id.

    old, new
        Minion ids.

    reason
        For the history.

    Returns what ``reconcile`` returns, and ``answer`` (a sentence).

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.rename web1 web01
    """
    return _run(_admission.rename, old, new, reason)


@_operator.command
def forget_serials(node, network=None, reason=""):
    """
    Let a node speak again whose statements are refused, because it, or this master, had a clock that was ahead. Old
    statements of it stay refused.

    network
        Only in this one; by default in all networks that know the node.

    reason
        For the history.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.forget_serials web7
    """
    return _run(_admission.forget_serials, node, network, reason)


# -- nodes that change keys


@_operator.command
def rotate(node, network=None, timeout=20, force=False):
    """
    Give nodes new keys, one after the other, without an outage: all peers know the new key before the node uses it.

    node
        A minion id or a glob; ``'*'`` for all.

    network
        Only in this one; by default in all networks of the node.

    timeout
        Seconds that a node has to answer.

    force
        Also in networks with external peers that have a key: they lose the node until they are exported again, or are
        given its new key by hand.

    Returns a row for each: ``network``, ``node``, ``rotated``, ``comment``, ``seconds``. Exit code 1 when one failed;
    its comment says with which key it goes on.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.rotate web7
        salt-run wireguard.rotate '*' network=backbone
    """
    return _run(_rotate.rotate, node, network, timeout, force)


@_operator.command
def rotate_due(limit=1):
    """
    Rotate the keys that are due by ``rotate_every`` in the mesh file, the oldest first. The engine runs this; without
    the engine, let the master's schedule run it every few minutes.

    limit
        At most so many nodes in one call.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.rotate_due
    """
    return _run(_rotate.rotate_due, limit)


@_operator.command
def rotate_secret(reason="", timeout=20, force=False):
    """
    Give all pairs of nodes other preshared keys, by making another secret for these, and reconcile.

    Live sessions go on, and are renewed with the new keys when both ends have them. Nothing is changed when a node does
    not answer: it would have no tunnels until its next sync, which one that reaches the master only through the mesh
    could never ask for. External peers with ``preshared_key: true`` need their new keys by hand.

    reason
        For the history.

    timeout
        Seconds that a node has to answer.

    force
        True: also while nodes do not answer, all of which reach the master without the mesh.

    Returns what ``reconcile`` returns.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.rotate_secret reason="an administrator left"
    """
    return _run(_rotate.rotate_secret, reason, timeout, force)


@_operator.command
def history(node=None, limit=50):
    """
    What happened to a node, or to all: who came, went, changed keys, was refused; by whose doing, and why.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.history
        salt-run wireguard.history web7 limit=500 --out=json
    """
    return _run(_tables.history, node, limit)
