"""The parts of a ``redis:``, ``rediss:`` or ``unix:`` URL: the server's address and vecstore's own parameters."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from urllib.parse import quote, urlencode

from vecstore.errors import InvalidUrl
from vecstore.names import check_name
from vecstore.urls import check_authority, read_path

from ..shared.url_options import MIN_ROWS, MODE, Parameter, seconds, split, whole

_DRIVERS = frozenset({"db", "username", "password", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
"""Parameters that redis-py takes from a URL."""
_CERTIFICATES = ("none", "optional", "required")


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of the URL that are vecstore's.

    Attributes
    ----------
    namespace : str
        Every key begins with the namespace and a colon.
    timeout : float
        Seconds that one call may take, including the wait for a connection.
    lock_timeout : float
        Seconds that a write waits for a switch.
    read_only : bool
        ``mode=ro``.
    index_min_rows : int
        A store with fewer records gets no HNSW index, because exact search is as fast.
    pool_size : int
        Connections at most; a rebuild needs four at once.
    wait_aof : bool
        ``wait_aof=on``: a write returns once the append-only file holds it on disk.
    """

    namespace: str = "vecstore"
    timeout: float = 30.0
    lock_timeout: float = 5.0
    read_only: bool = False
    index_min_rows: int = 10_000
    pool_size: int = 10
    wait_aof: bool = False


_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "namespace": Parameter(
            "namespace", partial(check_name, what="Namespace"), "1 to 48 of a-z, 0-9 and _, starting with a letter"
        ),
        "timeout": Parameter("timeout", seconds(), "seconds, above 0 and up to 86400"),
        "lock_timeout": Parameter("lock_timeout", seconds(), "seconds, above 0 and up to 86400"),
        "mode": MODE,
        "index_min_rows": MIN_ROWS,
        "pool_size": Parameter("pool_size", whole(4, 1_000), "a whole number from 4 to 1000"),
        "wait_aof": Parameter("wait_aof", {"on": True, "off": False}.__getitem__, "on or off"),
    }
)


def parse_options(parameters: Mapping[str, str], scheme: str = "redis") -> tuple[Options, dict[str, str]]:
    """Return vecstore's options, and the parameters that are redis-py's.

    Raises
    ------
    InvalidUrl
    """
    ours, theirs = split(parameters, _PARAMETERS, _DRIVERS, scheme)
    if scheme != "rediss" and (tls := sorted(name for name in theirs if name.startswith("ssl_"))):
        raise InvalidUrl(f"The URL's parameter {tls[0]} is for TLS. Write rediss:// in place of {scheme}:.")
    if theirs.get("ssl_cert_reqs", "none") not in _CERTIFICATES:
        raise InvalidUrl("The URL's parameter ssl_cert_reqs must be none, optional or required.")
    return Options(**ours), theirs


def make_server_url(scheme: str, location: str, theirs: Mapping[str, str]) -> str:
    """Return the URL for redis-py.

    Raises
    ------
    InvalidUrl
    """
    if "db" in theirs and not theirs["db"].isdecimal():
        raise InvalidUrl("The URL's parameter db must be a whole number.")
    if scheme == "unix":
        location = _make_socket_location(location)
    else:
        check_authority(location, f"A Redis URL looks like {scheme}://user:password@host:6379/0.")
        _check_database(location, theirs)
        location = location.replace("#", "%23")  # redis-py would take the rest for a fragment
    return f"{scheme}:{location}" + (f"?{urlencode(theirs)}" if theirs else "")


def _check_database(location: str, theirs: Mapping[str, str]) -> None:
    """Refuse what redis-py would read as another database: it takes a path that is no number for 0, and 1/2 for 12."""
    _, slash, path = location.removeprefix("//").partition("/")
    number = path.removesuffix("/")
    if slash and number and not (number.isascii() and number.isdecimal()):
        raise InvalidUrl("The path of a Redis URL is the number of a database, as in redis://host:6379/0.")
    if number and "db" in theirs and int(number) != int(theirs["db"]):
        raise InvalidUrl("The path and the parameter db of the URL name different databases. Leave one of them out.")


def _make_socket_location(location: str) -> str:
    authority, slash, path = location.removeprefix("//").partition("/")
    user = ""
    if location.startswith("//") and "@" in location and authority:
        if not (slash and authority.endswith("@")) or "@" in path:
            raise InvalidUrl(
                "A unix: URL with a password looks like unix://user:password@/path/to/redis.sock, with @ : / # ? % in "
                "the password percent-encoded."
            )
        user, location = authority.replace("#", "%23"), f"//{slash}{path}"
    return f"//{user}{quote(os.fsencode(read_path(location, 'unix')))}"
