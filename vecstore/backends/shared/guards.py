"""Refusals that every backend words alike."""

from __future__ import annotations

import os
from typing import NoReturn

from vecstore.errors import ForkedStore, InvalidArgument, Unsupported


def check_process(process: int, advice: str = "") -> None:
    """Refuse to work in a child of the process that opened the Database.

    Parameters
    ----------
    process : int
    advice : str, optional
        What to do in the child where `vecstore.connect` alone is not enough.

    Raises
    ------
    ForkedStore
    """
    if os.getpid() != process:
        raise ForkedStore(f"This Database was opened before fork(). {advice}") if advice else ForkedStore


def check_usable(process: int, *, closed: bool, advice: str = "") -> None:
    """Refuse to work after a fork or after `close`; see `check_process`.

    Raises
    ------
    ForkedStore, InvalidArgument
    """
    check_process(process, advice)
    if closed:
        raise InvalidArgument("This Database is closed. Call vecstore.connect() again.")


def refuse_newer(what: str, backend: str) -> NoReturn:
    """Refuse data in a form that only a newer vecstore knows.

    Raises
    ------
    Unsupported
    """
    raise Unsupported(what, backend, "It was written by a newer vecstore. Upgrade: pip install --upgrade vecstore-db")
