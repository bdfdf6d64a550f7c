"""What nodes say to a master, signed with their own keys, and what it makes of that."""

from pathlib import Path

from factories import mesh_text, salt_key
from saltext.wireguard.master.intake import hear
from saltext.wireguard.master.status import statuses
from saltext.wireguard.model import statements
from saltext.wireguard.model.statements import REGISTER_TAG, REPORT_TAG, Report


def event(statement, signer=None, sender=None):
    signed = statements.sign(statement, salt_key(signer or statement.node).private_pem)
    return {"id": sender or statement.node, "data": {"signed": signed}, "_stamp": "2026-01-01T00:00:00"}


def says(master, statement, **kwargs):
    tag = REPORT_TAG if isinstance(statement, Report) else REGISTER_TAG
    return hear(master, tag, event(statement, **kwargs))


def believed(master):
    rows = {key: (row.public_key, row.serial) for key, row in master.registry.snapshot().rows.items()}
    return rows, {key: (each.digest, each.salt_key) for key, each in master.registry.applied().items()}


def reasons(master):
    return {status.member.node: status.reason for status in statuses(master.moment())}


def logged(caplog):
    """What our modules logged; plugins of pytest have threads that log as well."""
    return [entry for entry in caplog.records if entry.name.startswith("saltext.wireguard")]


def refused(master):
    return [(each.node, each.network, each.reason, each.count) for each in master.registry.audit.refusals()]


def want_preshared_keys(master):
    Path(master.mesh_path).write_text(mesh_text("'*': {}", extra="preshared_keys: true"))
