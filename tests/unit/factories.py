"""What several unit tests need: keys, meshes, registrations."""

import base64
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from saltext.wireguard.device.operations import changes_of
from saltext.wireguard.fleet.membership import Membership
from saltext.wireguard.formats import wg_quick
from saltext.wireguard.master.master import Master
from saltext.wireguard.meshfile.parse import parse_mesh
from saltext.wireguard.model.changes import Change, Kind, as_salt
from saltext.wireguard.model.keys import PrivateKey
from saltext.wireguard.model.statements import Registration
from saltext.wireguard.registry.admission import REVOKED, Standing
from saltext.wireguard.registry.rows import Row, Snapshot
from saltext.wireguard.registry.salt_keys import AcceptedKey


@functools.cache
def public_key(name):
    """A WireGuard public key, always the same for the same name."""
    raw = bytearray(hashlib.sha256(str(name).encode()).digest())
    raw[31] &= 0x3F  # well below 2^255 - 19
    return base64.b64encode(bytes(raw)).decode()


@dataclass(frozen=True)
class SaltKey:
    private_pem: bytes
    public_pem: bytes

    @property
    def accepted(self):
        return AcceptedKey(self.public_pem, hashlib.sha256(b"".join(self.public_pem.split())).hexdigest())


@functools.cache
def salt_key(name):
    """A real key pair as Salt makes them, made once a test session for each name."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return SaltKey(private, public)


def change(words, old=None, new=None):
    """A change, by the words that it has in Salt's ``changes``."""
    kinds = {kind.value: kind for kind in Kind}
    kind = Kind.FILE if words.startswith("/") else kinds.get(words) or kinds[words.partition(" ")[0]]
    name = words if kind == Kind.FILE else words.removeprefix(kind.value).strip()
    return Change(kind, name, old, new)


def subject(words):
    return change(words).subject


def in_words(operations):
    """What the operations change, as Salt's ``changes`` have it."""
    return as_salt(changes_of(operations))


def config_file(view):
    """The configuration file of a view, with a private key that is no secret."""
    return wg_quick.render(view, PrivateKey("cHJpdmF0ZSBrZXkgb2YgYSB0ZXN0LCAzMiBieXRlcyE="), {})


def mesh_text(nodes="'*': {}", subnets="10.42.0.0/24", peers="", extra=""):
    """A mesh file with the network ``net``; the arguments are YAML in flow style, without the outer brackets."""
    lines = ["networks:", "  net:", f"    subnets: [{subnets}]", f"    nodes: {{{nodes}}}"]
    if peers:
        lines.append(f"    peers: {{{peers}}}")
    if extra:
        lines.append(f"    {extra}")
    return "\n".join(lines) + "\n"


def mesh(*args, **kwargs):
    return parse_mesh([("mesh.yml", mesh_text(*args, **kwargs))])


def network(*args, **kwargs):
    return mesh(*args, **kwargs).networks[0]


def registration(node="a", serial=1, **changes):
    fields = {
        "node": node,
        "network": "net",
        "public_key": public_key(node),
        "endpoints": ("192.0.2.1",),
        "port": 51820,
        "serial": serial,
    }
    return Registration(**{**fields, **changes})


def accepted(*names):
    """Accepted keys for which nothing needs to be signed."""
    return {name: AcceptedKey(b"", f"salt key of {name}") for name in names}


def membership(net, names, suspended=()):
    """These nodes, as far as the network lists them; the suspended ones are revoked."""
    standings = {(net.name, node): Standing(REVOKED, 1.0, "alice", "") for node in suspended}
    return Membership(net, accepted(*names, *suspended), standings, 0.0, {})


def row(node, *addresses, network="net", **changes):
    """A registration as the registry holds it, signed with the key that ``accepted(node)`` has."""
    fields = {
        "public_key": public_key(node),
        "endpoints": (),
        "port": 51820,
        "serial": 1,
        "salt_key": f"salt key of {node}",
        "registered": 1.0,
        "addresses": addresses,
    }
    return Row(network, node, **{**fields, **changes})


def master_of(path, nodes, extra="", own_minion=""):
    """A master with this mesh, a folder for accepted Salt keys and no registry yet."""
    (path / "mesh.yml").write_text(mesh_text(nodes, extra=extra))
    (path / "minions").mkdir()
    return Master(str(path / "mesh.yml"), str(path / "minions"), str(path / "state"), own_minion)


def accept(master, node, key=None):
    """Accept the Salt key of a node, or the one of ``key`` as that of the node."""
    Path(master.keys_dir, node).write_bytes(salt_key(key or node).public_pem)


def snapshot(*rows):
    return Snapshot(1, {(row.network, row.node): row for row in rows})
