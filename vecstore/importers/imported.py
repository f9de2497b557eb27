"""What an import did: how many records, and what was left out for which reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..metric import Metric

_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Records of a source that are not in the store, for one reason.

    Attributes
    ----------
    reason : str
    count : int
    ids : tuple of str
        Of the first ten.
    """

    reason: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What `import_records` did.

    Attributes
    ----------
    store : str
    created : bool
        Whether the store is new. It is not created where nothing could be imported.
    records : int
        Records taken from the source. All records of an id count, and the last one is stored.
    dim : int
    metric : Metric
    left_out : tuple of LeftOut
        Records that are not stored, by reason, the most frequent first.
    notes : tuple of str
        What is stored in another form than in the source, or not at all.
    seconds : float
    """

    store: str
    created: bool
    records: int
    dim: int
    metric: Metric
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class Tally:
    """Counts what is left out while an import runs, in constant memory."""

    _notes: dict[str, None] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes, each once."""
        return tuple(self._notes)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The reasons, the most frequent first."""
        order = sorted(self._counts, key=lambda reason: -self._counts[reason])
        return tuple(LeftOut(reason, self._counts[reason], tuple(self._ids[reason])) for reason in order)

    def note(self, text: str) -> None:
        """Remember something that concerns the source as a whole."""
        self._notes[text] = None

    def leave_out(self, reason: str, id_: object) -> None:
        """Count a record that is not stored."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        examples = self._ids.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append("(no id)" if id_ is None else str(id_)[:80])
