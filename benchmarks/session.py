"""Queries to one subject: latencies, recall, and the smallest setting that reaches a recall."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .clock import summarize, time_call
from .condition import Condition
from .corpus import Corpus, Row, Vectors
from .subject import Setting, Subject
from .truth import K, Truth

_TRIAL_QUERIES = 200
_TRIAL_SECONDS = 4.0
_SECONDS = 20.0
"""A subject that is too slow for all queries in this time answers the first ones; the table shows how many."""
_PASSES, _FAST_SECONDS = 3, 4.0
"""Fast subjects answer all queries up to three times."""
_BATCHES, _BATCH_SECONDS = 5, 30.0
_THREADS = (1, 2, 4, 8)
_THREAD_ROUNDS, _THREAD_SECONDS = 3, 1.0


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

    def measure_batch(self) -> dict[str, Any]:
        """Ask all queries in one call, several times."""
        subject, seconds, answers = self.subject, list[float](), None
        while len(seconds) < _BATCHES and sum(seconds) < _BATCH_SECONDS:
            took, answers = time_call(lambda: subject.search_many(self.queries, K))
            seconds.append(took)
        middle, count = median(seconds), len(self.queries)
        figures = {"queries": count, "median_s": middle, "per_s": count / middle, "each_ms": 1e3 * middle / count}
        if not subject.has_rows:
            return figures
        found = [self._find_places(rows) for rows in subject.rows_many(answers)]
        return {**figures, "recall": self.recall(Asked(found), None)}

    def measure_threads(self) -> dict[str, Any]:
        """Let 1, 2, 4 and 8 threads ask the same queries, in turns; return the time of all by the searches of all."""
        took, _ = time_call(lambda: self._ask_some(range(_THREADS[-1])))
        count = min(len(self.queries), max(8 * _THREADS[-1], int(_THREAD_SECONDS * _THREADS[-1] / took)))
        seconds: dict[int, list[float]] = {threads: [] for threads in _THREADS}
        for _ in range(_THREAD_ROUNDS):
            for threads, taken in seconds.items():
                shares = [range(count)[hand::threads] for hand in range(threads)]
                with ThreadPoolExecutor(threads) as pool:
                    taken.append(time_call(lambda: list(pool.map(self._ask_some, shares)))[0])  # noqa: B023 - called here
        return {
            str(threads): {"wall_ms": 1e3 * median(taken) / count, "per_s": count / median(taken)}
            for threads, taken in seconds.items()
        }

    def _ask_some(self, places: Iterable[int]) -> None:
        for place in places:
            self.subject.search(self.queries[place], K, None)

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
        return self._find_places(self.subject.rows(answer))

    def _find_places(self, rows: list[Row]) -> list[int]:
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
