"""What keeps a store from being copied or moved to another Database, found before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..backend import Backend, Entry, Generation, Rows
from ..errors import StoreExists, StoreNotFound, VecstoreError
from ..lookup import check_here, check_settled
from ..pages import read_pages
from ..rebuild.copy import Copy
from ..rebuild.target import check_vectors
from ..rows.selected import take_rows
from ..store_embedder import StoreEmbedder

MOST = 10
"""How many records are named."""


def find_obstacles(
    source: Backend, leaving: Entry, target: Backend, name: str, wanted: Generation, embedder: StoreEmbedder
) -> list[str]:
    """Return a sentence for each obstacle, of records the first ones with their ids; nothing is written or embedded."""
    copy = Copy(source, leaving.active, wanted, embedder, leaving.name, target)
    checks: list[Callable[[], object]] = [
        target.capabilities.check_writable,
        lambda: target.capabilities.check_schema(wanted.schema),
        lambda: check_settled(leaving),
        lambda: _check_free(target, name),
        lambda: check_vectors(source, leaving, wanted.schema),
    ]
    found = [reason for check in checks if (reason := _explain(check)) is not None]
    if copy.converts:
        for rows in read_pages(source, leaving.active):
            found += _find_in_page(copy, rows)
            if len(found) >= MOST:
                break
    return found


def _find_in_page(copy: Copy, rows: Rows) -> Iterator[str]:
    if _explain(lambda: copy.check_convertible(rows)) is None:
        return
    for row in range(len(rows)):
        one = take_rows(rows, [row])
        if (reason := _explain(lambda one=one: copy.check_convertible(one))) is not None:  # type: ignore[misc]
            yield reason


def _explain(check: Callable[[], object]) -> str | None:
    try:
        check()
    except VecstoreError as error:
        return str(error)
    return None


def _check_free(target: Backend, name: str) -> None:
    try:
        entry = target.find(name=name)
    except StoreNotFound:
        return
    check_here(entry)
    raise StoreExists(f"There is already a store {name!r} in the target. Give another name, or drop it first.")
