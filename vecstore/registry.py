"""Which backend serves which URL. Backends are named by strings and imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from .backend import Backend
from .errors import InvalidUrl, MissingExtra, Unsupported, close_matches

ENTRY_POINTS = "vecstore.backends"
"""Entry-point group in which a third party names a scheme and its ``module:Class``."""

_BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "file": "vecstore.backends.file.backend:FileBackend",
        "memory": "vecstore.backends.memory:MemoryBackend",
        "postgresql": "vecstore.backends.postgres.backend:PostgresBackend",
        "postgresql+embedded": "vecstore.backends.postgres.embedded.backend:EmbeddedBackend",
        "redis": "vecstore.backends.redis.backend:RedisBackend",
        "rediss": "vecstore.backends.redis.backend:TlsBackend",
        "unix": "vecstore.backends.redis.backend:UnixBackend",
    }
)


def schemes() -> dict[str, str]:
    """Return every known URL scheme with the ``module:Class`` that serves it."""
    third_party = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**third_party, **_BUILT_IN}


_EXTRAS: Mapping[str, str] = MappingProxyType(
    {**dict.fromkeys(("alembic", "psycopg", "sqlalchemy"), "postgres"), "redis": "redis"}
)
"""Packages that built-in backends need, with the extra that has them."""
_DRIVERS: Mapping[str, str] = MappingProxyType({"redis": "redis", "sqlalchemy": "postgresql"})
"""Packages whose connections are taken in place of a URL, with the scheme that knows what to do with them."""


def connect(place: object, *, namespace: str | None = None, migrate: bool = False) -> Backend:
    """Return a connected backend for a URL or for the application's own connection.

    A backend class has ``connect(location, options)``: what follows the scheme's colon, without the
    query, and the query's parameters, ``namespace`` among them. One with migrations has the keyword
    ``migrating`` too, and one that takes a driver's object has ``adopt(object, options)``.

    Raises
    ------
    InvalidUrl, Unsupported
    """
    location, options = place, dict[str, str]()
    if isinstance(place, str):
        backend, location, options = _parsed(place)
        opened, scheme = backend.connect, place.partition(":")[0]
    else:
        packages = (kind.__module__.partition(".")[0] for kind in type(place).__mro__)
        scheme = next((_DRIVERS[package] for package in packages if package in _DRIVERS), "")
        if not scheme:
            kind = type(place).__name__
            raise InvalidUrl(
                f"A database is a URL such as 'file:./kb', a SQLAlchemy Engine or a redis.Redis, not {kind}."
            )
        backend = _class(_BUILT_IN[scheme])
        opened = backend.adopt
    if namespace is not None:
        if not backend.capabilities.namespaces:
            raise Unsupported("namespaces", scheme, "Give each namespace a place of its own.")
        if options.setdefault("namespace", namespace) != namespace:
            raise InvalidUrl("The URL and the argument name different namespaces. Leave one of them out.")
    if migrate:
        if not backend.capabilities.migrations:
            raise Unsupported("migrations", scheme, "It needs none: leave migrate out.")
        return opened(location, options, migrating=True)  # type: ignore[no-any-return]
    return opened(location, options)  # type: ignore[no-any-return]


def _parsed(url: str) -> tuple[Any, str, dict[str, str]]:
    scheme, colon, rest = url.partition(":")
    # Entry points of all installed packages are read only for a scheme that is not ours.
    known = _BUILT_IN if scheme in _BUILT_IN else schemes()
    if not colon or scheme not in known:
        shown = ascii(scheme[:40]) if colon else "without a scheme"
        hint = close_matches(scheme, known) if colon else " For a directory write 'file:./directory'."
        raise InvalidUrl(f"Unknown database URL {shown}.{hint}")
    location, _, query = rest.partition("?")
    return _class(known[scheme]), location, parameters(query)


def parameters(query: str) -> dict[str, str]:
    """Return a URL's parameters by name.

    Raises
    ------
    InvalidUrl
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:  # its message quotes the parameters, a password among them
        raise InvalidUrl("The URL's parameters must look like ?name=value&name=value.") from None
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise InvalidUrl(f"The URL gives the parameter {name[:40]!a} more than once.")
    return dict(pairs)


def _class(target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise MissingExtra(package, _EXTRAS[package]) from error
