"""Judging a mesh file, with what a master may know beside it."""

from ipaddress import ip_address

from factories import accepted, mesh_text, public_key, row, snapshot
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.review.context import Known
from saltext.wireguard.review.lint import lint

NOW = 1_800_000_000.0
PHONE = f"phone: {{public_key: {public_key('phone')}, addresses: [10.42.0.200]}}"
TABLET = f"tablet: {{public_key: {public_key('tablet')}, addresses: [10.42.0.201]}}"


def registered(*nodes, keys=None, **rows):
    """
    What a master knows of ``nodes``, whose names are also those of their Salt keys; ``rows`` are others', by node.

    A node given as ``name@address`` offers that address.
    """
    found = {}
    for number, text in enumerate(nodes, 1):
        name, _, address = text.partition("@")
        found[name] = row(name, ip_address(f"10.42.0.{number}"), endpoints=(address or "192.0.2.1",))
    names = found.keys() if keys is None else keys.split()
    return Known(snapshot(*found.values(), *rows.values()), accepted(*names))


def found(text, known=None, names=None):
    return lint(parse_mesh([("mesh.yml", text)]), NOW, known, names)


def warnings(*args, names=None, known=None, **kwargs):
    findings = found(mesh_text(*args, **kwargs), known, names)
    assert findings.errors == ()
    return [str(each) for each in findings.warnings]


def errors(*args, known=None, names=None, **kwargs):
    return [str(each) for each in found(mesh_text(*args, **kwargs), known, names).errors]


def two_networks(one, other, one_mtu="", other_mtu=""):
    """Networks ``one`` (10.42.0.0/24) and ``other`` (10.43.0.0/24); their nodes stand in lines 6 and 12."""
    return (
        f"networks:\n  one:\n    subnets: [10.42.0.0/24]\n    keepalive: 1\n    {one_mtu}\n    nodes: {{{one}}}\n"
        "  other:\n    interface: wg1\n    port: 1\n    subnets: [10.43.0.0/24]\n"
        f"    {other_mtu}\n    nodes: {{{other}}}\n"
    )
