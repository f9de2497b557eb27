"""What `add` did: the figures are those of the store, also where an id came more than once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import output
from .sources import Skipped

_LISTED = 1_000
_EXAMPLES = 3


@dataclass
class Report:
    """What `add` did. Written and unchanged records are counted once for each id, 8 bytes for each record read."""

    read: int = 0
    removed: int = 0
    skipped: int = 0
    first_skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _written: array[int] = field(init=False, default_factory=lambda: array("q"))
    _unchanged: array[int] = field(init=False, default_factory=lambda: array("q"))
    _replaced: int = field(init=False, default=0)

    @property
    def written(self) -> int:
        """Records of the store that this run wrote."""
        return len(self._distinct()[0])

    @property
    def unchanged(self) -> int:
        """Records of the store that were there as they were read."""
        return len(self._distinct()[1])

    @property
    def repeated(self) -> int:
        """Records that were read and are not in the store, because a later one had the same id."""
        written, unchanged = self._distinct()
        return self._replaced + len(self._written) + len(self._unchanged) - len(written) - len(unchanged)

    def note_written(self, ids: Iterable[str]) -> None:
        """Count records that are written now."""
        self._written.extend(map(hash, ids))

    def note_created(self, count: int) -> None:
        """Count the records of a store that this run made at once, each with an id of its own."""
        self.read += count
        self._written.extend(range(count))

    def note_unchanged(self, ids: Iterable[str]) -> None:
        """Count records that need not be written."""
        self._unchanged.extend(map(hash, ids))

    def note_replaced(self, count: int) -> None:
        """Count records that a later one of the same batch replaces."""
        self._replaced += count

    def note_skipped(self, skipped: Skipped) -> None:
        """Count something that is not stored, and list the first ones."""
        self.skipped += 1
        if len(self.first_skipped) < _LISTED:
            self.first_skipped.append(skipped)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        return {
            "read": self.read, "written": self.written, "unchanged": self.unchanged, "repeated": self.repeated,
            "removed": self.removed, "skipped": self.skipped,
            "first_skipped": [
                {"place": each.place, "reason": each.reason, "bad": each.bad} for each in self.first_skipped
            ],
            "notes": self.notes,
        }  # fmt: skip

    def _distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        written = np.unique(np.frombuffer(self._written, np.int64))
        return written, np.setdiff1d(np.frombuffer(self._unchanged, np.int64), written)


def print_report(report: Report, store: str, seconds: float, *, created: bool, exists: bool) -> None:
    """Print the figures for people."""
    beside = _list_counts({"unchanged": report.unchanged, "removed": report.removed, "skipped": report.skipped})
    written = report.written
    if exists:
        where = f"the new store {store}" if created else store
        output.say(
            f"Wrote {written:,} {'record' if written == 1 else 'records'} to {where}{beside} in {seconds:.1f} s."
        )
    by_reason: dict[str, list[Skipped]] = {}
    for each in report.first_skipped:
        by_reason.setdefault(each.reason, []).append(each)
    if report.skipped:
        output.note(f"Skipped {report.skipped:,}:")
    for reason, entries in sorted(by_reason.items(), key=lambda entry: -len(entry[1])):
        shown = ", ".join(entry.place for entry in entries[:_EXAMPLES])
        more = f" and {len(entries) - _EXAMPLES:,} more" if len(entries) > _EXAMPLES else ""
        output.note(output.escape_controls(f"  {reason}: {shown}{more}"))
    if report.repeated:
        output.note(f"Note: {report.repeated:,} of {report.read:,} had an id that came again: the last one is stored.")
    for text in report.notes:
        output.note(output.escape_controls(f"Note: {text}"))


def _list_counts(counts: Mapping[str, int]) -> str:
    parts = [f"{count:,} {what}" for what, count in counts.items() if count]
    return f" ({', '.join(parts)})" if parts else ""
