"""Queries to one subject: latencies, recall, and the smallest setting that reaches a recall."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .clock import summarize, time_call
from .condition import Condition
from .corpus import Corpus, Vectors
from .subject import Setting, Subject
from .truth import K, Truth

_TRIAL_QUERIES = 200
_TRIAL_SECONDS = 4.0
_SECONDS = 20.0
"""A subject that is too slow for all queries in this time answers the first ones; the table shows how many."""
_PASSES, _FAST_SECONDS = 3, 4.0
"""Fast subjects answer all queries up to three times."""


@dataclass
class Asked:
    """The answers to the first queries, as places in the corpus, and the seconds of each call."""

    found: list[list[int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Session:
    """A filled subject and its queries."""

    subject: Subject
    corpus: Corpus
    queries: Vectors
    truth: Truth

    def measure_filter(self, floor: float, condition: Condition) -> dict[str, Any]:
        """Measure the quickest way of filtering that reaches a recall, or the best one if none does."""
        ways = [
            self.measure_at_recall(floor, condition, ladder)
            for ladder in self.subject.filter_ladders or (self.subject.ladder,)
        ]
        enough = [way for way in ways if way["recall"] >= floor]
        if enough:
            best = min(enough, key=lambda way: float(way["median_ms"]))
            return {**best, "ways": [way["setting"] for way in enough]}
        return max(ways, key=lambda way: float(way["recall"]))

    def measure_at_recall(
        self, floor: float, condition: Condition | None = None, ladder: Sequence[Setting] = ()
    ) -> dict[str, Any]:
        """Measure at the first rung of the ladder that reaches a recall, or at the best one if none does."""
        trials: list[tuple[float, Setting]] = []
        for setting in ladder or self.subject.ladder:
            self.subject.tune(setting)
            tried = self.recall(self.ask(condition, _TRIAL_QUERIES, _TRIAL_SECONDS), condition)
            trials.append((tried, setting))
            if tried >= floor:
                measured = self.measure(setting, condition)
                if measured["recall"] >= floor:
                    return measured
        best = max(trials, key=lambda trial: trial[0])[1]
        self.subject.tune(best)
        return self.measure(best, condition)

    def measure(self, setting: Setting, condition: Condition | None = None) -> dict[str, Any]:
        """Ask all queries one at a time, and repeat them if that is quick."""
        first = self.ask(condition, len(self.queries), _SECONDS)
        seconds = list(first.seconds)
        for _ in range(_PASSES - 1):
            if sum(seconds) < _FAST_SECONDS:
                seconds += self.ask(condition, len(self.queries), _SECONDS).seconds
        return {
            **summarize(seconds),
            "queries": len(first.found),
            "recall": self.recall(first, condition),
            "fewest_hits": min(map(len, first.found)),
            "setting": dict(setting),
        }

    def ask(self, condition: Condition | None, limit: int, seconds: float) -> Asked:
        """Ask up to ``limit`` queries, fewer if the time runs out."""
        asked = Asked()
        end = time.perf_counter() + seconds
        for query in self.queries[:limit]:
            took, answer = time_call(lambda query=query: self.subject.search(query, K, condition))  # type: ignore[misc]
            asked.seconds.append(took)
            asked.found.append(self.places(answer))
            if time.perf_counter() > end:
                break
        return asked

    def places(self, answer: Any) -> list[int]:
        """Return the places of the rows of an answer, after checking that the rows are complete.

        Raises
        ------
        ValueError
            A text or metadata are not those that were stored.
        """
        rows = self.subject.rows(answer)
        places = [self.corpus.places[row.id] for row in rows]
        if self.subject.has_rows:
            _check(rows, [self.corpus.row(place) for place in places])
        return places

    def recall(self, asked: Asked, condition: Condition | None) -> float:
        """Return the mean recall of answers."""
        return self.truth.recall(self.corpus, self.queries, asked.found, condition)


def _check(found: Sequence[object], stored: Sequence[object]) -> None:
    for one, other in zip(found, stored, strict=True):
        if one != other:
            raise ValueError(f"{one} came back for {other}")
