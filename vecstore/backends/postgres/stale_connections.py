"""Connections that the server has ended: how they are recognised and discarded."""

from __future__ import annotations

import select
from typing import Any

import psycopg
from sqlalchemy.pool import PoolProxiedConnection

from .engine import forget_socket


def is_stale(connection: psycopg.Connection[Any]) -> bool:
    """Say whether an idle connection is closed or has unread data, which nearly always announces its end."""
    return connection.closed or bool(make_poll(connection).poll(0))


def make_poll(connection: psycopg.Connection[Any]) -> select.poll:
    """Return a poll object that reports unread data on a live connection."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return poll


def discard(fairy: PoolProxiedConnection) -> None:
    """Discard a connection; do nothing if it was discarded before."""
    if fairy.dbapi_connection is not None:
        forget_socket(fairy.info)
        fairy.invalidate()
