"""Passages whose document is gone: `vecstore add` of a directory removes them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..store import VectorStore
from .documents import UNREADABLE, Documents
from .report import Report
from .roots import list_passages
from .target import Target

_PAGE = 1_000


def remove_gone(target: Target, report: Report, documents: Documents, *, certain: bool) -> None:
    """Remove passages of the same root that are no longer in the documents.

    If more than half of the known files are gone, ``certain`` must be true, because the directory may be
    empty by accident.
    """
    store = target.store
    if store is None or target.created:
        return
    gone: dict[str, list[str]] = {}
    known = set()
    for source, id_ in _list_passages(store, documents):
        known.add(source)
        if _is_gone(documents, source, id_):
            gone.setdefault(source, []).append(id_)
    files = [source for source in gone if source not in documents.counts]
    if len(files) * 2 > len(known) and not certain:
        report.notes.append(
            f"{len(files):,} of the {len(known):,} files that the store knows of {documents.folder!a} are not "
            f"in {documents.root} any more: their passages are kept. To remove them, add --yes."
        )
        gone = {source: ids for source, ids in gone.items() if source in documents.counts}
    removed = [id_ for ids in gone.values() for id_ in ids]
    for start in range(0, len(removed), _PAGE):
        report.removed += store.delete(ids=removed[start : start + _PAGE])


def _list_passages(store: VectorStore, documents: Documents) -> Iterator[tuple[str, str]]:
    """Iterate over the sources and ids of passages added earlier from the same directory or file."""
    name, value = (
        ("folder", documents.folder) if documents.whole_folder else ("source", next(iter(documents.counts), ""))
    )
    for record in list_passages(store, name, value):
        if record.metadata.get("root") == documents.root:
            yield str(record.metadata["source"]), record.id


def _is_gone(documents: Documents, source: str, id_: str) -> bool:
    count = documents.counts.get(source)
    if count is not None:
        number = id_.rpartition("#")[2]
        return count != UNREADABLE and number.isdecimal() and int(number) > count
    try:
        os.lstat(documents.path / source.removeprefix(f"{documents.folder}/"))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # in a directory that may not be read, for example; os.path.lexists says False there
        return False
    return False
