"""What a campaign of kills counts, and how much of it there has to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass
class Tally:
    """What happened.

    Attributes
    ----------
    inside, between : Counter
        Kills by the kind of call that they cut off or came after.
    nothing, part, whole, unseen : int
        What was there of a call that was cut off; ``unseen`` where it would have changed nothing.
    journals, unfinished, unnamed : int
        Kills that left a journal to roll back, a segment half written, and whole files that no commit names.
        Then the same of index files.
    walks : int
        Searches along a graph, after a kill.
    compacting, indexing : int
        Kills inside a compaction, or while an index was built or grown, whether it was asked for or not.
    acknowledged : Counter
        Completed calls by kind.
    """

    trials: int = 0
    seconds: float = 0.0
    inside: Counter[str] = field(default_factory=Counter)
    between: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    nothing: int = 0
    part: int = 0
    whole: int = 0
    unseen: int = 0
    journals: int = 0
    unfinished: int = 0
    unnamed: int = 0
    unfinished_indexes: int = 0
    unnamed_indexes: int = 0
    walks: int = 0
    compacting: int = 0
    indexing: int = 0

    def list_shortfalls(self, trials: int) -> list[str]:
        """Return the names of the counts that so many trials should have brought further."""
        counts = {**vars(self), "inside": self.inside.total()}
        return [name for name, share in GOALS.items() if counts[name] < share * trials]


GOALS: Mapping[str, float] = MappingProxyType(
    {
        "inside": 1 / 2,
        "nothing": 1 / 10,
        "whole": 1 / 100,
        "journals": 1 / 20,
        "unnamed": 1 / 100,
        "compacting": 0.15,
        "indexing": 0.1,
        "unnamed_indexes": 1 / 100,
        "walks": 1 / 30,
    }
)
"""What a campaign has to count, as shares of its trials. A campaign that proves less goes on.

Of 300 kills on an idle machine 80 fall inside a compaction; where other processes take the processor, half as many do.
"""
