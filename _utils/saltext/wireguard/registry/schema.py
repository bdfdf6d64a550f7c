"""The tables of a registry, for both kinds of database, and the versions of their format."""

from __future__ import annotations

import re

from ..errors import RegistryError

SCHEMA_VERSION = 1

# {number}: a key that is a number. {kept_by_key}: a table of small rows that are found by their key.
TABLES = """
CREATE TABLE generation (value BIGINT NOT NULL);
INSERT INTO generation VALUES (1);
CREATE TABLE lease (master TEXT, token BIGINT NOT NULL, until FLOAT8 NOT NULL);
INSERT INTO lease VALUES (NULL, 0, 0);
CREATE TABLE master (
    name TEXT NOT NULL PRIMARY KEY, sources TEXT NOT NULL, modules TEXT NOT NULL, seen FLOAT8 NOT NULL
) {kept_by_key};
CREATE TABLE moved (place TEXT NOT NULL, time FLOAT8 NOT NULL);
CREATE TABLE node (
    network TEXT NOT NULL, node TEXT NOT NULL,
    public_key TEXT NOT NULL, endpoints TEXT NOT NULL, port BIGINT NOT NULL,
    serial BIGINT NOT NULL, salt_key TEXT NOT NULL, registered FLOAT8 NOT NULL,
    next_key TEXT, keyed FLOAT8 NOT NULL,
    PRIMARY KEY (network, node), UNIQUE (network, public_key)
) {kept_by_key};
CREATE INDEX vouched ON node (network, node) WHERE salt_key = 'vouched';
CREATE INDEX node_of_key ON node (public_key);
CREATE INDEX node_of_next_key ON node (next_key) WHERE next_key IS NOT NULL;
CREATE TABLE address (
    network TEXT NOT NULL, address TEXT NOT NULL, node TEXT NOT NULL, freed FLOAT8,
    PRIMARY KEY (network, address)
) {kept_by_key};
CREATE INDEX address_of_node ON address (network, node, freed);
CREATE INDEX address_freed ON address (network, freed) WHERE freed IS NOT NULL;
CREATE TABLE pool (
    network TEXT NOT NULL, subnet TEXT NOT NULL, untouched TEXT NOT NULL,
    PRIMARY KEY (network, subnet)
) {kept_by_key};
CREATE TABLE settled (sources TEXT NOT NULL);
INSERT INTO settled VALUES ('');
CREATE TABLE looked (time FLOAT8 NOT NULL);
INSERT INTO looked VALUES (0);
CREATE TABLE serial (
    kind TEXT NOT NULL, network TEXT NOT NULL, node TEXT NOT NULL, salt_key TEXT NOT NULL, value BIGINT NOT NULL,
    PRIMARY KEY (kind, network, node, salt_key)
) {kept_by_key};
CREATE TABLE report (
    network TEXT NOT NULL, node TEXT NOT NULL, digest TEXT NOT NULL, salt_key TEXT NOT NULL, reported FLOAT8 NOT NULL,
    rollback TEXT, obstacles TEXT NOT NULL, drift TEXT NOT NULL,
    PRIMARY KEY (network, node)
) {kept_by_key};
CREATE TABLE standing (
    network TEXT NOT NULL, node TEXT NOT NULL, state TEXT NOT NULL, since FLOAT8 NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, expires FLOAT8, generation BIGINT NOT NULL,
    PRIMARY KEY (network, node)
) {kept_by_key};
CREATE TABLE waiting (
    network TEXT NOT NULL, node TEXT NOT NULL, question TEXT NOT NULL, public_key TEXT NOT NULL,
    record TEXT NOT NULL, salt_key TEXT NOT NULL, since FLOAT8 NOT NULL,
    PRIMARY KEY (network, node)
) {kept_by_key};
CREATE TABLE asked (
    network TEXT NOT NULL, node TEXT NOT NULL, first TEXT NOT NULL, changed BIGINT NOT NULL, shown TEXT,
    PRIMARY KEY (network, node)
) {kept_by_key};
CREATE TABLE deferred (
    network TEXT NOT NULL, node TEXT NOT NULL, record TEXT NOT NULL, salt_key TEXT NOT NULL, since FLOAT8 NOT NULL,
    PRIMARY KEY (network, node)
) {kept_by_key};
CREATE TABLE budget (
    name TEXT NOT NULL, node TEXT NOT NULL, spent FLOAT8 NOT NULL, at FLOAT8 NOT NULL,
    PRIMARY KEY (name, node)
) {kept_by_key};
CREATE TABLE rejected (
    network TEXT NOT NULL, node TEXT NOT NULL, public_key TEXT NOT NULL, since FLOAT8 NOT NULL, who TEXT NOT NULL,
    PRIMARY KEY (network, node, public_key)
) {kept_by_key};
CREATE TABLE member (
    network TEXT NOT NULL, node TEXT NOT NULL,
    PRIMARY KEY (network, node)
) {kept_by_key};
CREATE TABLE export (
    network TEXT NOT NULL, peer TEXT NOT NULL, public_key TEXT, digest TEXT NOT NULL, exported FLOAT8 NOT NULL,
    PRIMARY KEY (network, peer), UNIQUE (network, public_key)
) {kept_by_key};
CREATE TABLE drain (
    network TEXT NOT NULL, node TEXT NOT NULL, since FLOAT8 NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    until FLOAT8, automatic BIGINT NOT NULL,
    PRIMARY KEY (network, node)
) {kept_by_key};
CREATE TABLE boot (
    node TEXT NOT NULL, salt_key TEXT NOT NULL, boot TEXT NOT NULL, state TEXT NOT NULL, seen FLOAT8 NOT NULL,
    PRIMARY KEY (node, salt_key, boot)
) {kept_by_key};
CREATE TABLE history (
    id {number}, time FLOAT8 NOT NULL, network TEXT NOT NULL, node TEXT NOT NULL,
    what TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, details TEXT NOT NULL, announced BIGINT NOT NULL,
    kind TEXT, times BIGINT NOT NULL, last FLOAT8 NOT NULL
);
CREATE INDEX history_by_itself ON history (node, id) WHERE who = node;
CREATE INDEX history_of_refusals ON history (kind, node, id) WHERE kind IS NOT NULL;
CREATE INDEX history_of_node ON history (node, id);
CREATE INDEX history_not_announced ON history (id) WHERE announced = 0;
"""

TABLE_NAMES = re.findall(r"CREATE TABLE (\w+)", TABLES)


def refuse_version(version: int) -> None:
    """Raise RegistryError for a registry that later software made."""
    if version > SCHEMA_VERSION:
        raise RegistryError(
            f"the registry has format {version}, this software knows {SCHEMA_VERSION}: update saltext-wireguard on the"
            " master, or restore the registry from a backup"
        )


def refuse_moved(place: str | None) -> None:
    """Raise RegistryError where the registry is in another place by now: two of them would give addresses twice."""
    if place is not None:
        raise RegistryError(
            f"the registry was moved to {place}: write `registry: {place}` into the master's configuration (ext_pillar,"
            " wireguard), with the password if it needs one, and restart salt-master; nothing was changed"
        )
