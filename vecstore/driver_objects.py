"""Objects of drivers that `connect` takes in place of a URL, and advice for those that it does not take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from .errors import InvalidUrl

_OBJECTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("redis", "Redis"): "redis",
        ("redis", "RedisCluster"): "redis",  # refused there
        ("sqlalchemy", "Engine"): "postgresql",
    }
)
"""Packages and classes of the connections that are taken in place of a URL, with the scheme that serves each."""

_GIVE_ENGINE = "Give connect() its Engine, and to write inside its transaction use store.using({})."
_GIVE_URL = (
    "Give connect() a URL such as postgresql://user@host/database, or an Engine made by sqlalchemy.create_engine()."
)
_REFUSED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("sqlalchemy", "AsyncEngine"): _GIVE_URL,
        ("sqlalchemy", "AsyncConnection"): _GIVE_URL,
        ("sqlalchemy", "AsyncSession"): _GIVE_URL,
        ("sqlalchemy", "async_sessionmaker"): _GIVE_URL,
        ("sqlalchemy", "async_scoped_session"): _GIVE_URL,
        ("sqlalchemy", "Connection"): _GIVE_ENGINE.format("connection"),
        ("sqlalchemy", "Session"): _GIVE_ENGINE.format("session"),
        ("sqlalchemy", "sessionmaker"): _GIVE_ENGINE.format("session"),
        ("sqlalchemy", "scoped_session"): _GIVE_ENGINE.format("session"),
        ("psycopg", "Connection"): _GIVE_URL,
        ("psycopg", "AsyncConnection"): _GIVE_URL,
        ("psycopg_pool", "ConnectionPool"): _GIVE_URL,
        ("psycopg_pool", "AsyncConnectionPool"): _GIVE_URL,
    }
)
"""Objects that applications try instead, with what to give."""


def find_scheme(place: object) -> str:
    """Return the scheme whose backend takes an object.

    Raises
    ------
    InvalidUrl
        With what to give instead, if that is known.
    """
    kind = type(place)
    if any(each.__module__.startswith("redis.asyncio") for each in kind.__mro__):
        raise InvalidUrl(
            "connect() takes no redis.asyncio client. Give it a redis.Redis or a URL such as redis://host."
        )
    scheme = next((found for key, found in _OBJECTS.items() if has_class(place, {key})), None)
    if scheme is None:
        advice = next((text for key, text in _REFUSED.items() if has_class(place, {key})), None)
        if advice is not None:
            raise InvalidUrl(f"connect() takes no {kind.__name__}. {advice}")
        raise InvalidUrl(
            "A database is a URL such as 'file:./kb', a path, a SQLAlchemy Engine or a redis.Redis, "
            f"not {kind.__name__}."
        )
    return scheme


def has_class(place: object, keys: Collection[tuple[str, str]]) -> bool:
    """Say whether a class of an object is one of these, without importing the packages."""
    return any((each.__module__.partition(".")[0], each.__name__) in keys for each in type(place).__mro__)
