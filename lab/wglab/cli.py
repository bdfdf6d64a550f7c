"""The command line of the lab."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from . import fleet, meshping, places, saltconf
from .fleet import Lab
from .report import LabError, progress
from .segment import DEFAULT_LAN

WIREGUARD_PORT = 51820
DEFAULT_NAME = "lab"
PASSED_ON = {
    "salt": "run salt on the master, with all arguments passed on as they are",
    "salt-run": "run salt-run on the master, with all arguments passed on as they are",
    "salt-key": "run salt-key on the master, with all arguments passed on as they are",
    "exec": "run a command on a host ('master' is one too); exit code and stdio are passed through",
}
DESCRIPTION = "A whole Salt fleet on one machine: a real master and real minions, each in namespaces of its own."
EPILOG = """\
environment:
  WGLAB_DIR       state directory; default /tmp/wglab-NAME (keep it short: sockets live below it)
  WGLAB_SALT_BIN  directory with the Salt commands; at 'up' for the lab, at 'add' and 'reinstall' for that host
  WGLAB_TIMEOUT   seconds to wait for a daemon before giving up; default 180

example:
  lab up 3 && lab salt '*' state.apply wireguard && lab ping && lab down
"""


def main(argv: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    parser = make_parser()
    head, rest = split_passed_on(list(argv))
    args = parser.parse_args(head)
    try:
        if os.geteuid() != 0:
            raise LabError("namespaces need root; run it with sudo")
        if missing := fleet.tools_missing():
            raise LabError(
                f"install {', '.join(missing)} first (iproute2, util-linux, wireguard-tools, iputils-ping, nftables)"
            )
        places.check_lab_name(args.name)
        return args.run(args, rest) or 0
    except LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; 'status' shows what there is, 'down' removes it", file=sys.stderr)
        return 130


def split_passed_on(argv: list[str]) -> tuple[list[str], list[str]]:
    """Split off what belongs to a passed-on command: argparse would take options in it for ours."""
    position = 0
    while position < len(argv) and argv[position].startswith("-"):
        position += 2 if argv[position] == "--name" else 1
    if position < len(argv) and argv[position] in PASSED_ON and argv[position + 1 :] not in (["-h"], ["--help"]):
        return argv[: position + 1], argv[position + 1 :]
    return argv, []


Run = Callable[[argparse.Namespace, list[str]], int | None]
Command = Callable[[str, Run, str], argparse.ArgumentParser]


def make_parser() -> argparse.ArgumentParser:
    """Build the parser; every command has a help text of its own."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("lab", description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter)
    parser.add_argument("--name", default=DEFAULT_NAME, help="which lab; several run side by side (default: lab)")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Run, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(run=run, command=name)
        return sub

    _add_lab_commands(command)
    _add_host_commands(command)
    _add_network_commands(command)
    for name, text in PASSED_ON.items():
        command(name, run_passed_on, text).usage = f"lab {name}{' NAME COMMAND' if name == 'exec' else ''} [ARG ...]"
    return parser


def _add_lab_commands(command: Command) -> None:
    up = command("up", run_up, "make a lab with hosts node1 to nodeN; returns when all minions answer")
    up.add_argument("count", metavar="N", type=node_count, help="number of minions, 0 or more")
    up.add_argument("--mesh", metavar="FILE", type=Path, help="mesh file to start with; copied to DIR/mesh.yml")
    up.add_argument(
        "--trigger",
        choices=saltconf.TRIGGERS,
        default="engine",
        help="what makes the master react by itself, from examples/master.d (default: engine)",
    )
    up.add_argument("--synced", action="store_true", help="minions begin with our modules, as after saltutil.sync_all")
    ping = command("ping", run_ping, "ping every node from every other through the mesh; exit code 1 if a pair fails")
    ping.add_argument("--json", action="store_true", help="print a JSON document, not a table")
    ping.add_argument("--wait", metavar="S", type=float, default=20, help="retry failing pairs this long (default: 20)")
    status = command("status", run_status, "show the hosts, whether they have power, and their processes")
    status.add_argument("--json", action="store_true", help="print a JSON document, not a table")
    command("down", run_down, "remove the lab, and what a crashed one has left; does nothing if there is nothing")


def _add_host_commands(command: Command) -> None:
    add = command("add", run_add, "add hosts, accept their keys; returns when their minions answer")
    add.add_argument("hosts", metavar="NAME[@SITE]", nargs="+", help="name of the new host, and where it is")
    add.add_argument("--plain", action="store_true", help="without Salt: a phone, or a machine in a LAN")
    host_commands = [
        ("off", "cut a host's power: processes and devices are gone at once, the disk stays"),
        ("on", "boot a host again; returns when its minion answers"),
        ("reinstall", "give a host an empty disk under its old name: old key deleted, new one accepted"),
        ("remove", "delete a host's key, its power and its disk"),
    ]
    for name, text in host_commands:
        sub = command(name, run_host_command, text)
        sub.add_argument("host", metavar="NAME", help="name of the host")
        if name == "on":
            sub.add_argument("--boot", action="store_true", help="first 'wg-quick up' all of /etc/wireguard/*.conf")
            sub.add_argument("--no-salt", action="store_true", help="start no daemon of Salt, and wait for none")
    clone = command("clone", run_clone, "start a machine with a copy of a host's disk, keys and minion id included")
    clone.add_argument("host", metavar="NAME", help="name of the host to copy; it may run")
    clone.add_argument("new", metavar="NEW", help="name of the copy in the lab")


def _add_network_commands(command: Command) -> None:
    site = command("site", run_site, "add a site: a LAN behind a router with NAT, which hosts can be added to")
    site.add_argument("site", metavar="NAME", help="name of the site, and of its router's outside address")
    site.add_argument(
        "--lan", metavar="CIDR", type=lan, default=DEFAULT_LAN, help=f"default: {DEFAULT_LAN}, at any site"
    )
    site.add_argument("--ipv6", action="store_true", help="also IPv6, without NAT")
    forward = command("forward", run_forward, "let UDP in at a site: from a port of its router to one of a host there")
    forward.add_argument("site", metavar="SITE")
    forward.add_argument("outside", metavar="PORT", type=int, help="the router's; with IPv6, the host's own is opened")
    forward.add_argument("host", metavar="HOST[:PORT]", help="the host's port is 51820 unless given")
    point = command("point", run_point, "let a name stand for these addresses and no others, on all hosts")
    point.add_argument("pointer", metavar="NAME")
    point.add_argument("addresses", metavar="ADDRESS", nargs="+", help="or the name of a host or site")


def node_count(text: str) -> int:
    """Parse N."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"'{text}' is no number of minions")
    return int(text)


def run_up(args: argparse.Namespace, _rest: list[str]) -> None:
    """Make a lab."""
    if not fleet.has_tun_or_kernel():
        raise LabError("neither a WireGuard kernel module nor /dev/net/tun here; load the module wireguard or tun")
    with places.locked(args.name, make=True):
        fleet.create(args.name, args.trigger, args.synced).up(args.count, args.mesh)


def lan(text: str) -> IPv4Network:
    """Parse the network of a LAN."""
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if network.num_addresses <= fleet.LAST_NODE:
        raise argparse.ArgumentTypeError(f"'{text}' is too small for a LAN; use a /24")
    return network


def run_add(args: argparse.Namespace, _rest: list[str]) -> None:
    """Add hosts."""
    with places.locked(args.name):
        Lab.load(args.name).add(args.hosts, args.plain)


def run_site(args: argparse.Namespace, _rest: list[str]) -> None:
    """Add a site."""
    with places.locked(args.name):
        Lab.load(args.name).add_site(args.site, args.lan, args.ipv6)


def run_forward(args: argparse.Namespace, _rest: list[str]) -> None:
    """Forward a port."""
    host, _, inside = args.host.partition(":")
    with places.locked(args.name):
        Lab.load(args.name).forward(args.site, args.outside, host, int(inside or WIREGUARD_PORT))


def run_point(args: argparse.Namespace, _rest: list[str]) -> None:
    """Let a name stand for addresses."""
    with places.locked(args.name):
        Lab.load(args.name).point(args.pointer, args.addresses)


def run_host_command(args: argparse.Namespace, _rest: list[str]) -> None:
    """Run one of the commands that change one host."""
    with places.locked(args.name):
        lab = Lab.load(args.name)
        if args.command == "on":
            lab.on(args.host, tunnels=args.boot, salt=not args.no_salt)
        else:
            getattr(lab, args.command)(args.host)


def run_clone(args: argparse.Namespace, _rest: list[str]) -> None:
    """Copy a host."""
    with places.locked(args.name):
        Lab.load(args.name).clone(args.host, args.new)


def run_passed_on(args: argparse.Namespace, rest: list[str]) -> None:
    """Become the command asked for."""
    lab = Lab.load(args.name)
    if args.command != "exec":
        fleet.run_salt(lab, args.command, rest)
    if len(rest) < 2:
        raise LabError("say where and what: exec NAME COMMAND [ARG ...]")
    fleet.become(lab.host(rest[0]), rest[1:])


def run_ping(args: argparse.Namespace, _rest: list[str]) -> int:
    """Ping the mesh. Hosts without power are left out, and named."""
    lab = Lab.load(args.name)
    nodes = [host for host in lab.hosts() if host.has_salt]
    hosts = [host for host in nodes if host.is_on()]
    if off := [host.name for host in nodes if host not in hosts]:
        progress(f"left out, no power: {', '.join(off)}")
    pairs = meshping.ping_mesh(hosts, args.wait)
    failed = [pair for pair in pairs if not pair.ok]
    if args.json:
        print(json.dumps({"pairs": [pair.as_json() for pair in pairs], "ok": not failed}))
    elif pairs:
        print(meshping.table([host.name for host in hosts], pairs))
    if failed:
        mute = sorted({f"{pair.sender} to {pair.receiver}" for pair in failed})
        shown = f"{', '.join(mute[:5])}{' ...' if len(mute) > 5 else ''}"
        print(f"lab: error: {len(failed)} of {len(pairs)} pings failed: {shown}", file=sys.stderr)
    return 1 if failed else 0


def run_status(args: argparse.Namespace, _rest: list[str]) -> None:
    """Show the hosts."""
    lab = Lab.load(args.name)
    rows = lab.status()
    sites = {name: lab.internet.address4(site["number"]) for name, site in lab.sites.items()}
    if args.json:
        document = {"name": lab.name, "dir": str(lab.root), "mesh": str(lab.mesh_file), "trigger": lab.trigger}
        print(json.dumps(document | {"salt": str(lab.salt_bin), "sites": sites, "hosts": rows}, indent=1))
        return
    print(f"lab {lab.name} in {lab.root}, trigger {lab.trigger}, Salt from {lab.salt_bin}")
    width = max(len(row["host"]) for row in rows)
    for row in rows:
        processes = f"{len(row['pids'])} processes: {' '.join(map(str, row['pids']))}" if row["pids"] else ""
        key = f"key {row['key'] or 'none'}" if row["key"] or row["host"] != places.MASTER else ""
        place = f"{row['address']}{'@' + row['site'] if row['site'] else ''}"
        print(f"{row['host']:{width}}  {row['power']:3}  {place:12}  {key:12}  {processes}".rstrip())
    for name, site in lab.sites.items():
        forwards = "".join(f"  {port} to {host}:{inside}" for port, host, inside in site["forwards"])
        print(f"site {name}  {sites[name]}  LAN {site['lan']}{forwards}")


def run_down(args: argparse.Namespace, _rest: list[str]) -> None:
    """Remove the lab."""
    with places.locked(args.name):
        fleet.down(args.name)
