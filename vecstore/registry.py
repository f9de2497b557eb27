"""The backend of each URL scheme. Backends are named by strings and imported on first use."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from . import inherited_sockets as inherited_sockets  # notes in each forked child what it has inherited
from .backend import Backend
from .driver_objects import find_scheme, has_class
from .errors import InvalidUrl, MissingExtra, Unsupported, close_matches
from .urls import Url, describe_scheme, parse_url

ENTRY_POINTS = "vecstore.backends"
"""Entry-point group in which third parties register a scheme and its ``module:Class``."""

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
    from importlib.metadata import entry_points

    third_party = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**third_party, **_BUILT_IN}


_EXTRAS: Mapping[str, str] = MappingProxyType(
    {**dict.fromkeys(("alembic", "psycopg", "sqlalchemy"), "postgres"), "redis": "redis"}
)
"""Packages that built-in backends need, with the extra that installs them."""


def connect(
    place: object, *, namespace: str | None = None, migrate: bool = False, replicas: Sequence[object] = ()
) -> Backend:
    """Return a connected backend for a URL, a path or the application's own connection.

    A backend class has ``connect(location, options)``: the text between the scheme's colon and the query, and the
    query's parameters, including ``namespace``. A class with migrations also has the keyword ``migrating``, and one
    that takes a driver's object has ``adopt(object, options)``.

    Raises
    ------
    InvalidUrl, Unsupported
    """
    if has_class(place, {("sqlalchemy", "URL")}):
        place = place.render_as_string(hide_password=False)  # type: ignore[attr-defined]
    location, options = place, dict[str, str]()
    if isinstance(place, str | os.PathLike):
        url = parse_url(place)
        scheme, location, options = url.scheme, url.location, url.parameters
        backend = _find_backend(url)
        opened = backend.connect
    else:
        scheme = find_scheme(place)
        backend = _import_class(_BUILT_IN[scheme])
        opened = backend.adopt
    if replicas:
        backend.check_replicas(replicas)
    if namespace is not None:
        if not backend.capabilities.namespaces:
            raise Unsupported("namespaces", scheme, "Use a separate place for each namespace.")
        if options.setdefault("namespace", namespace) != namespace:
            raise InvalidUrl("The URL and the argument name different namespaces. Leave one of them out.")
    if migrate:
        if not backend.capabilities.migrations:
            raise Unsupported("migrations", scheme, "It needs none; leave migrate out.")
        return opened(location, options, migrating=True)  # type: ignore[no-any-return]
    return opened(location, options)  # type: ignore[no-any-return]


def check_place(place: object) -> None:
    """Refuse what `connect` does not take, as far as that is known without importing a driver.

    Raises
    ------
    InvalidUrl
    """
    if isinstance(place, str | os.PathLike):
        _find_class(parse_url(place))
    elif not has_class(place, {("sqlalchemy", "URL")}):
        find_scheme(place)


def _find_class(url: Url) -> str:
    # Reading the entry points of all installed packages is slow, so it is done only for a scheme that is not built in.
    known = _BUILT_IN if url.scheme in _BUILT_IN else schemes()
    if url.scheme not in known:
        if url.scheme == "milvus":
            raise InvalidUrl("Milvus follows stores of PostgreSQL. Write postgresql://…?vectors=milvus://host:19530.")
        raise InvalidUrl(f"Unknown database URL{describe_scheme(url)}.{close_matches(url.scheme, known)}")
    return known[url.scheme]


def _find_backend(url: Url) -> Any:
    return _import_class(_find_class(url))


def _import_class(target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise MissingExtra(package, _EXTRAS[package]) from error
