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
from ..records import Record
from ..rows.conversion import as_records, as_rows
from ..store_embedder import StoreEmbedder
from .metadata_conversion import convert_metadata
from .pace import Pace
from .target import is_same_model

BATCH = 1_000


class Copy:
    """Copies records from one generation into another and converts them to its schema and embedder.

    A record without a vector stays without, unless the texts are embedded and the source never had an embedder: what
    had an embedder lacks vectors on purpose.
    """

    def __init__(
        self, backend: Backend, source: Generation, target: Generation, embedder: StoreEmbedder, store: str
    ) -> None:
        self._backend = backend
        self.source = source
        self.target = target
        self.embeds = not is_same_model(source, target)
        self._embed = embedder.choose_for_documents(target, store) if self.embeds else None
        self.copied = 0

    def has_vector(self, record: Record) -> bool:
        """Say whether the copy of a record of the source has a vector."""
        if record.vector is not None:
            return True
        return self.embeds and self.source.identity is None and record.text is not None

    def _check_embeddable(self, records: Sequence[Record]) -> None:
        """Refuse to lose the vector of a record that cannot be embedded again.

        Raises
        ------
        InvalidVector, EmbedderRequired
        """
        for record in records if self.embeds else ():
            if record.vector is not None and record.text is None:
                raise InvalidVector(
                    f"Record {record.id!a} has a vector but no text to embed again. Give it a text, or delete it."
                )
            if record.vector is not None and self._embed is None:
                raise EmbedderRequired(f"Record {record.id!a} has to be embedded again. Give embedder=…")

    def backfill(self, pace: Pace) -> None:
        """Copy every record that the target lacks."""
        total, done, after = self._backend.count(self.source, None), 0, None
        began = time.monotonic()
        while ids := (rows := self._backend.page(self.source, None, after, BATCH)).ids:
            present = frozenset(self._backend.fetch(self.target, ids).ids)
            self.copied += self.copy_rows(rows, present)
            done, after = done + len(ids), ids[-1]
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
        fence = [rows.versions[number] for number in chosen]
        new = as_rows(batch, self.target.schema, self._embed)
        written = self._backend.write(self.target, new, insert=False, fence=fence)
        if written < len(new):
            raise StoreCorrupt(f"The copy has newer versions of {len(new) - written} records than the store.")
        return written
