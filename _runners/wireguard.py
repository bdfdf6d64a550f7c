"""
What an operator asks of the master about WireGuard, and the reconcile that reactor, engine and schedule call as well.

.. code-block:: bash

    salt-run wireguard.validate
    salt-run wireguard.nodes
    salt-run wireguard.view node1
    salt-run wireguard.reconcile
"""

import contextlib
import fnmatch
import logging
import time

import salt.exceptions
import salt.utils.user

from saltext.wireguard.control.bus import Bus, has_master
from saltext.wireguard.control.bus import announce as _announce
from saltext.wireguard.control.check import check
from saltext.wireguard.control.export import Delivery
from saltext.wireguard.control.export import export as _export
from saltext.wireguard.control.plan import NodeQuery, Plan, PlanResult
from saltext.wireguard.control.progress import Progress
from saltext.wireguard.control.reconciler import Reconciler
from saltext.wireguard.control.rotation import Rotation, RotationFailed
from saltext.wireguard.control.ssh import Ssh
from saltext.wireguard.errors import ConfigError, LossError, MeshError, Problem, RefusedError, WireguardError
from saltext.wireguard.formats import external_peer
from saltext.wireguard.master.decisions import admit as _admit
from saltext.wireguard.master.decisions import enroll as _enroll
from saltext.wireguard.master.decisions import networks_of as _networks_of
from saltext.wireguard.master.decisions import networks_to_enroll as _networks_to_enroll
from saltext.wireguard.master.external_peers import find_peer as _find_peer
from saltext.wireguard.master.external_peers import peer_statuses as _peer_statuses
from saltext.wireguard.master.intake import hear as _hear
from saltext.wireguard.master.master import Master
from saltext.wireguard.master.rotations import due_for_rotation as _due_for_rotation
from saltext.wireguard.master.rotations import nodes_with_preshared_keys as _nodes_with_preshared_keys
from saltext.wireguard.master.rotations import renew_secret as _renew_secret
from saltext.wireguard.master.status import calls_for_reconcile as _calls_for_reconcile
from saltext.wireguard.master.status import just_booted as _just_booted
from saltext.wireguard.master.status import left_out as _left_out
from saltext.wireguard.master.status import own_removal as _own_removal
from saltext.wireguard.master.status import registered as _registered
from saltext.wireguard.master.status import revoked as _revoked
from saltext.wireguard.master.status import statuses as _statuses
from saltext.wireguard.master.warnings import address_warnings as _address_warnings
from saltext.wireguard.master.warnings import usage as _usage
from saltext.wireguard.master.warnings import warnings as _warnings
from saltext.wireguard.meshfile.duration import parse_duration as _parse_duration
from saltext.wireguard.meshfile.load import load_mesh as _load_mesh
from saltext.wireguard.review.lint import Findings
from saltext.wireguard.rollout import staged
from saltext.wireguard.rollout.hold import current_hold as _current_hold
from saltext.wireguard.rollout.hold import put_on_hold as _put_on_hold
from saltext.wireguard.rollout.hold import release_hold as _release_hold
from saltext.wireguard.rollout.lock import reconcile_lock as _reconcile_lock
from saltext.wireguard.wording import some

log = logging.getLogger(__name__)

__virtualname__ = "wireguard"


def __virtual__():
    return __virtualname__


@contextlib.contextmanager
def _salt_errors():
    """Translate our errors into the only one that ``salt-run`` prints as its message instead of a traceback."""
    try:
        yield
    except WireguardError as exc:
        raise salt.exceptions.NotImplemented(str(exc)) from exc


def _shown(data, failed=False):
    """As ``salt-run`` prints it, with an exit code of 1 if ``failed``."""
    return {"outputter": "wireguard", "data": {**data, "retcode": 1} if failed else data}


def validate(mesh=None):
    """
    Check the mesh file, and say all that is wrong with it at once, and what is probably not meant.

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
    with _salt_errors():
        master = _master_unless(mesh)
        path = mesh or master.mesh_path
        try:
            parsed = _load_mesh(path)
        except MeshError as exc:
            return _shown({"valid": False, "errors": _problems(exc.problems)}, failed=True)
        findings = check(parsed, master)
    networks = [
        {
            "network": network.name,
            "interface": network.interface,
            "subnets": [str(subnet) for subnet in network.subnets],
            "node entries": len(network.nodes),
            "peers": len(network.peers),
        }
        for network in parsed.networks
    ]
    answer = {
        "valid": not findings.errors,
        "errors": _problems(findings.errors),
        "warnings": _problems(findings.warnings),
        "checked": ["mesh file", "registry", "accepted keys"] if master else ["mesh file"],
        "networks": networks,
    }
    return _shown(answer, failed=bool(findings.errors))


def _master_unless(mesh):
    """A mesh file that is named can be judged where no master is configured, too: then None."""
    try:
        return Master.from_opts(__opts__)
    except ConfigError:
        if mesh:
            return None
        raise


def _problems(problems):
    return [{"where": each.where, "message": each.message} for each in problems]


def plan(mesh=None, timeout=20):
    """
    What would change on which node, which live sessions that would cut off, and what drifted; nothing is touched.

    Asks the nodes to look at their devices. Where none can be asked, it says what the master can tell by itself; and
    where no master is, whether the mesh file is valid.

    mesh
        A mesh file or directory that is not live yet: what it would change in place of the present one.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``errors``, ``warnings``, ``changes`` and ``drift`` (rows of network, node,
    subject, old, new, and disturbs: how many live sessions it cuts off, null where that is not known), ``relayed``
    (rows of network, hub, pairs and nodes: so many pairs of these cannot call each other, and meet by way of the hub),
    ``failed`` (node: why it cannot say) and ``unreachable`` (rows of network, node, why it is out of date, last_seen).
    Exit code 0 when nothing would change, 2 when something would, 1 for an error.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.plan
        salt-run wireguard.plan mesh=/home/me/mesh.yml --out=json
    """
    with _salt_errors():
        master = _master_unless(mesh)
        path = mesh or master.mesh_path
        try:
            parsed = _load_mesh(path)
            running = master is not None and has_master(__opts__)
            if not running and not (master and master.registry.exists()):
                return _planned(
                    "the mesh file was checked by itself: there is no salt-master here, and no registry", check(parsed)
                )
            findings = check(parsed, master)
            with Bus(__opts__) if running else contextlib.nullcontext() as bus:
                plans = Plan(master, NodeQuery(bus, timeout, Progress(_say)) if bus else None)
                outlook = plans.edited(parsed) if mesh else plans.present()
        except MeshError as exc:
            return _planned("the mesh file cannot be applied", Findings(errors=exc.problems))
        except (LossError, RefusedError) as exc:
            return _planned("the mesh file cannot be applied", Findings(errors=(Problem(path, 0, str(exc)),)))
        answer = outlook.answer() + ("" if running else "; nobody was asked, as no salt-master runs here")
        return _planned(answer, findings, outlook, _warnings(master.moment()))


def _planned(answer, findings, outlook=None, warnings=()):
    outlook = outlook or PlanResult()
    again = "its exported configuration would be out of date: export it again then, see `salt-run wireguard.nodes`"
    data = {
        "answer": answer,
        "errors": _problems(findings.errors),
        "warnings": _problems(findings.warnings)
        + [{"where": "registry", "message": text} for text in warnings]
        + [{"where": name, "message": again} for name in outlook.outdated],
        "changes": [step.to_dict() for step in outlook.changes],
        "drift": [step.to_dict() for step in outlook.drift],
        "relayed": [
            {"network": network, "hub": each.hub, "pairs": each.pairs, "nodes": list(each.nodes)}
            for network, each in findings.relayed
        ],
        "failed": outlook.failed,
        "unreachable": [
            {"network": each.network, "node": each.node, "why": each.why, "last_seen": _time(each.seen)}
            for each in outlook.unreachable
        ],
    }
    code = 1 if findings.errors or outlook.failed else 0 if outlook.is_quiet else 2
    return _shown({**data, "retcode": code} if code else data)


def nodes(network=None):
    """
    Who is in which network, with which addresses, and whether its device is what it should be.

    ``in_sync`` means that the node read the wanted configuration back from its device and signed that. ``last_seen`` is
    the time of its last registration or report. ``peers`` are those that are not minions, and whether the configuration
    that was exported is what they need now. ``left_out`` lists nodes that the registry knows and that are no members
    now, ``warnings`` what needs a person, ``refused`` statements that the master did not believe.

    network
        Only this one.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.nodes
        salt-run wireguard.nodes network=backbone --out=json
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        moment = master.moment()
        statuses = sorted(_statuses(moment), key=lambda status: (status.network, status.member.node))
        table = [_node(status) for status in statuses if network in (None, status.network)]
        peers = [_client(each) for each in _peer_statuses(moment) if network in (None, each.network)]
        refused = [
            {
                "node": refusal.node,
                "network": refusal.network,
                "count": refusal.count,
                "last": _time(refusal.last),
                "reason": refusal.reason,
            }
            for refusal in master.registry.refusals()
        ]
        left_out = [
            {"network": name, "node": node, "why": why}
            for name, node, why in _left_out(moment)
            if network in (None, name)
        ]
        warnings = _warnings(moment)
    return _shown({"nodes": table, "peers": peers, "left_out": left_out, "warnings": warnings, "refused": refused})


def _node(status):
    row = status.member.row
    return {
        "network": status.network,
        "node": status.member.node,
        "addresses": [str(address) for address in status.member.addresses],
        "public_key": row.public_key if row else None,
        "endpoint": _endpoint_of(status.member.settings.endpoint, row),
        "in_sync": status.reason is None,
        "why": status.reason,
        "last_seen": _time(status.seen),
    }


def _client(each):
    peer = each.peer
    if each.export:
        state = "as exported" if each.is_current else "out of date; export it again"
    else:
        state = "by hand" if peer.public_key else "not exported"
    return {
        "network": each.network,
        "peer": peer.name,
        "addresses": [str(address) for address in peer.addresses],
        "public_key": peer.public_key,
        "exported": _time(each.export.exported if each.export else 0),
        "configuration": state,
    }


def _endpoint_of(configured, row):
    if configured is False:
        return "none: it calls the others"
    if configured:
        return ", ".join(map(str, configured))
    return row.endpoints[0] if row and row.endpoints else None


def _time(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "never"


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
    with _salt_errors():
        master = Master.from_opts(__opts__)
        moment = master.moment()
        usages = {name: usage for name, usage in _usage(moment).items() if network in (None, name)}
        if network and not usages:
            raise ConfigError(f"there is no network {network} in the mesh file {master.mesh_path}")
        pools = [pool for usage in usages.values() for pool in usage.pools()]
        quarantined = [(name, *each) for name, usage in usages.items() for each in usage.quarantined()]
        warnings = _address_warnings(moment)
    return _shown(
        {
            "pools": [_pool(pool) for pool in pools],
            "free": [
                {
                    "network": pool.network,
                    "first": str(hole.first),
                    "last": str(hole.last),
                    "count": int(hole.last) - int(hole.first) + 1,
                }
                for pool in pools
                for hole in pool.holes
            ],
            "quarantined": [
                {"network": name, "address": str(holding.address), "node": holding.node, "until": _time(until)}
                for name, holding, until in quarantined
            ],
            "warnings": warnings,
        }
    )


def _pool(pool):
    counts = ("size", "used", "reserved", "excluded", "quarantined", "free")
    return {
        "network": pool.network,
        "subnet": str(pool.subnet),
        **{name: getattr(pool, name) for name in counts},
        "next": str(pool.next) if pool.next else None,
    }


def view(node):
    """
    What the pillar of ``node`` holds under ``wireguard``.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.view node1
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        if not master.is_trusted(node):
            raise ConfigError(f"{node} is not an accepted minion: see `salt-key -L`")
        networks = {name: each.to_dict() for name, each in master.moment().fleet().views(node).items()}
        if not networks:
            raise ConfigError(f"{node} is in no network of the mesh file {master.mesh_path}")
    return {"networks": networks}


def hear(tag, event):
    """
    Take in what a node said in an event with the tag ``wireguard/register`` or ``wireguard/report``. For the reactor.

    The event's own words are not believed, only the signed statement in it. A new registration is followed by a
    reconcile, and so is a report of a machine that came up anew. Returns whether the event brought news.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.hear wireguard/register '{"data": {"signed": {"statement": "...", "signature": "..."}}}'
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        news = _hear(master, tag, event)
        if news and _calls_for_reconcile(master, tag, event):
            reconcile(contact=[], wait=False)
        else:
            _announce(__opts__, master)
    return news


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
        True: ask also the nodes that are in sync for all the master knows. Finds what nobody told it: a device that was
        changed by hand, or a new key whose registration was lost.

    canary
        Step by step: this node first, alone; a minion id, a glob, or a list of these. If it does not confirm, nobody
        else is asked. Members that never registered are not asked in steps.

    batch
        Step by step: so many nodes at once, a number or a percentage of the nodes to be asked, and the next ones when
        all of these have confirmed. At most 100, which is also what there is without it.

    stop_after
        How many nodes that failed or were silent end it before the next step; 1 if not given.

    force
        True: the nodes apply also what their guard would refuse, and most of a network may leave it at once. Needs a
        ``reason``.

    reason
        For the history.

    Returns ``asked``, ``confirmed``, ``failed`` (node: error), ``silent``, ``unregistered``, ``in_sync`` (a count) and
    ``seconds``; step by step also ``answer`` (a sentence), ``stopped`` (why, or None), ``counts`` and ``not asked``.
    Exit code 1 when a node failed or was silent, or when it stopped.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.reconcile
        salt-run wireguard.reconcile everybody=True
        salt-run wireguard.reconcile canary=web1 batch=10% stop_after=2
        salt-run wireguard.reconcile force=True reason="half of the web servers are replaced"
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        forced = _forced(force, reason)
        in_steps = staged.parse_stages(canary, batch, stop_after, _registered(master.moment()) if canary else ())
        with _reconcile_lock(master.state_dir, wait=wait) as ours:
            if not ours:
                return _shown({"queued": "another reconcile is about to start and will see this"})
            on_hold = _current_hold(master.state_dir)
            if on_hold and not in_steps:
                _announce(__opts__, master)
                return _shown({"held": on_hold}, failed=True)
            if in_steps:
                _put_on_hold(master.state_dir, _operator(), "step by step")
            booted = _just_booted(master.moment())
            patience = timeout or (60 if in_steps else 20)
            suspects = "*" if everybody else booted
            with Bus(__opts__) as bus:
                asking = Reconciler(
                    master, bus, contact, patience, _say, suspects=suspects, steps=in_steps, forced=forced
                )
                result = asking.run()
            if in_steps and not result["stopped"]:
                _release_hold(master.state_dir)
            master.registry.settle_boots(booted.difference(result["silent"], result.get("not asked", ())))
        _announce(__opts__, master)
    failed = bool(result["failed"] or result["silent"] or result.get("stopped"))
    if failed:
        log.warning("wireguard: reconcile: failed: %s; silent: %s", result["failed"], result["silent"])
    return _shown(result, failed)


def hold(reason=""):
    """
    Let changes reach the nodes step by step only: neither engine nor reactor brings them any from now on, nor does a
    rotation, or a reconcile without ``canary`` and ``batch``. Run it before you edit the mesh file.

    Such a reconcile holds as well, and releases when it gets to its end; after one that stopped, ``release`` does. Not
    held are ``revoke`` and ``dropped``, which bring all changes along, and nodes that fetch their pillar themselves, as
    by ``state.apply``.

    reason
        For whoever wonders.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.hold reason="new ports, carefully"
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        with _reconcile_lock(master.state_dir):  # what runs already gets to its end
            _put_on_hold(master.state_dir, _operator(), " ".join(str(reason).split()))
        return _shown({"held": _current_hold(master.state_dir)})


def release():
    """
    End a hold, and bring what has changed to all nodes, as ``reconcile`` does.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.release
    """
    with _salt_errors():
        _release_hold(Master.from_opts(__opts__).state_dir)
    return reconcile()


def _forced(force, reason):
    """Who overrides the guards, and why; None if nobody does."""
    why = str(reason or "").strip()
    if force and not why:
        raise ConfigError("force=True needs a reason, for the history: reason='...'")
    return (_operator(), why) if force else None


# -- nodes that go


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
    with _salt_errors():
        master = Master.from_opts(__opts__)
        networks = _networks_of(master.moment(), node, network)
        for name in networks:
            master.registry.revoke(name, node, _operator(), reason)
        try:
            return _pursue_removal(master, node, networks, timeout)
        except (MeshError, LossError) as exc:
            raise ConfigError(
                f"{node} is revoked, but NOBODY HAS DROPPED IT YET, as no node can be told anything: {exc}\nPut that"
                f" right, and run `salt-run wireguard.dropped {node}`"
            ) from exc


def dropped(node, network=None, timeout=20):
    """
    Say who has dropped a node that was taken out of the mesh file or whose Salt key was deleted, asking who has not.

    Returns what ``revoke`` returns.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.dropped web7
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        networks = _networks_of(master.moment(), node, network)
        joined = master.moment().fleet().networks
        still = [name for name in networks if name in joined and node in joined[name].members]
        if still:
            raise ConfigError(
                f"{node} is a member of {', '.join(still)}. To remove it, take it out of the mesh file, delete its Salt"
                f" key by `salt-key -d {node}`, or run `salt-run wireguard.revoke {node}`"
            )
        return _pursue_removal(master, node, networks, timeout)


def _pursue_removal(master, node, networks, timeout):
    started = time.monotonic()
    with _reconcile_lock(master.state_dir), Bus(__opts__) as bus:
        Reconciler(master, bus, [], timeout, _say).run()
    _announce(__opts__, master)
    moment = master.moment()
    members = {}  # a node in two networks has dropped the peer when both say so
    for status in _statuses(moment):
        if status.network in networks and status.member.row:
            members.setdefault(status.member.node, []).append(status)
    missing = [
        {"node": name, "why": reasons[0], "last_seen": _time(max(status.seen for status in statuses))}
        for name, statuses in sorted(members.items())
        for reasons in [[status.reason for status in statuses if status.reason]]
        if reasons
    ]
    seconds = round(time.monotonic() - started, 2)
    answer = f"{len(members) - len(missing)} of {len(members)} nodes have dropped {node} ({seconds:g} s)"
    if missing:
        answer += "; not confirmed: " + ", ".join(f"{row['node']} (last seen {row['last_seen']})" for row in missing)
    return _shown(
        {
            "answer": answer,
            "node": node,
            "networks": networks,
            "confirmed": len(members) - len(missing),
            "of": len(members),
            "missing": missing,
            "node itself": _own_removal(moment, node, networks),
            "seconds": seconds,
        },
        failed=bool(missing),
    )


def readmit(node, network=None, reason=""):
    """
    Take a revocation back. The node is a member again, under its old addresses, as far as the mesh file lists it.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.readmit web7
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        networks = [
            name for name in _networks_of(master.moment(), node, network) if (name, node) in _revoked(master.moment())
        ]
        if not networks:
            raise ConfigError(f"{node} is not revoked{f' in network {network}' if network else ''}")
        for name in networks:
            master.registry.readmit(name, node, _operator(), reason)
    return reconcile(contact=[node])


# -- peers that are not minions


def export(name, network=None, format="wg-quick", public_key=None, file=None, rekey=False, reason=""):
    """
    Make the configuration of a peer of the mesh file that is not a minion: a phone, a partner, a router. Once: the
    private key is made here, handed out, and kept nowhere. Then the nodes are told of it.

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

    Returns ``answer`` (a sentence), ``addresses``, ``public_key``, ``unreachable`` (nodes that it can never meet, as
    neither side can be called) and ``reconcile``; never the private key.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.export alice-phone format=qr
        salt-run wireguard.export branch-router format=mikrotik file=/root/branch-router.rsc
        salt-run wireguard.export alice-phone rekey=True reason="lost"
    """
    with _salt_errors():
        if __opts__.get("fun") != "wireguard.export" or __opts__.get("async"):
            raise ConfigError(
                "wireguard.export shows a private key, which must not get to the event bus or the job cache: run"
                " `salt-run wireguard.export` by hand on the master, and not with --async or --auth, by the API, a"
                " reactor or an orchestration"
            )
        if __opts__.get("output") and not file:
            raise ConfigError("with --out, give `file=`: the configuration would be in the middle of the data")
        delivery = Delivery(format, file)
        master = Master.from_opts(__opts__)
        where, peer = _find_peer(master.moment(), str(name), network)
        done = _export(master, where, peer, delivery, public_key, rekey, _operator(), str(reason or ""))
    place = f"in {delivery.file}" if delivery.file else "above"
    key = (
        "and its private key nowhere else" if done.has_key else f"without the private key: {external_peer.PLACEHOLDER}"
    )
    told = reconcile(contact=[])["data"] if has_master(__opts__) else "no salt-master runs here; the nodes learn later"
    return _shown(
        {
            "answer": f"the configuration of {peer.name} is {place}, {key}",
            "network": where.name,
            "addresses": list(done.view.addresses),
            "public_key": done.view.public_key,
            "unreachable": external_peer.unreachable(done.view),
            "reconcile": told,
        }
    )


# -- nodes that come


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
    with _salt_errors():
        master = Master.from_opts(__opts__)
        networks = _networks_to_enroll(master.moment(), node, network)
        statements = Ssh(__opts__).registrations(node, networks)
        for statement in statements:
            _enroll(master, statement, _operator())
        members = {name: member for name, member in master.moment().fleet().members() if member.node == node}
        rows = [
            {
                "network": statement.network,
                "public_key": statement.public_key,
                "addresses": [str(address) for address in members[statement.network].addresses],
                "endpoint": _endpoint_of(members[statement.network].settings.endpoint, members[statement.network].row),
            }
            for statement in statements
            if statement.network in members
        ]
    reconcile(contact=[])
    answer = f"{node} is enrolled; now run `salt-ssh {node} state.apply wireguard`"
    return _shown({"answer": answer, "enrolled": rows})


def pending():
    """
    The registrations that wait for an operator, where the mesh file says ``admit: manual`` or ``rekey: manual``.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.pending
    """
    with _salt_errors():
        snapshot = Master.from_opts(__opts__).registry.snapshot()
    rows = [
        {
            "network": waiting.network,
            "node": waiting.node,
            "question": waiting.question,
            "public_key": waiting.public_key,
            "since": _time(waiting.since),
        }
        for _, waiting in sorted(snapshot.waiting.items())
    ]
    return _shown({"pending": rows})


def admit(node, network=None, valid_for=None):
    """
    Let a node in, or its changed key; at once if its registration waits, else as soon as it registers.

    valid_for
        For so long only, such as ``8h`` or ``30d``; then the node is removed.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.admit web7
        salt-run wireguard.admit guest1 valid_for=8h
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        expires = time.time() + _duration(valid_for) if valid_for else None
        for name in _networks_of(master.moment(), node, network):
            _admit(master, name, node, _operator(), expires)
    return reconcile(contact=[node])


def _duration(text):
    try:
        return _parse_duration(str(text))
    except ValueError as exc:
        raise ConfigError(f"valid_for: {exc}") from exc


def reject(node, network=None):
    """
    Say no to a registration that waits. The node stays out, or keeps its old key; the same key is refused from now on.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.reject web7
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        rejected = {}
        for name in _networks_of(master.moment(), node, network):
            public_key = master.registry.reject(name, node, _operator())
            if public_key:
                rejected[name] = public_key
        _announce(__opts__, master)
        if not rejected:
            raise ConfigError(f"nothing of {node} waits; see `salt-run wireguard.pending`")
    return _shown({"rejected": rejected})


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
    with _salt_errors():
        master = Master.from_opts(__opts__)
        networks = _networks_of(master.moment(), node, network)
        forgotten = [name for name in networks if master.registry.forget_serials(name, node, _operator(), str(reason))]
        _announce(__opts__, master)
        if not forgotten:
            raise ConfigError(f"no serial of {node} is in the future; see `salt-run wireguard.nodes` for refusals")
    return _shown({"forgotten": forgotten})


# -- nodes that change keys


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
        Also in networks with ``peers`` that have a key: they lose the node until they are exported again, or are given
        its new key by hand.

    Returns a row for each: ``network``, ``node``, ``rotated``, ``comment``, ``seconds``. Exit code 1 when one failed;
    its comment says with which key it goes on.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.rotate web7
        salt-run wireguard.rotate '*' network=backbone
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        wanted = [
            (status.network, status.member.node)
            for status in _statuses(master.moment())
            if status.member.has_registered
            and fnmatch.fnmatchcase(status.member.node, node)
            and network in (None, status.network)
        ]
        if not wanted:
            raise ConfigError(f"no registered node matches {node!r}; see `salt-run wireguard.nodes`")
        if not force:
            _refuse_to_cut_off_peers(master, {name for name, _ in wanted})
        why = (_operator(), "salt-run wireguard.rotate")
        rows = [_rotate_one(master, name, each, timeout, *why) for name, each in sorted(wanted)]
    return _shown({"rotations": rows}, failed=not all(row["rotated"] for row in rows))


def _refuse_to_cut_off_peers(master, names):
    for name, network in master.moment().fleet().networks.items():
        if name in names and network.peers:
            raise ConfigError(
                f"network {name} has peers that no minion runs on ({some(network.peers)}): they lose a node that"
                " changes its key. With force=True it does; then export them again, or give them the new key by hand"
            )


def rotate_due(limit=1):
    """
    Rotate the keys that are due by ``rotate_every`` in the mesh file, the oldest first. The engine calls this; without
    the engine, let the master's schedule call it every few minutes.

    limit
        At most so many nodes in one call.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.rotate_due
    """
    with _salt_errors():
        master = Master.from_opts(__opts__)
        due = [] if _current_hold(master.state_dir) else _due_for_rotation(master.moment())[:limit]
        rows = [_rotate_one(master, name, node, 20, "master", "rotate_every") for name, node in due]
    return _shown({"rotations": rows}, failed=not all(row["rotated"] for row in rows))


def rotate_secret(reason="", timeout=20, force=False):
    """
    Give all pairs of nodes other preshared keys, by making another secret for these, and reconcile.

    Live sessions go on, and are renewed with the new keys when both ends have them. Nothing is changed when a node does
    not answer: it would have no tunnels until its next sync, which one that reaches the master only through the mesh
    could never ask for. Phones and other ``peers`` with ``preshared_key: true`` need their new keys by hand.

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
    with _salt_errors():
        master = Master.from_opts(__opts__)
        with _reconcile_lock(master.state_dir):
            on_hold = _current_hold(master.state_dir)
            if on_hold:  # between nodes that have it and nodes that do not, tunnels would end
                raise ConfigError(on_hold)
            if not force:
                _refuse_if_silent({node for _, node in _nodes_with_preshared_keys(master.moment())}, timeout)
            _renew_secret(master, _operator(), str(reason))
    return reconcile(contact=[], timeout=timeout)


def _refuse_if_silent(nodes, timeout):
    with Bus(__opts__) as bus:
        silent = bus.silent(nodes, timeout)
    if silent:
        raise ConfigError(
            f"{some(silent)} did not answer within {timeout} s, and would have no tunnels until the next sync. Nothing"
            " was changed. Bring them up first; or, if they reach this master without the mesh, use `force=True`"
        )


def _rotate_one(master, network, node, timeout, who, why):
    started = time.monotonic()
    with _reconcile_lock(master.state_dir), Bus(__opts__) as bus:
        on_hold = _current_hold(master.state_dir)
        if on_hold:  # each of the peers would get more than the new key
            raise ConfigError(on_hold)
        try:
            comment = Rotation(master, bus, network, node, timeout, _say, who, why).run()
            rotated = True
        except RotationFailed as exc:
            comment, rotated = str(exc), False
            master.registry.note_failed_rotation(network, node, who, comment)
            log.warning("wireguard: network %s: the key of %s was not rotated: %s", network, node, comment)
    _announce(__opts__, master)
    row = {"network": network, "node": node, "rotated": rotated, "comment": comment}
    return {**row, "seconds": round(time.monotonic() - started, 2)}


def history(node=None, limit=50):
    """
    What happened to a node, or to all: who came, went, changed keys, was refused; by whose doing, and why.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.history
        salt-run wireguard.history web7 limit=500 --out=json
    """
    with _salt_errors():
        entries = Master.from_opts(__opts__).registry.history(node, limit)
    return _shown({"history": [{**entry.to_dict(), "time": _time(entry.time)} for entry in entries]})


def _operator():
    """Who runs this: the person behind sudo, if any."""
    return salt.utils.user.get_specific_user().removeprefix("sudo_")


def _say(text):
    """Progress for the person who waits. ``__jid_event__`` exists only where a runner was started as a job."""
    if not __opts__.get("output"):  # progress among JSON would spoil it
        with contextlib.suppress(NameError):
            __jid_event__.fire_event({"message": text, "outputter": "wireguard"}, "progress")
