"""The registry as a whole: what it is, its way to another database, backup and restore."""

from __future__ import annotations

import time
from typing import Any

import salt.utils.sdb

from ..errors import ConfigError
from ..master import secretfile
from ..registry.registry import database_at
from ..rollout.lock import reconcile_lock
from ..wording import shell
from .operator import Operator


def registry(operator: Operator, copy_to: object) -> dict[str, Any]:
    """``salt-run wireguard.registry``."""
    found = operator.master.registry
    if copy_to is not None:
        _move(operator, copy_to)
    facts = found.upkeep.facts()
    if facts is None:
        return {"answer": f"there is no registry in {found.place} yet: no node has registered", "place": found.place}
    answer = f"{facts.nodes} nodes are in the registry {found.place}"
    if facts.moved_to:
        answer = (
            f"the registry was moved to {facts.moved_to}. Until every master has `registry: {facts.moved_to}` in its"
            " configuration, with the password if it needs one, and was restarted, nothing changes; the registry in"
            f" {found.place} can only be read"
        )
    return {
        "answer": answer,
        "place": found.place,
        "software": facts.software,
        "format": facts.format,
        "generation": facts.generation,
        "generation_at": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts.generation / 1e9)),
        "nodes": facts.nodes,
        "history_entries": facts.history,
        "size_bytes": facts.bytes,
        "answer_ms": round(1000 * facts.seconds, 1),
        "moved_to": facts.moved_to,
    }


def _move(operator: Operator, copy_to: object) -> None:
    """Nothing is announced at the end: it could not be written down here any more."""
    target = database_at(str(salt.utils.sdb.sdb_get(copy_to, operator.opts)))
    with reconcile_lock(operator.master.state_dir, wait=True):
        operator.master.registry.upkeep.move_to(target)


def backup(operator: Operator, file: str, secret: bool) -> dict[str, Any]:
    """``salt-run wireguard.backup``."""
    master = operator.master
    text = secretfile.kept_secret(master.state_dir) if secret else None
    if secret and master.configured_secret:
        raise ConfigError("the secret of preshared keys comes from `preshared_secret` in the master's configuration")
    master.registry.upkeep.back_up(file, text)
    left_out = secretfile.kept_secret(master.state_dir) is not None and text is None
    return {
        "answer": f"the registry {master.registry.place} is in {file}, for root only",
        "file": file,
        "has_secret": text is not None,
        "left_out": ["the secret of preshared keys: secret=True takes it along"] if left_out else [],
    }


def restore(operator: Operator, file: str, force: bool) -> dict[str, Any]:
    """``salt-run wireguard.restore``."""
    master = operator.master
    older = master.registry.upkeep.older(file)
    rows = [{"network": network, "node": node} for network, node in older]
    if not force:
        command = shell("salt-run wireguard.restore", f"file={file}", "force=True")
        text = f"nothing was changed; {command} replaces the registry by this backup"
        return {"answer": text, "differ": rows, "next": []}
    with reconcile_lock(master.state_dir, wait=True):
        secret = master.registry.upkeep.restore(file)
        kept = secret is None or secretfile.put_back_secret(master.state_dir, secret)
    steps = [] if kept else ["the backup has another secret of preshared keys; the present one was kept"]
    if older:
        nodes = sorted({node for _, node in older})
        steps.append(f"{shell('salt', '-L', ','.join(nodes), 'state.apply wireguard')}: these nodes register again")
    steps.append("salt-run wireguard.nodes: its warnings name the decisions that the backup lacks, and that still hold")
    return {"answer": f"the registry is that of {file}", "differ": rows, "next": steps}
