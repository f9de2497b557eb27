"""Copy the records of one generation into another while writes continue.

The copy re-reads each record whose id is in the change list and never trusts what it read before. An
interrupted copy resumes where it was: records that are in the target already are skipped, and later changes
are in the change list.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from ..backend import Backend, Change, Generation, Progress, Rows
from ..calibration.probes import Probes
from ..embedders.identity import Identity
from ..embedding import StoreEmbedder
from ..errors import InvalidArgument, InvalidMetadata, StoreCorrupt
from ..fields import DateTime
from ..rows.batches import as_records, as_rows

BATCH = 1_000
CALM = 64
"""At most this many changes are left to the switch, which blocks writers."""
_ROUNDS = 50
_SAMPLE = 50
_K = 10


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed limit of a rebuild, and its progress callback."""

    on_progress: Progress | None = None
    records_per_second: float | None = None

    def __post_init__(self) -> None:
        rate = self.records_per_second
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0):
            raise InvalidArgument(f"records_per_second must be a number above 0, not {rate!r}.")


class Copy:
    """Copies records from one generation into another and converts them to its schema and embedder."""

    def __init__(
        self, backend: Backend, source: Generation, target: Generation, embedder: StoreEmbedder, store: str
    ) -> None:
        self._backend = backend
        self._source = source
        self._target = target
        self.embeds = not is_same_model(source, target)
        self._embed = embedder.choose_for_documents(target, store) if self.embeds else None
        self.copied = 0
        self.caught_up = 0
        self._suspects: list[str] = []

    def backfill(self, pace: Pace) -> None:
        """Copy every record that the target lacks."""
        total, done, after = self._backend.count(self._source, None), 0, None
        began = time.monotonic()
        while ids := (rows := self._backend.page(self._source, None, after, BATCH)).ids:
            present = frozenset(self._backend.fetch(self._target, ids).ids)
            self.copied += self._copy_rows(rows, present)
            done, after = done + len(ids), ids[-1]
            if pace.on_progress:
                pace.on_progress(done, max(done, total))
            if pace.records_per_second:
                time.sleep(max(0.0, began + self.copied / pace.records_per_second - time.monotonic()))

    def catch_up(self) -> None:
        """Copy noted changes until only a few are left for the switch."""
        settled: list[Change] = []
        for _ in range(_ROUNDS):
            changes = self._backend.changes(self._source, settled, BATCH)
            if len(changes) <= CALM:
                return
            self._apply(changes)
            settled = changes
        self._backend.changes(self._source, settled, 1)

    def compare(self) -> None:
        """Find records that differ between both generations.

        A difference may be a recent change. `drain` compares these records again when nothing can change.
        """
        after = None
        while page := self._backend.page(self._source, None, after, BATCH).ids:
            after = page[-1]
            self._suspects += self._find_differing(page)

    def drain(self, changes: Sequence[Change]) -> None:
        """Copy the last changes and check that both generations are equal.

        Raises
        ------
        StoreCorrupt
        """
        for start in range(0, len(changes), BATCH):
            self._apply(changes[start : start + BATCH])
        self._copy_tombstones()
        differing = [
            id_
            for start in range(0, len(self._suspects), BATCH)
            for id_ in self._find_differing(self._suspects[start : start + BATCH])
        ]
        counts = [self._backend.count(each, None) for each in (self._source, self._target)]
        if differing or counts[0] != counts[1]:
            raise StoreCorrupt(
                f"The copy has {counts[1]} records, the store {counts[0]}; {len(differing)} compared records differ. "
                "The store was not switched. Run the rebuild again; if this repeats, run verify()."
            )

    def measure_overlap(self) -> float:
        """Return the share of exact nearest neighbours that both generations have in common, for sampled records."""
        asked = self._backend.sample(self._source, None, _SAMPLE)
        answers = self._backend.fetch(self._target, asked.ids)
        mine, theirs = (
            self._find_neighbours(generation, rows)
            for generation, rows in ((self._source, asked), (self._target, answers))
        )
        shares = [len(near & theirs[id_]) / len(near) for id_, near in mine.items() if near and id_ in theirs]
        return float(np.mean(shares)) if shares else 1.0

    def _find_neighbours(self, generation: Generation, rows: Rows) -> dict[str, set[str]]:
        probes = Probes.from_rows(self._backend, generation, rows, _K)
        return {id_: set(answer.ids) for id_, answer in zip(probes.ids, probes.answer_exactly(), strict=True)}

    def _copy_rows(self, rows: Rows, without: frozenset[str] = frozenset()) -> int:
        chosen = [number for number, id_ in enumerate(rows.ids) if id_ not in without]
        if not chosen or rows.versions is None:
            return 0
        records = as_records(rows, self._source.schema)
        batch = [
            replace(
                records[number],
                metadata=self._convert_metadata(records[number].metadata, records[number].id),
                vector=None if self.embeds else records[number].vector,
            )
            for number in chosen
        ]
        fence = [rows.versions[number] for number in chosen]
        new = as_rows(batch, self._target.schema, self._embed)
        written = self._backend.write(self._target, new, insert=False, fence=fence)
        if written < len(new):
            raise StoreCorrupt(f"The copy has newer versions of {len(new) - written} records than the store.")
        return written

    def _apply(self, changes: Sequence[Change]) -> None:
        ids = list(dict.fromkeys(change.id for change in changes))
        rows = self._backend.fetch(self._source, ids)
        present = frozenset(rows.ids)
        self._copy_rows(rows)
        self._backend.delete(self._target, [id_ for id_ in ids if id_ not in present])
        self.caught_up += len(ids)

    def _copy_tombstones(self) -> None:
        after = None
        while tombs := self._backend.tombstones(self._source, after, BATCH):
            ids = list(tombs)
            after = ids[-1]
            self._backend.delete(self._target, ids, fence=[tombs[id_] for id_ in ids])

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
                self._convert_metadata(record.metadata, record.id)
                if generation is self._source
                else dict(record.metadata),
                None if self.embeds else np.asarray(record.vector).astype(dtype).tobytes(),
            )
            for record, version in zip(as_records(rows, generation.schema), rows.versions or (), strict=True)
        }

    def _convert_metadata(self, values: Mapping[str, Any], id_: str) -> dict[str, Any]:
        """Return metadata for the target's schema; a date without a declared field becomes ISO 8601 text."""
        result = dict(values)
        for name, value in values.items():
            declared = self._target.schema.fields.get(name)
            if isinstance(value, datetime) and declared is None:
                result[name] = value.isoformat()
            if isinstance(value, str) and isinstance(declared, DateTime):
                try:
                    result[name] = declared.decode(declared.operand(value))
                except ValueError as error:
                    raise InvalidMetadata(f"Record {id_!a}: metadata {name!a} {error}.") from error
        return result


def is_same_model(one: Generation, other: Generation) -> bool:
    """Return whether the vectors of one generation fit the other, as far as their embedders are known."""
    if one.schema.dim != other.schema.dim:
        return False
    if one.identity is None or other.identity is None:
        return one.identity is other.identity
    return Identity.from_json(one.identity).matches(Identity.from_json(other.identity), other.schema.metric)
