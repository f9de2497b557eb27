"""Writing items into a store in batches: unchanged records are left out, vanished passages removed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from ..errors import EmbedderRequired, InvalidArgument, PartialWrite
from ..fields import Keyword
from ..filters.field_ref import F
from ..records import Record
from ..rows.conversion import EmbedTexts, as_rows
from ..store import VectorStore
from .documents import UNREADABLE, Documents
from .exits import Failure
from .sources import Item, Skipped, Source
from .target import Target

FIRST_BATCH, LARGEST_BATCH = 256, 4_096
_QUICK, _SLOW = 0.5, 2.0  # seconds per batch; in between, a progress bar moves often enough and commits are few
_LISTED = 1_000
_PAGE = 1_000


@dataclass
class Report:
    """What `add` did."""

    read: int = 0
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0
    first_skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Ingestion:
    """Writes items into a target.

    Parameters
    ----------
    target : Target
    batch_size : int, optional
        Records in one commit; by default about a second's worth.
    skip_bad : bool
        Continue after a record that cannot be stored.
    """

    def __init__(self, target: Target, batch_size: int | None = None, *, skip_bad: bool = False) -> None:
        self.report = Report()
        self._target = target
        self._fixed = batch_size
        self._size = batch_size or FIRST_BATCH
        self._skip_bad = skip_bad

    def ingest(self, source: Source, on_progress: Callable[[int, int], None]) -> None:
        """Read a source to its end. After each batch, report the bytes read of it and the records done in total."""
        items = self._items(source)
        while batch := list(islice(items, self._size)):
            began = time.monotonic()
            self._write(batch)
            self.report.read += len(batch)
            on_progress(batch[-1].position, self.report.read)
            self._adapt(time.monotonic() - began, len(batch))

    def remove_gone(self, documents: Documents, *, certain: bool) -> None:
        """Remove passages that are no longer in the documents.

        If more than half of the known files are gone, ``certain`` must be true, because this may be another
        directory of the same name.
        """
        store = self._target.store
        if store is None or self._target.created:
            return
        gone: dict[str, list[str]] = {}
        known = set()
        for source, id_ in _list_passages(store, documents):
            known.add(source)
            if _is_gone(documents, source, id_):
                gone.setdefault(source, []).append(id_)
        files = [source for source in gone if source not in documents.counts]
        if len(files) * 2 > len(known) and not certain:
            self.report.notes.append(
                f"{len(files):,} of the {len(known):,} files that the store knows of {documents.folder!a} are not "
                "here: their passages are kept. To remove them, add --yes. For another directory of that name, add "
                "--as NAME."
            )
            gone = {source: ids for source, ids in gone.items() if source in documents.counts}
        removed = [id_ for ids in gone.values() for id_ in ids]
        for start in range(0, len(removed), _PAGE):
            self.report.removed += store.delete(ids=removed[start : start + _PAGE])

    def _items(self, source: Source) -> Iterator[Item]:
        for item in source.items():
            if isinstance(item, Item):
                yield item
            else:
                self._skip(item)

    def _skip(self, skipped: Skipped) -> None:
        if skipped.bad and not self._skip_bad:
            written = f" {self.report.written:,} records before it were written." if self.report.written else ""
            raise Failure(
                f"{skipped.place}: {skipped.reason.rstrip('.')}.{written} Fix it, or add --skip-bad to leave it out."
            )
        self.report.skipped += 1
        if len(self.report.first_skipped) < _LISTED:
            self.report.first_skipped.append(skipped)

    def _adapt(self, seconds: float, count: int) -> None:
        if self._fixed or count < self._size:
            return
        if seconds < _QUICK:
            self._size = min(LARGEST_BATCH, self._size * 2)
        elif seconds > _SLOW:
            self._size = max(FIRST_BATCH // 8, self._size // 2)

    def _write(self, batch: Sequence[Item]) -> None:
        latest = {item.record.id: item for item in batch}
        items = list(latest.values())
        store = self._target.open_for([item.record for item in batch])
        # A record that a later one replaces is not written, but it is still checked.
        list(self._select_valid(store, [item for item in batch if latest[item.record.id] is not item]))
        try:
            new = items if self._target.created else self._select_changed(store, items)
            self._put(store, new)
        except (InvalidArgument, PartialWrite) as error:
            cause = error.__cause__ if isinstance(error, PartialWrite) else error
            if not isinstance(cause, InvalidArgument) or isinstance(cause, EmbedderRequired):
                raise
            good = list(self._select_valid(store, items))
            if len(good) == len(items):
                raise
            self._put(store, good)

    def _put(self, store: VectorStore, items: Sequence[Item]) -> None:
        if items:
            self.report.written += store.upsert((item.record for item in items), batch_size=len(items))

    def _select_changed(self, store: VectorStore, items: Sequence[Item]) -> list[Item]:
        stored = store.get([item.record.id for item in items])
        new = [item for item, old in zip(items, stored, strict=True) if old is None or not _is_same(item.record, old)]
        self.report.unchanged += len(items) - len(new)
        return new

    def _select_valid(self, store: VectorStore, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items that can be stored; checks each record alone after a batch was refused."""
        embedder = self._target.embedder
        embed: EmbedTexts | None = embedder.embed_documents if embedder else None
        for item in items:
            try:
                as_rows([item.record], store.schema, embed)
            except InvalidArgument as error:
                self._skip(Skipped(item.place, str(error), bad=not item.passage))
            else:
                yield item


def _is_same(new: Record, old: Record) -> bool:
    """Say whether a stored record equals a new one; a vector made from the same text is the same."""
    # Compared as text, because 1, 1.0 and True are equal but not the same metadata.
    values = {key: repr(value) for key, value in new.metadata.items() if value is not None}
    if new.text != old.text or values != {key: repr(value) for key, value in old.metadata.items()}:
        return False
    if new.vector is None:
        return True
    vector: Any = old.vector
    try:
        with np.errstate(over="ignore"):
            return np.array_equal(np.asarray(new.vector, vector.dtype), vector)
    except (OverflowError, TypeError, ValueError):
        return False  # not a vector; the write says why


def _list_passages(store: VectorStore, documents: Documents) -> Iterator[tuple[str, str]]:
    """Iterate over the sources and ids of passages added earlier from the same folder or file."""
    name, value = (
        ("folder", documents.folder) if documents.whole_folder else ("source", next(iter(documents.counts), ""))
    )
    where = F[name] == value if isinstance(store.schema.fields.get(name), Keyword) else None
    for record in store.scan(where=where):
        source = record.metadata.get("source")
        if isinstance(source, str) and record.metadata.get(name) == value and record.id.startswith(f"{source}#"):
            yield source, record.id


def _is_gone(documents: Documents, source: str, id_: str) -> bool:
    count = documents.counts.get(source)
    if count is not None:
        number = id_.rpartition("#")[2]
        return count != UNREADABLE and number.isdecimal() and int(number) > count
    try:
        return not os.path.lexists(documents.path / source.removeprefix(f"{documents.folder}/"))
    except OSError:
        return False
