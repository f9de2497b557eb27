"""The comparison of a copy with the store before the switch, record by record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..backend import Generation
from ..errors import StoreCorrupt
from ..rows.conversion import as_records
from .copy import Copy
from .metadata_conversion import convert_metadata

PAGE = 1_000


class Comparison:
    """Compares the records of two generations.

    ``suspects`` are the ids of records that differed when they were compared.

    Parameters
    ----------
    copy : Copy
        The vectors must be equal, or absent in both, unless it embeds the texts again.
    """

    def __init__(self, copy: Copy) -> None:
        self._backend = copy.backend
        self._copy = copy
        self._source = copy.source
        self._target = copy.target
        self.suspects: list[str] = []

    def find_suspects(self, report: Callable[[int, int], None] | None = None) -> None:
        """Find records that differ between both generations; report how many were compared, and of how many.

        A difference may be a recent change. `check` compares these records again when nothing can change.
        """
        total, done, after = self._backend.count(self._source, None), 0, None
        while page := self._backend.page(self._source, None, after, PAGE).ids:
            done, after = done + len(page), page[-1]
            self.suspects += self._find_differing(page)
            if report:
                report(done, max(done, total))

    def find_extra(self) -> list[str]:
        """Return ids of records that only the target has, as far as the counts show that there are any."""
        counts = [self._backend.count(each, None) for each in (self._source, self._target)]
        after, extra = None, list[str]()
        while counts[0] != counts[1] and (page := self._backend.page(self._target, None, after, PAGE).ids):
            after = page[-1]
            present = frozenset(self._backend.fetch(self._source, page).ids)
            extra += [id_ for id_ in page if id_ not in present]
        return extra

    def check(self) -> None:
        """Check that both generations are equal, while nothing can change.

        Raises
        ------
        StoreCorrupt
        """
        differing = [
            id_
            for start in range(0, len(self.suspects), PAGE)
            for id_ in self._find_differing(self.suspects[start : start + PAGE])
        ]
        counts = [self._backend.count(each, None) for each in (self._source, self._target)]
        if differing or counts[0] != counts[1]:
            raise StoreCorrupt(
                f"The copy has {counts[1]} records, the store {counts[0]}; {len(differing)} compared records differ. "
                "The store was not switched. Run the rebuild again; if this repeats, run verify()."
            )

    def _find_differing(self, ids: Sequence[str]) -> list[str]:
        mine = self._read_contents(self._source, ids)
        theirs = self._read_contents(self._target, ids)
        return [id_ for id_ in ids if mine.get(id_) != theirs.get(id_)]

    def _read_contents(self, generation: Generation, ids: Sequence[str]) -> dict[str, object]:
        rows = self._backend.fetch(generation, ids)
        # Compare in the narrower dtype: after a rollback from float16 the target has vectors that were not rounded.
        dtype = min((self._source.schema.dtype, self._target.schema.dtype), key=lambda each: np.dtype(each).itemsize)
        return {
            record.id: (
                version,
                record.text,
                convert_metadata(record.metadata, self._target.schema, record.id)
                if generation is self._source
                else dict(record.metadata),
                None if self._copy.embeds or record.vector is None else np.asarray(record.vector, dtype).tobytes(),
            )
            for record, version in zip(as_records(rows, generation.schema), rows.versions or (), strict=True)
        }
