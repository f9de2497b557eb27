"""The parts of a ``postgresql:`` URL: the server's address and vecstore's own parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from vecstore.errors import InvalidUrl
from vecstore.names import check_name
from vecstore.urls import check_authority

from ..shared.url_options import MIN_ROWS, MODE, Parameter, seconds, split, whole, word

if TYPE_CHECKING:
    from vecstore.backends.milvus.options import MilvusOptions

_DIGITS = 10
_EXPECTED = "A PostgreSQL URL looks like postgresql://user@host:5432/database."

_OF_A_COPY = 3
"""Connections that a copy into another engine holds at a time: its lock, that of a round, and the mark of a round."""


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of the URL that are vecstore's.

    Attributes
    ----------
    namespace : str
        The PostgreSQL schema that holds the catalogue and the stores.
    timeout : float
        Seconds that one statement, a new connection or the wait for a pooled one may take.
    lock_timeout : float
        Seconds that a write waits for another writer or a switch.
    read_only : bool
        ``mode=ro``.
    index_min_rows : int
        A store with fewer records gets no index, because exact search is as fast.
    prepare : bool
        ``prepare=off`` keeps nothing in a session, for PgBouncer in transaction mode.
    pool_size : int
        Connections at most.
    build_memory : int
        Megabytes for building an index, ``maintenance_work_mem``; 0 leaves the server's setting.
    build_workers : int or None
        Parallel workers that help to build an index; None leaves the server's setting.
    vectors : MilvusOptions or None
        The server of Milvus that follows the stores and finds neighbours.
    """

    namespace: str = "vecstore"
    timeout: float = 30.0
    lock_timeout: float = 5.0
    read_only: bool = False
    index_min_rows: int = 10_000
    prepare: bool = True
    pool_size: int = 10
    build_memory: int = 0
    build_workers: int | None = None
    vectors: MilvusOptions | None = field(default=None, repr=False)


def _parse_namespace(text: str) -> str:
    if re.fullmatch(r"pg_.*", text):
        raise ValueError
    return check_name(text, "Namespace")


_SWITCH = ("disable", "prefer", "require")
_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "gssencmode": _SWITCH,
        "channel_binding": _SWITCH,
        "sslnegotiation": ("postgres", "direct"),
        "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
        "load_balance_hosts": ("disable", "random"),
    }
)
"""The words that libpq takes for its parameters. Its own messages quote what was given, which may be a secret."""
_NUMBERS = frozenset(
    {"port", "connect_timeout", "tcp_user_timeout", "keepalives", "keepalives_idle", "keepalives_interval"}
    | {"keepalives_count", "sslcompression"}
)

_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "namespace": Parameter(
            "namespace", _parse_namespace, "1 to 48 of a-z, 0-9 and _, starting with a letter, not pg_"
        ),
        "timeout": Parameter("timeout", seconds(), "seconds, above 0 and up to 86400"),
        "lock_timeout": Parameter("lock_timeout", seconds(), "seconds, above 0 and up to 86400"),
        "mode": MODE,
        "index_min_rows": MIN_ROWS,
        "prepare": Parameter("prepare", word({"on": True, "off": False}), "on or off"),
        "pool_size": Parameter("pool_size", whole(2, 1_000), "a whole number from 2 to 1000"),
        "build_memory": Parameter("build_memory", whole(1, 1 << 20), "megabytes, 1 to 1048576"),
        "build_workers": Parameter("build_workers", whole(0, 64), "a whole number from 0 to 64"),
    }
)


def parse_options(parameters: Mapping[str, str]) -> tuple[Options, dict[str, str]]:
    """Return vecstore's options, and the parameters that are libpq's.

    Raises
    ------
    InvalidUrl
    """
    known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
    given = dict(parameters)
    vectors = given.pop("vectors", None)
    ours, theirs = split(given, _PARAMETERS, {*known, "vectors"}, "postgresql")
    if vectors is not None:
        from vecstore.backends.milvus.options import parse_milvus_url

        ours["vectors"] = parse_milvus_url(vectors)
        if ours.get("pool_size", _OF_A_COPY) < _OF_A_COPY:
            raise InvalidUrl(f"The URL's parameter pool_size must be at least {_OF_A_COPY} beside vectors=.")
    for name, value in theirs.items():
        if name in _WORDS and value not in _WORDS[name]:
            raise InvalidUrl(
                f"The URL's parameter {name} must be {', '.join(_WORDS[name][:-1])} or {_WORDS[name][-1]}."
            )
        if name in _NUMBERS and not all(part.isdecimal() and len(part) < _DIGITS for part in value.split(",")):
            raise InvalidUrl(f"The URL's parameter {name} must be a whole number.")
    return Options(**ours), theirs


def make_server_url(location: str, libpq: Mapping[str, str]) -> URL:
    """Return the server's URL for SQLAlchemy.

    Raises
    ------
    InvalidUrl
    """
    check_authority(location, _EXPECTED)
    try:
        url = make_url(f"postgresql+psycopg:{location}")
        return url.set(query=dict(libpq))
    except (ArgumentError, ValueError):  # their messages quote the URL with its password
        raise InvalidUrl(_EXPECTED) from None


def parse_running_url(url: str) -> URL:
    """Return SQLAlchemy's URL of an embedded server from the one for libpq."""
    return make_url(url).set(drivername="postgresql+psycopg")
