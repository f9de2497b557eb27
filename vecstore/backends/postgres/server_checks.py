"""Facts about the server, read once when a Database is opened."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from vecstore.errors import BackendUnavailable, ExtensionMissing

from .column_types import Oids

OLDEST = 140_000
"""The first version whose EXTRACT is exact."""
SOUND_INDEXES = (0, 8, 4)
"""Before it, VACUUM may corrupt an HNSW index (pgvector pull request 988)."""
SAFE_PARALLEL_BUILDS = (0, 8, 2)
"""Before it, a parallel build may read other relations' memory (CVE-2026-3172)."""
ITERATIVE_SCANS = (0, 8, 0)

_FACTS = """
SELECT current_setting('server_version_num')::int, extversion, nspname, pg_is_in_recovery(),
       current_setting('default_transaction_read_only') = 'on', quote_ident(current_user),
       EXISTS (SELECT FROM pg_extension WHERE extname = 'citus'),
       vector.oid, vector.typarray, halfvec.oid, halfvec.typarray
FROM (SELECT) AS here
LEFT JOIN pg_extension ON extname = 'vector'
LEFT JOIN pg_namespace ON pg_namespace.oid = extnamespace
LEFT JOIN pg_type vector ON vector.typname = 'vector' AND vector.typnamespace = extnamespace
LEFT JOIN pg_type halfvec ON halfvec.typname = 'halfvec' AND halfvec.typnamespace = extnamespace
"""

_STANDBY = "The server is a read-only standby: connect to the primary."
_READ_ONLY = (
    "Transactions are read-only by default_transaction_read_only: run ALTER ROLE {role} SET "
    "default_transaction_read_only = off (or change it where the database or the URL sets it), then connect again."
)
_NO_EXTENSION = (
    "The database has no pgvector. Let a superuser, or a role with CREATE on the database where the server trusts the "
    "extension, run in it: CREATE EXTENSION vector"
)


class ServerWarning(UserWarning):
    """The server works, but has a known fault."""


@dataclass(frozen=True, slots=True)
class Server:
    """Facts about a database.

    Attributes
    ----------
    version : int
        PostgreSQL's, such as 180004.
    pgvector : tuple of int
    extension : str
        The schema that pgvector is installed in.
    read_only_reason : str
        Why nothing can be written, and what to do; empty where it can.
    has_citus : bool
        Whether tables of the database may lie on other servers, so that its own catalogues do not know their sizes.
    oids : Oids
    """

    version: int
    pgvector: tuple[int, ...]
    extension: str
    read_only_reason: str
    has_citus: bool
    oids: Oids


def read_server(connection: psycopg.Connection[Any]) -> Server:
    """Read the facts about a server.

    Raises
    ------
    ExtensionMissing, BackendUnavailable
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(_FACTS).fetchone()
    if row is None:
        raise BackendUnavailable("The server did not report its version. Try again.")
    version, extension_version, extension, recovering, reading, role, has_citus, *oids = row
    if version < OLDEST:
        raise BackendUnavailable(f"PostgreSQL {version // 10_000} is too old: vecstore needs 14 or newer.")
    if extension is None:
        raise ExtensionMissing(_NO_EXTENSION)
    found = tuple(int(part) for part in extension_version.split(".")[:3])
    if found < ITERATIVE_SCANS or None in oids:
        raise ExtensionMissing(
            f"pgvector {extension_version} is too old: vecstore needs 0.8.0 or newer. Update the server's package, "
            "then run: ALTER EXTENSION vector UPDATE"
        )
    reason = _STANDBY if recovering else _READ_ONLY.format(role=role) if reading else ""
    return Server(version, found, extension, reason, has_citus, Oids(*oids))


def warn_of_faults(server: Server) -> None:
    """Warn of a pgvector version with a known fault."""
    if server.pgvector < SOUND_INDEXES:
        shown = ".".join(map(str, server.pgvector))
        warnings.warn(
            f"pgvector {shown} may corrupt an HNSW index when it is vacuumed. Update it to 0.8.4 or newer, "
            "then call reindex() on each store.",
            ServerWarning,
            stacklevel=2,
        )
