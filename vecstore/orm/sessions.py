"""What a sessionmaker says about its database and its sessions."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from ..errors import InvalidArgument

_SYNCHRONOUS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("postgresql", "psycopg"): "postgresql+psycopg",
        ("postgresql", "asyncpg"): "postgresql+psycopg",
        ("sqlite", "aiosqlite"): "sqlite+pysqlite",
        ("mysql", "aiomysql"): "mysql+pymysql",
        ("mysql", "asyncmy"): "mysql+pymysql",
        ("mariadb", "aiomysql"): "mariadb+pymysql",
        ("mariadb", "asyncmy"): "mariadb+pymysql",
    }
)
"""The driver with which a worker uses the database of an asynchronous engine."""


def find_engine(maker: Any, engine: Any) -> Any:
    """Return the engine that was given, or that to which a sessionmaker is bound.

    Raises
    ------
    InvalidArgument
    """
    keywords = getattr(maker, "kw", None)
    if not isinstance(keywords, dict):
        raise InvalidArgument(
            f"install() takes a sessionmaker or an async_sessionmaker, not {type(maker).__name__}: "
            "vectors.install(sessionmaker(engine))."
        )
    bound = keywords.get("bind") if engine is None else engine
    if bound is None:
        raise InvalidArgument("The sessionmaker is bound to no engine. Give install() one: engine=…")
    return bound


def make_synchronous(bound: Any) -> Engine:
    """Return a synchronous engine for the database of an asynchronous one.

    Raises
    ------
    InvalidArgument
    """
    if getattr(bound, "sync_engine", None) is None:
        raise InvalidArgument(f"engine must be an Engine, not {type(bound).__name__}. Give install() one: engine=…")
    url = bound.url
    driver = _SYNCHRONOUS.get((bound.dialect.name, bound.dialect.driver))
    if driver is None or (bound.dialect.name == "sqlite" and url.database in {None, "", ":memory:"}):
        raise InvalidArgument(
            "A worker cannot reach the database of this asynchronous engine by its URL. Give install() a synchronous "
            "engine: engine=create_engine(…)."
        )
    return create_engine(url.set(drivername=driver))


def find_session_class(maker: Any) -> Any:
    """Return the class of a sessionmaker's own sessions, which gets the events; other sessions do not."""
    if isinstance(maker, sessionmaker):
        return maker
    given = maker.kw.get("sync_session_class", Session)
    if given is Session:
        given = type("WatchedSession", (Session,), {})
        maker.configure(sync_session_class=given)
    return given
