"""Refusals that every backend words alike."""

from __future__ import annotations

import os
from typing import NoReturn

from vecstore.errors import ForkedStore, InvalidArgument, Unsupported


def check_process(process: int) -> None:
    """Refuse to work in a child of the process that opened the Database.

    Raises
    ------
    ForkedStore
    """
    if os.getpid() != process:
        raise ForkedStore


def check_usable(process: int, *, closed: bool) -> None:
    """Refuse to work after a fork or after `close`.

    Raises
    ------
    ForkedStore, InvalidArgument
    """
    check_process(process)
    if closed:
        raise InvalidArgument("This Database is closed. Call vecstore.connect() again.")


def refuse_newer(what: str, backend: str) -> NoReturn:
    """Refuse data in a form that only a newer vecstore knows.

    Raises
    ------
    Unsupported
    """
    raise Unsupported(what, backend, "It was written by a newer vecstore. Upgrade: pip install --upgrade vecstore-db")
