"""
What an operator sees of a living mesh: functions of the runner ``wireguard``, in a file of their own.

.. code-block:: bash

    salt-run wireguard.status
    salt-run wireguard.matrix
    salt-run wireguard.wait
    salt-run wireguard.why web1 db1
    salt-run wireguard.netcheck web1
    salt-run wireguard.metrics
    salt-run wireguard.graph
    salt-run wireguard.report file=/root/mesh.html
    salt-run wireguard.bundle file=/root/bug.tar.gz
"""

import functools
from typing import TYPE_CHECKING, Any

# Of functions of our own, only those of this module may have a name here: Salt offers all that it finds.
from saltext.wireguard import deployment as _deployment
from saltext.wireguard.control import bundle as _bundle
from saltext.wireguard.control import matrix as _matrix
from saltext.wireguard.control import metrics as _metrics
from saltext.wireguard.control import netcheck as _netcheck
from saltext.wireguard.control import operator as _operator
from saltext.wireguard.control import report as _report
from saltext.wireguard.control import status as _status
from saltext.wireguard.control import wait as _wait
from saltext.wireguard.control import why as _why

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
def status(network=None, node=None, timeout=10):
    """
    What the nodes should have, what they proved to have, and what they see of each other now.

    Asks the nodes to look at their devices. A pair is ``up`` if there is a session, ``idle`` if there is none and
    nothing asks for one, ``stale`` if a session that is kept alive was not renewed for 3 minutes, and ``down`` after 5,
    or if handshakes are tried and never answered, or if an end lacks the peer. It is ``unknown`` if neither end
    says anything. If the two ends differ, the worse state counts, and ``disagree`` is true where one has a session that
    the other one does not know of. Returns of jobs can be forged: this is for looking, and nothing is decided by it.

    network
        Only this one.

    node
        Only this node: it and its peers are asked.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``nodes`` (rows of network, node, in_sync, why, interface_up, mtu, the number of
    its pairs in each state, and ``problem``: why it says nothing) and ``pairs`` (rows of network, a, b, state,
    disagree, handshake_age in seconds, kept_alive, and what a_sees and b_sees: state, lacks_peer, handshake_age,
    endpoint, roamed, received and sent in bytes), the worst ones first. Null is for what is not known, or never was.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.status
        salt-run wireguard.status node=web1
        salt-run wireguard.status network=backbone --out=json
    """
    return _run(_status.status, network, node, timeout)


@_operator.command
def matrix(network=None, count=5, timeout=20):
    """
    Whether packets come through between all pairs: every node pings each of its peers through the tunnel.

    All nodes do so at once, in both directions and at both IP versions. A pair without a session gets up to 6 seconds
    for its handshake first, which are not counted. Nodes whose firewalls drop pings count as lost. A terminal shows a
    matrix where it fits, with mean round-trip times in ms; else the worst paths. Returns of jobs can be forged: this is
    for looking, and nothing is decided by it.

    network
        Only this one.

    count
        How many pings to each address, 1 to 100.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``paths`` (rows of network, from, to, loss: the share of pings lost, rtt_ms, and
    ``ipv4`` and ``ipv6``: sent, received and rtt_ms), the worst ones first, and ``problems`` (rows of node and problem:
    why it says nothing). Where the two IP versions differ, the worse one counts. Null is for what is not known.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.matrix
        salt-run wireguard.matrix network=backbone count=20 --out=json
    """
    return _run(_matrix.matrix, network, count, timeout)


@_operator.command
def wait(network=None, node=None, until="in_sync", timeout=300):
    """
    Wait until all nodes are in sync, or reach each other. For scripts and orchestration.

    network, node
        Only these.

    until
        ``in_sync``: every node read the wanted configuration back from its device and signed that. ``reachable``: this,
        and a ping from each node to each of its peers comes back. Nodes whose firewalls drop pings never are.

    timeout
        Seconds.

    Returns ``answer`` (a sentence), ``seconds`` and ``missing`` (names of what is not yet so). Exit code 1 when the
    time is over.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.wait
        salt-run wireguard.wait node=web1 until=reachable timeout=60
    """
    return _run(_wait.wait, network, node, until, timeout)


@_operator.command
def why(a, b, network=None, timeout=30):
    """
    Why ``a`` cannot reach ``b``: one cause, and what to do about it.

    Looks at what the master knows, then has both nodes ping each other while they look at their devices, routes, names
    and firewalls; and their hub, if they use one. Touches nothing. Takes about ten seconds if packets get lost.

    a, b
        Two nodes. One of them may be an external peer, of which nothing can be asked.

    network
        By default, one that both are in.

    timeout
        Seconds that a node has to answer.

    Returns ``network``, ``cause`` (``none`` if all is well), ``because`` and ``remedy`` (sentences) and ``seen`` (what
    was found, a list of sentences). Exit code 1 if there is a cause.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.why web1 db1
    """
    return _run(_why.why, a, b, network, timeout)


@_operator.command
def netcheck(node, network=None, timeout=30):
    """
    What the network around a node lets through: its address as its peers see it, NAT, UDP, the size of packets.

    The node pings its peers through the tunnels, and then they say where they see it. Touches nothing. Returns of jobs
    can be forged: this is for looking, and nothing is decided by it.

    node
        The node.

    network
        One of its networks, if it is in several.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``udp`` (``open``, ``blocked`` or ``unknown``), ``port``, ``mtu``, ``versions``
    (rows of ip, nat, outside: where its peers see it, own: the machine's addresses, default_route), ``seen`` (rows of
    peer and endpoint), ``narrow`` (rows of peer and size: packets that get through, where these are smaller than the
    MTU), ``silent`` (peers that did not answer pings) and ``remedies`` (sentences). Exit code 1 if UDP is blocked, if
    packets of the MTU get lost, or if the node cannot say.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.netcheck web1
    """
    return _run(_netcheck.netcheck, node, network, timeout)


@_operator.command
def metrics(file=None):
    """
    What the master knows, as metrics for Prometheus. Made for a schedule; see docs/monitoring.md.

    file
        Where to write them, for node_exporter's textfile collector: an absolute path that ends with ``.prom``.

    Returns the metrics as text, or the name of the file.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.metrics
        salt-run wireguard.metrics file=/var/lib/prometheus/node-exporter/wireguard-master.prom
    """
    return _run(_metrics.metrics, file)


@_operator.command
def graph(network=None, format="mermaid"):
    """
    Draw the mesh: members, sites, hubs, exit nodes, external peers, and who can reach whom. Asks no node.

    network
        Only this one.

    format
        ``mermaid`` (a flowchart, which forges and many editors draw), ``dot`` (for Graphviz), ``svg`` (a picture for
        browsers), or ``json`` (nodes and links as data).

    Returns text.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.graph
        salt-run wireguard.graph network=backbone format=svg > mesh.svg
    """
    return _run(_report.drawn, network, format)


@_operator.command
def report(file, network=None, probe=False, timeout=10):
    """
    Write all that is known of the mesh into one page for a browser: a picture, the nodes, the pairs that need a look,
    the matrix, addresses, warnings, history, and what has changed since the last report in the same file.

    Asks the nodes what they see, as ``wireguard.status`` does. The page loads nothing from the network. It has names,
    addresses and public keys, and nothing secret. What nodes say can be forged: the page is for looking.

    file
        The page; it must end with ``.html``. It is readable for you alone; later reports keep the mode and group that
        you give it. A file that is there and is no report is not overwritten.

    network
        Only this one.

    probe
        Have the nodes ping each other, as ``wireguard.matrix`` does: the page then has round-trip times and losses.

    timeout
        Seconds that a node has to answer.

    Returns ``answer`` (a sentence), ``file``, ``bytes`` and ``changes`` (sentences).

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.report file=/root/mesh.html
        salt-run wireguard.report file=/srv/www/mesh.html probe=True timeout=30
    """
    return _run(_report.report, file, network, probe, timeout)


@_operator.command
def bundle(file, anonymous=False, timeout=20):
    """
    Write all that a bug report needs into one file, which has no secret in it.

    Versions, what of Salt's configuration concerns this, the mesh file, what ``validate``, ``nodes``, ``addresses``,
    ``history``, ``status``, ``plan`` and ``metrics`` say, and our lines of the master's log. Private keys, preshared
    keys and their secret are left out, and so is anything else that looks like a key and is not known to be a public
    one. Reasons that operators gave are there: read it before you give it away.

    file
        Where to write it: a new file that ends with ``.tar.gz``. Only its owner can read it.

    anonymous
        Replace names, addresses and public keys, the same one by the same word each time. Addresses of one network stay
        in one. Comments of the mesh file are left out.

    timeout
        Seconds that a node has to answer.

    Returns ``file``, ``anonymous``, ``parts`` (names) and ``failed`` (name: why a part says nothing). Exit code 1 if a
    part failed; the others are there.

    CLI Example:

    .. code-block:: bash

        salt-run wireguard.bundle file=/root/bug.tar.gz
        salt-run wireguard.bundle file=/root/bug.tar.gz anonymous=True
    """
    modules = _deployment.describe(__opts__["extension_modules"])
    return _run(_bundle.bundle, file, anonymous, timeout, modules)
