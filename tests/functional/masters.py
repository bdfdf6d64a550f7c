"""A master's options, mesh file, registry and accepted keys in a directory of the test's own."""

import json
import re
from pathlib import Path

import salt.config
import salt.loader
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from saltext.wireguard.master.intake import hear
from saltext.wireguard.master.master import Master
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Registration, Report

REPO = Path(__file__).resolve().parents[2]
NETWORK = "backbone"


def make_salt_keys(count):
    """Pairs of PEM texts, private and public, as Salt makes them."""
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(count)]
    return [
        (
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            ),
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        )
        for key in keys
    ]


class MasterSide:
    """What a Salt master loads of ours."""

    def __init__(self, root, salt_keys):
        self.root = root
        self.mesh = root / "mesh.yml"
        self._salt_keys = {f"node{number}": pair for number, pair in enumerate(salt_keys, 1)}
        self._serial = 1000
        self.opts = salt.config.apply_master_config(
            {
                "root_dir": str(root / "disk"),
                "module_dirs": [str(REPO)],
                "ext_pillar": [{"wireguard": {"mesh": str(self.mesh)}}],
                "__role": "master",
            }
        )
        self.opts["grains"] = {}
        self.keys_dir = Path(self.opts["pki_dir"]) / "minions"
        self.keys_dir.mkdir(parents=True)
        for node in ("node1", "node2"):
            self.accept(node)
        self.write_mesh("nodes: {'node*': {}}")

    def write_mesh(self, rest, subnets="10.42.0.0/24"):
        self.mesh.write_text(f"networks: {{{NETWORK}: {{subnets: [{subnets}], {rest}}}}}\n")

    def accept(self, node):
        (self.keys_dir / node).write_bytes(self._salt_keys[node][1])

    @property
    def state(self):
        return Master.from_opts(self.opts)

    # -- what nodes say

    def registration(self, node, public_key, **fields):
        self._serial += 1
        values = {"endpoints": ("192.0.2.1",), "port": 51820, "serial": self._serial, **fields}
        return self.sign(node, Registration(node, NETWORK, public_key, **values))

    def report(self, node, digest):
        self._serial += 1
        return self.sign(node, Report(node, NETWORK, digest, self._serial))

    def sign(self, node, statement):
        return statements.sign(statement, self._salt_keys[node][0])

    def register(self, node, public_key):
        assert hear(self.state, REGISTER_TAG, {"id": node, "data": {"signed": self.registration(node, public_key)}})

    def confirm(self, node):
        digest = self.state.moment().fleet().digests()[(NETWORK, node)]
        assert hear(self.state, REPORT_TAG, {"id": node, "data": {"signed": self.report(node, digest)}})

    # -- through Salt's loaders

    def pillars(self):
        """Loaded anew, as Salt does for every compile."""
        functions = salt.loader.minion_mods(self.opts, utils=salt.loader.utils(self.opts))
        return salt.loader.pillars(self.opts, functions)

    def pillar(self, node):
        return self.pillars()["wireguard"](node, {}, mesh=str(self.mesh))

    def runner(self):
        return salt.loader.runner(self.opts, utils=salt.loader.utils(self.opts))

    def shown(self, data):
        """As a terminal gets it."""
        return salt.loader.outputters(self.opts)["wireguard"](data)


def quotes_nothing_secret(text):
    """Whether PEM blocks and the like are absent."""
    return not re.search(r"PRIVATE KEY|-----BEGIN", text if isinstance(text, str) else json.dumps(text, default=str))
