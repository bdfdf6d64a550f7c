"""Everything that a bug report needs, in one file without secrets."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import secrets
import sqlite3
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_interface
from typing import Any

import salt.version
import yaml
from salt.exceptions import SaltException

from ..errors import ConfigError, WireguardError
from ..master.master import Master
from ..master.secretfile import secrets_of
from ..meshfile.entries import NODE_KEYS, PEER_KEYS
from ..meshfile.load import read_files
from ..meshfile.parse import MESH_KEYS, NETWORK_KEYS
from ..system import files
from ..wording import quoted
from . import tables
from .check import plan, validate
from .exit_codes import FAILED, exiting
from .metrics import metrics
from .operator import Operator
from .redaction import Redaction, pseudonyms, without_comments
from .status import status

_FOLDER = "wireguard-bundle"
_SETTINGS = ("file_roots", "keys.cache_driver", "module_dirs", "nodegroups", "user", "worker_threads")
_HISTORY = 2000

# Of the master's log: the end of it, and there what is ours.
_LOG_BYTES = 20_000_000
_LOG_LINES = 5000

_WORDS = {*MESH_KEYS, *NETWORK_KEYS, *NODE_KEYS, *PEER_KEYS, "auto", "manual", "true", "false", "null"}
_NO_NAME = re.compile(r"[\d.]+|\d+[smhdw]|wg\d+|[A-Za-z0-9+/]{43}=")

_README = """\
What the WireGuard modules of Salt know on this master, for a bug report. Made by `salt-run wireguard.bundle`.

Private keys, preshared keys and their secret are not in here. {names}
Reasons that operators gave, and other free text, are here as they were written: read it before you give it away.
Logs of minions are not here. What a part says that failed is why there is none.
"""
_KEPT = "Names, addresses and public keys are the real ones."
_REPLACED = """\
Names, addresses and public keys were replaced, the same one by the same word each time. An address that was in a
network is in what that became.
"""


def bundle(
    operator: Operator, file: str, anonymous: bool, timeout: float, modules: Mapping[str, Any]
) -> dict[str, Any]:
    """``salt-run wireguard.bundle``. ``modules``: what there is of ours."""
    if not file.endswith(".tar.gz") or os.path.lexists(file):
        raise ConfigError(f"file must be a new one that ends with .tar.gz, not {quoted(file)}")
    master = operator.master
    failed: dict[str, str] = {}
    parts = {"versions.json": _json(_versions(operator, modules)), **dict(_parts(operator, timeout, failed))}
    names = _names(master) if anonymous else None
    known_secrets = secrets_of(master.state_dir, master.configured_secret)
    redact = Redaction(_public_keys(master), known_secrets, names, secrets.token_bytes(16))
    parts["README.txt"] = _README.format(names=_REPLACED if anonymous else _KEPT)
    parts.update(_mesh_files(master, anonymous, failed))
    texts = {name: redact(text) for name, text in parts.items()}
    _write(file, texts)
    answer = {"file": os.path.abspath(file), "anonymous": anonymous, "parts": sorted(texts)}
    return exiting(FAILED if failed else 0, {**answer, "failed": {name: redact(why) for name, why in failed.items()}})


# -- the parts


def _parts(operator: Operator, timeout: float, failed: dict[str, str]) -> Iterator[tuple[str, str]]:
    sources: Mapping[str, Callable[[], Any]] = {
        "configuration.json": lambda: _configuration(operator.opts),
        "validate.json": lambda: validate(operator, None),
        "nodes.json": lambda: tables.nodes(operator, None),
        "addresses.json": lambda: tables.addresses(operator, None),
        "history.json": lambda: tables.history(operator, None, _HISTORY),
        "status.json": lambda: status(operator, None, None, timeout),
        "plan.json": lambda: plan(operator, None, timeout),
        "metrics.prom": lambda: metrics(operator, None),
        "log.txt": lambda: _log(operator.opts),
    }
    for name, source in sources.items():
        try:
            found = source()
        except (WireguardError, SaltException, OSError) as exc:
            failed[name] = found = str(exc)
        yield name, found if isinstance(found, str) else _json(found)


def _json(data: Any) -> str:
    """With characters as they are, so that names are found."""
    return json.dumps(data, indent=1, default=str, ensure_ascii=False) + "\n"


def _versions(operator: Operator, modules: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "modules": modules,
        "salt": salt.version.__version__,
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "salt-master runs": operator.has_master(),
    }


def _configuration(opts: Mapping[str, Any]) -> dict[str, Any]:
    """Of Salt's, what concerns us, and of what is in the pillar's, our part without its secret."""
    ours = [entry["wireguard"] for entry in opts.get("ext_pillar") or [] if "wireguard" in entry]
    hidden = [{**each, "preshared_secret": "(set)"} if "preshared_secret" in each else each for each in ours]
    engines, reactions = (
        [each for each in opts.get(name) or [] if "wireguard" in str(each)] for name in ("engines", "reactor")
    )
    jobs = {name: job for name, job in (opts.get("schedule") or {}).items() if "wireguard" in str(job)}
    return {
        "ext_pillar": hidden,
        "engines": engines,
        "reactor": reactions,
        "schedule": jobs,
        **{name: opts.get(name) for name in _SETTINGS},
    }


def _log(opts: Mapping[str, Any]) -> str:
    path = str(opts.get("log_file") or "")
    with open(path, "rb") as file:
        file.seek(max(os.stat(path).st_size - _LOG_BYTES, 0))
        lines = file.read().decode(errors="replace").splitlines()
    ours = [line + "\n" for line in lines if "wireguard" in line.lower()]
    return "".join(ours[-_LOG_LINES:])


def _mesh_files(master: Master, anonymous: bool, failed: dict[str, str]) -> dict[str, str]:
    """Line for line, as errors name lines."""
    try:
        texts = [text for _, text in read_files(master.mesh_path)]
        spans = [[(start, end) for start, end, _ in _scalars(text)] for text in texts] if anonymous else []
    except (WireguardError, yaml.YAMLError) as exc:
        failed["mesh"] = f"left out: {exc}"
        return {}
    if anonymous:
        texts = [without_comments(text, each) for text, each in zip(texts, spans, strict=True)]
    return {f"mesh/{number}.yml": text for number, text in enumerate(texts, 1)}


def _scalars(text: str) -> list[tuple[int, int, str]]:
    """(start, end, value) of all words of a text of YAML. Raises YAMLError."""
    tokens = yaml.scan(text, Loader=yaml.SafeLoader)
    return [
        (token.start_mark.index, token.end_mark.index, token.value)
        for token in tokens
        if isinstance(token, yaml.ScalarToken)
    ]


# -- what is a secret, and what a name


def _public_keys(master: Master) -> set[str]:
    """All that are known to be public ones. Anything else that looks like a key may be a secret."""
    snapshot = master.registry.snapshot()
    keys = {key for row in snapshot.rows.values() for key in row.keys}
    keys |= {each.public_key for each in snapshot.waiting.values()}
    keys |= {each.public_key for each in snapshot.exports.values() if each.public_key}
    for entry in master.registry.audit.history(None, _HISTORY):
        keys |= {str(value) for name, value in entry.details.items() if name.endswith("public_key")}
    with suppress(WireguardError):
        keys |= {peer.public_key for each in master.mesh().networks for peer in each.peers if peer.public_key}
    return keys


def _names(master: Master) -> dict[str, str]:
    """All names that are known, of any kind, and what stands for each."""
    snapshot = master.registry.snapshot()
    history = master.registry.audit.history(None, _HISTORY)
    known = [*snapshot.rows, *snapshot.standings, *snapshot.waiting]
    refused = [(each.network, each.node) for each in master.registry.audit.refusals()]
    told = [(each.network, each.node) for each in history]
    words = _words_of_mesh(master)
    networks = {network for network, _ in (*known, *told, *refused)}
    nodes = {node for _, node in (*known, *told, *refused)} | set(master.accepted()) | {master.own_minion}
    with suppress(WireguardError):
        networks |= {each.name for each in master.mesh().networks}
    people = {each.who for each in history} - {"master"}
    return pseudonyms(
        [("network", networks), ("node", nodes - {"*"}), ("user", people - nodes), ("name", words | {platform.node()})]
    )


def _words_of_mesh(master: Master) -> set[str]:
    """Every word of the mesh files that is no key of ours, number or address, and the parts of lists."""
    found: set[str] = set()
    with suppress(WireguardError):
        for _, text in read_files(master.mesh_path):
            try:
                values = [value for _, _, value in _scalars(text)]
            except yaml.YAMLError:  # errors quote what is there
                values = re.findall(r"[\w.*-]+", text)
            for value in values:
                found.update({value, re.sub(r":\d+$", "", value), *re.split(r"[,\s]|^[LEN]@", value)})
    return {word for word in found if _is_name(word)}


def _is_name(word: str) -> bool:
    if not word or word in _WORDS or _NO_NAME.fullmatch(word):
        return False
    try:
        ip_interface(word.partition("-")[0])  # the beginning of a range
    except ValueError:
        return True
    return False


# -- the file


def _write(path: str, texts: Mapping[str, str]) -> None:
    """For its owner alone. Raises ConfigError where there is a file: nobody should replace others by this."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in sorted(texts.items()):
            content = text.encode(errors="replace")
            member = tarfile.TarInfo(f"{_FOLDER}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    try:
        with files.temporary(path, packed.getvalue()) as finished:
            os.link(finished, path)
    except OSError as exc:
        raise ConfigError(f"{path} could not be written: {exc.strerror}") from exc
