"""Copy the records of one generation into another while writes continue.

An interrupted copy resumes where it was: records that are in the target already are skipped, and later changes
are in the change list, which `vecstore.rebuild.catch_up` works off.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ..backend import Backend, Generation, Rows
from ..errors import EmbedderRequired, InvalidVector, StoreCorrupt
from ..pages import MOST, read_ahead, read_pages
from ..records import Record
from ..rows.conversion import as_records, as_rows, has_text
from ..rows.selected import take_rows
from ..store_embedder import StoreEmbedder
from .metadata_conversion import convert_metadata
from .pace import Pace
from .target import check_texts_suffice, is_same_model

BATCH = MOST
"""Each batch is a commit."""
SLOW_BATCH = 1_000
"""Where a batch takes long by itself, small ones show how far it is."""


class Copy:
    """Copies records from one generation into another and converts them to its schema and embedder.

    A record without a vector stays without, unless the texts are embedded and the source never had an embedder: what
    had an embedder lacks vectors on purpose.

    Parameters
    ----------
    backend : Backend
        Has the source.
    source, target : Generation
    embedder : StoreEmbedder
    store : str
        The store's name, for messages.
    into : Backend, optional
        Has the target, if that is in another Database.
    """

    def __init__(
        self,
        backend: Backend,
        source: Generation,
        target: Generation,
        embedder: StoreEmbedder,
        store: str,
        into: Backend | None = None,
    ) -> None:
        self.backend = backend
        self.into = backend if into is None else into
        self.source = source
        self.target = target
        self.embeds = not is_same_model(source, target)
        check_texts_suffice(source, target)
        self._keeps_columns = not self.embeds and not source.schema.differences(target.schema)
        self._embed = embedder.choose_for_documents(target, store) if self.embeds else None
        self.copied = 0

    @property
    def keeps_vectors(self) -> bool:
        """Whether every vector of the copy has the bytes and the metric of its source."""
        mine, theirs = self.source.schema, self.target.schema
        return not self.embeds and (mine.metric, mine.dtype) == (theirs.metric, theirs.dtype)

    def find_ef_construction(self) -> int | None:
        """Return with how much care the source's graph was built, where the copy's will need as much."""
        if not self.keeps_vectors or self.source.schema.index != self.target.schema.index:
            return None
        return self.backend.index_state(self.source).ef_construction

    def has_vector(self, record: Record) -> bool:
        """Say whether the copy of a record of the source has a vector."""
        if record.vector is not None:
            return True
        return self.embeds and self.source.identity is None and has_text(record.text)

    def _check_embeddable(self, records: Sequence[Record]) -> None:
        """Refuse to lose the vector of a record that cannot be embedded again.

        Raises
        ------
        InvalidVector, EmbedderRequired
        """
        for record in records if self.embeds else ():
            if record.vector is not None and not has_text(record.text):
                lacks = "no text" if record.text is None else "only a blank text"
                raise InvalidVector(
                    f"Record {record.id!a} has a vector but {lacks} to embed again. Give it a text, or delete it."
                )
            if record.vector is not None and self._embed is None:
                raise EmbedderRequired(f"Record {record.id!a} has to be embedded again. Give embedder=…")

    @property
    def converts(self) -> bool:
        """Whether the records are not copied as they are, so that one of them may not fit."""
        return not self._keeps_columns

    def check_convertible(self, rows: Rows) -> None:
        """Convert rows of the source for the target, but embed and write nothing.

        Raises
        ------
        InvalidVector, InvalidMetadata, EmbedderRequired
        """
        records = as_records(rows, self.source.schema)
        self._check_embeddable(records)
        for record in records:
            vector = record.vector
            if self.embeds:  # any vector that the schema takes stands for the one that would be made
                vector = None if vector is None else [1.0] * self.target.schema.width
            values = convert_metadata(record.metadata, self.target.schema, record.id)
            as_rows([replace(record, vector=vector, metadata=values, embed=False)], self.target.schema, None)

    def backfill(self, pace: Pace) -> None:
        """Copy every record that the target lacks."""
        total, done = self.backend.count(self.source, None), 0
        is_empty = not self.into.count(self.target, None)
        began = time.monotonic()
        is_slow = self.embeds or pace.records_per_second is not None
        pages = read_pages(self.backend, self.source, most=min(BATCH, SLOW_BATCH) if is_slow else BATCH)
        for rows in pages if self.into is self.backend else read_ahead(pages):
            present = frozenset(() if is_empty else self.into.fetch(self.target, rows.ids).ids)
            self.copied += self.copy_rows(rows, present)
            done += len(rows)
            pace.report("copying", done, max(done, total))
            pace.wait(self.copied, began)

    def copy_rows(self, rows: Rows, without: frozenset[str] = frozenset()) -> int:
        """Write rows of the source, read with all columns, into the target, and return how many were written.

        Raises
        ------
        StoreCorrupt
        """
        chosen = [number for number, id_ in enumerate(rows.ids) if id_ not in without]
        if not chosen or rows.versions is None:
            return 0
        fence = [rows.versions[number] for number in chosen]
        new = take_rows(rows, chosen) if self._keeps_columns else self._convert(rows, chosen)
        written = self.into.write(self.target, new, insert=False, fence=fence)
        if written < len(new):
            raise StoreCorrupt(f"The copy has newer versions of {len(new) - written} records than the store.")
        return written

    def _convert(self, rows: Rows, chosen: Sequence[int]) -> Rows:
        """Return the chosen rows in the target's schema, their texts embedded where the model is another."""
        records = as_records(rows, self.source.schema)
        batch = [
            replace(
                records[number],
                metadata=convert_metadata(records[number].metadata, self.target.schema, records[number].id),
                vector=None if self.embeds else records[number].vector,
                embed=self.has_vector(records[number]),
            )
            for number in chosen
        ]
        self._check_embeddable([records[number] for number in chosen])
        return as_rows(batch, self.target.schema, self._embed)
