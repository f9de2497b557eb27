"""Writing items into a store in batches: unchanged records are left out, vanished passages removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from ..errors import EmbedderRequired, InvalidArgument, PartialWrite
from ..progress import Progress as StoreProgress
from ..records import Record
from ..rows.conversion import Embed, as_rows
from ..schema import Schema
from ..store import VectorStore
from ..store_embedder import embed_records
from .documents import Documents
from .exits import Failure
from .gone_passages import remove_gone
from .progress import Meter
from .report import Report
from .roots import explain_conflict, find_conflict, is_passage
from .sources import Item, RowBlock, Skipped, Source
from .target import Target
from .unchanged_records import is_unchanged

FIRST_BATCH, LARGEST_BATCH = 256, 4_096
_QUICK, _SLOW = 0.5, 2.0  # seconds per batch; in between, a progress bar moves often enough and commits are few


class Ingestion:
    """Writes items into a target.

    Parameters
    ----------
    target : Target
    batch_size : int, optional
        Records in one commit; by default about a second's worth.
    skip_bad : bool
        Continue after a record that cannot be stored.
    same_place : bool
        Replace passages that came from another root.
    """

    def __init__(
        self,
        target: Target,
        batch_size: int | None = None,
        *,
        skip_bad: bool = False,
        same_place: bool = False,
    ) -> None:
        self.report = Report()
        self._same_place = same_place
        self.on_progress: StoreProgress | None = None
        """Given to each write, which may build the index."""
        self.target = target
        self._fixed = batch_size
        self._size = batch_size or FIRST_BATCH
        self._skip_bad = skip_bad
        self._upkeep = ExitStack()
        self._loaded: VectorStore | None = None

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Leave the upkeep of the store to the end of the block: the index is extended once, not by each batch."""
        with self._upkeep:
            yield

    def ingest(self, source: Source, on_progress: Callable[[int, int], None]) -> None:
        """Read a source to its end. After each batch, report the bytes read of it and the records done in total."""
        for batch in self._cut(source):
            began = time.monotonic()
            if isinstance(batch, list):
                self._write(batch)
                count, position = len(batch), batch[-1].position
            else:
                count, position = self._write_block(batch), batch.position
            self.report.read += count
            on_progress(position, self.report.read)
            self._adapt(time.monotonic() - began, count)

    def _cut(self, source: Source) -> Iterator[list[Item] | RowBlock]:
        """Return the items and rows of a source in batches. A block is cut by the size that is right by then."""
        waiting: list[Item] = []
        for found in source.items():
            if isinstance(found, Item):
                waiting.append(found)
            elif isinstance(found, Skipped):
                self._skip(found)
            if waiting and (len(waiting) >= self._size or not isinstance(found, Item | Skipped)):
                yield waiting
                waiting = []
            if not isinstance(found, Item | Skipped):
                start = 0
                while start < len(found):
                    end = start + self._size
                    yield found.cut(start, end)
                    start = end
        if waiting:
            yield waiting

    def _list_items(self, block: RowBlock) -> Iterator[Item]:
        for found in block.items():
            if isinstance(found, Item):
                yield found
            else:
                self._skip(found)

    def _skip(self, skipped: Skipped) -> None:
        if skipped.bad and not self._skip_bad:
            count = self.report.written
            written = f" {count:,} {'record' if count == 1 else 'records'} before it were written." if count else ""
            raise Failure(
                f"{skipped.place}: {skipped.reason.rstrip('.')}.{written} Fix it, or add --skip-bad to leave it out."
            )
        self.report.note_skipped(skipped)

    def _adapt(self, seconds: float, count: int) -> None:
        if self._fixed or count < self._size:
            return
        if seconds < _QUICK:
            self._size = min(LARGEST_BATCH, self._size * 2)
        elif seconds > _SLOW:
            self._size = max(FIRST_BATCH // 8, self._size // 2)

    def _write_block(self, block: RowBlock) -> int:
        """Write rows by column, or one by one where their columns do not say all. Return how many there were."""
        done = self._put_columns(block)
        if done == len(block):
            return done
        items = list(self._list_items(block.cut(done, len(block))))
        if items:
            self._write(items)
        return done + len(items)

    def _put_columns(self, block: RowBlock) -> int:
        """Write the first rows of a block by column, if nothing is stored under their ids, and return how many."""
        store = self.target.store
        read = block.read_columns() if store is not None else None
        if store is None or read is None or (read.has_bare_texts and self.target.embedder is None):
            return 0
        ids = read.columns.ids
        if len(set(ids)) < len(ids) or any(each is not None for each in store.get(ids)):
            return 0
        written = len(ids)
        try:
            self._defer_upkeep(store)
            store.upsert(read.columns, batch_size=len(ids), on_progress=self.on_progress)
        except InvalidArgument:  # the rows one by one tell which
            written = 0
        except PartialWrite as error:
            written = error.committed
            if not isinstance(error.__cause__, InvalidArgument):
                self.report.note_written(ids[:written])
                raise
        self.report.note_written(ids[:written])
        return written

    def _defer_upkeep(self, store: VectorStore) -> None:
        if store is not self._loaded:
            self._upkeep.enter_context(store.loading(self.on_progress))
            self._loaded = store

    def _write(self, batch: Sequence[Item]) -> None:
        latest = {item.record.id: item for item in batch}
        items = list(latest.values())
        schema = self.target.prepare([item.record for item in batch])
        # A record that a later one replaces is not written, but it is still checked.
        replaced = [item for item in batch if latest[item.record.id] is not item]
        self.report.note_replaced(len(list(self._select_valid(schema, replaced))))
        if self.target.store is None and self._create(schema, items):
            return
        store = self.target.get_store()
        try:
            self._put(store, self._select_changed(store, items))
        except (InvalidArgument, PartialWrite) as error:
            cause = error.__cause__ if isinstance(error, PartialWrite) else error
            if not isinstance(cause, InvalidArgument) or isinstance(cause, EmbedderRequired):
                raise
            good = list(self._select_valid(schema, items))
            if len(good) == len(items):
                raise
            self._put(store, self._select_changed(store, good))

    def _create(self, schema: Schema, items: Sequence[Item]) -> bool:
        """Create the store with its first records. Return False if there is one to write to, made by another process.

        The records are checked and embedded first: a store that would get nothing is not created.
        """
        records = [item.record for item in items]
        try:
            rows = as_rows(records, schema, self._embed)
        except EmbedderRequired:
            raise
        except InvalidArgument:
            records = [item.record for item in self._select_valid(schema, items)]
            if len(records) == len(items):
                raise
            rows = as_rows(records, schema, self._embed)
        if not records:
            return True
        vectors: Any = rows.vectors
        if rows.present is not None:
            vectors = [row if has_vector else None for row, has_vector in zip(vectors, rows.present, strict=True)]
        made = [replace(each, vector=row, embed=False) for each, row in zip(records, vectors, strict=True)]
        if not self.target.create(schema, made, self.on_progress):
            return False
        self.report.note_written(record.id for record in records)
        return True

    @property
    def _embed(self) -> Embed | None:
        embedder = self.target.embedder
        return embed_records(embedder) if embedder else None

    def _put(self, store: VectorStore, items: Sequence[Item]) -> None:
        if not items:
            return
        ids = [item.record.id for item in items]
        try:
            self._defer_upkeep(store)
            records = (item.record for item in items)
            store.upsert(records, batch_size=len(items), on_progress=self.on_progress)
        except PartialWrite as error:
            self.report.note_written(ids[: error.committed])
            raise
        self.report.note_written(ids)

    def _select_changed(self, store: VectorStore, items: Sequence[Item]) -> list[Item]:
        stored = store.get([item.record.id for item in items])
        new, unchanged = [], []
        for item, old in zip(items, stored, strict=True):
            if old is not None:
                self._check_root(store, item, old)
            if old is not None and is_unchanged(item.record, old, store.schema):
                unchanged.append(item.record.id)
            else:
                new.append(item)
        self.report.note_unchanged(unchanged)
        return new

    def _check_root(self, store: VectorStore, item: Item, old: Record) -> None:
        """Refuse to replace a passage of another root by one, or by a record of a file that is none."""
        root = item.record.metadata.get("root")
        conflict = None if self._same_place else find_conflict(root, old)
        if conflict is None or not (item.passage or (conflict.passage and conflict.root)):
            return
        if not is_passage(item.record):
            raise Failure(
                f"{item.place}: {conflict.id!a} is a passage in store {store.name!r} that was read from "
                f"{conflict.root}, and would be replaced by a record that is none. Give the record another id, or "
                "remove the passage first with `vecstore delete`."
            )
        folder = str(item.record.metadata.get("folder"))
        raise Failure(f"{item.place}: {explain_conflict(store.name, folder, str(root), conflict)}")

    def _select_valid(self, schema: Schema, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items that can be stored; checks each record alone after a batch was refused."""
        for item in items:
            try:
                as_rows([item.record], schema, self._embed)
            except InvalidArgument as error:
                self._skip(Skipped(item.place, str(error), bad=not item.passage))
            else:
                yield item


def ingest_all(ingestion: Ingestion, sources: Sequence[Source], meter: Meter, *, certain: bool) -> None:
    """Write all sources into the store, then remove passages that are gone from documents."""
    sizes = [source.size for source in sources]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    done = 0
    for source, size in zip(sources, sizes, strict=True):
        ingestion.ingest(source, partial(meter.move, total, done))
        done += size or 0
    for source in sources:
        ingestion.report.notes += source.notes
        if isinstance(source, Documents):
            remove_gone(ingestion.target, ingestion.report, source, certain=certain)
