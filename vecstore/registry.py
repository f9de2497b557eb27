"""Which backend serves which URL. Backends are named by strings and imported on first use."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from .backend import Backend
from .errors import InvalidUrl, close_matches

ENTRY_POINTS = "vecstore.backends"
"""Entry-point group in which a third party names a scheme and its ``module:Class``."""

_BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "file": "vecstore.backends.file.backend:FileBackend",
        "memory": "vecstore.backends.memory:MemoryBackend",
    }
)


def schemes() -> dict[str, str]:
    """Return every known URL scheme with the ``module:Class`` that serves it."""
    third_party = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**third_party, **_BUILT_IN}


def connect(url: str) -> Backend:
    """Return a connected backend for a URL.

    A backend class has ``connect(location, options)``: what follows the scheme's colon, without the
    query, and the query's parameters.

    Raises
    ------
    InvalidUrl
    """
    if not isinstance(url, str):
        raise InvalidUrl(f"A database URL is a str such as 'file:./kb', not {type(url).__name__}.")
    scheme, colon, rest = url.partition(":")
    # Entry points of all installed packages are read only for a scheme that is not ours.
    known = _BUILT_IN if scheme in _BUILT_IN else schemes()
    if not colon or scheme not in known:
        shown = ascii(scheme[:40]) if colon else "without a scheme"
        hint = close_matches(scheme, known) if colon else " For a directory write 'file:./directory'."
        raise InvalidUrl(f"Unknown database URL {shown}.{hint}")
    location, _, query = rest.partition("?")
    return _class(known[scheme]).connect(location, _parameters(query))  # type: ignore[no-any-return]


def _parameters(query: str) -> dict[str, str]:
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
    return getattr(importlib.import_module(module), name)
