"""What a ``postgresql:`` URL says: where the server is, and vecstore's own parameters by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import psycopg
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import InvalidUrl, close_matches
from ...schema import check_name


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of the URL that are vecstore's.

    Attributes
    ----------
    namespace : str
        The PostgreSQL schema that holds the catalogue and the stores.
    timeout : float
        Seconds that one statement, a new connection or the wait for one of the pool may take.
    lock_timeout : float
        Seconds that a write waits for another writer or a switch.
    read_only : bool
        ``mode=ro``.
    index_min_rows : int
        Fewer records get no index: exact search is as fast.
    prepare : bool
        ``prepare=off`` is for PgBouncer in transaction mode: nothing is kept in a session then.
    pool_size : int
        Connections at most.
    build_memory : int
        Megabytes for building an index, ``maintenance_work_mem``; 0 leaves the server's setting.
    build_workers : int or None
        Processes that help to build an index; None leaves the server's setting.
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


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 < value <= 86_400):
        raise ValueError
    return value


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return convert


def _namespace(text: str) -> str:
    if re.fullmatch(r"pg_.*", text):
        raise ValueError
    return check_name(text, "Namespace")


def _word(words: Mapping[str, bool]) -> Callable[[str], bool]:
    return lambda text: words[text]


_PARAMETERS: Mapping[str, tuple[str, Callable[[str], Any], str]] = MappingProxyType(
    {
        "namespace": ("namespace", _namespace, "1 to 48 of a-z, 0-9 and _, starting with a letter, not pg_"),
        "timeout": ("timeout", _seconds, "seconds, above 0 and up to 86400"),
        "lock_timeout": ("lock_timeout", _seconds, "seconds, above 0 and up to 86400"),
        "mode": ("read_only", _word({"rw": False, "ro": True}), "rw or ro"),
        "index_min_rows": ("index_min_rows", _whole(1, 1 << 40), "a whole number of at least 1"),
        "prepare": ("prepare", _word({"on": True, "off": False}), "on or off"),
        "pool_size": ("pool_size", _whole(2, 1_000), "a whole number from 2 to 1000"),
        "build_memory": ("build_memory", _whole(1, 1 << 20), "megabytes, 1 to 1048576"),
        "build_workers": ("build_workers", _whole(0, 64), "a whole number from 0 to 64"),
    }
)


def parse(parameters: Mapping[str, str]) -> tuple[Options, dict[str, str]]:
    """Return vecstore's options, and the parameters that are libpq's.

    Raises
    ------
    InvalidUrl
    """
    known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
    ours: dict[str, Any] = {}
    theirs: dict[str, str] = {}
    for name, text in parameters.items():
        if name in _PARAMETERS:
            attribute, convert, expected = _PARAMETERS[name]
            try:
                ours[attribute] = convert(text)
            except (ValueError, KeyError) as error:
                raise InvalidUrl(f"The URL's parameter {name} must be {expected}, not {text[:40]!a}.") from error
        elif name in known:
            theirs[name] = text
        else:
            raise InvalidUrl(
                f"postgresql: has no parameter {name[:40]!a}.{close_matches(name, {*_PARAMETERS, *known})}"
            )
    return Options(**ours), theirs


def server_url(location: str, libpq: Mapping[str, str]) -> URL:
    """Return where the server is, for SQLAlchemy.

    Raises
    ------
    InvalidUrl
    """
    try:
        url = make_url(f"postgresql+psycopg:{location}")
        return url.set(query=dict(libpq))
    except (ArgumentError, ValueError):  # whose messages quote the URL, a password among it
        raise InvalidUrl("A PostgreSQL URL looks like postgresql://user@host:5432/database.") from None


def of_running(url: str) -> URL:
    """Return where a server is that was started here, from the URL that it goes by."""
    return make_url(url).set(drivername="postgresql+psycopg")
