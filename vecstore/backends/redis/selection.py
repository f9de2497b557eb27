"""Which records a call reads or changes: by id, by queries of the engine, or by a program that a script runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vecstore.backend import Generation
from vecstore.filters.nodes import Filter

from .filters import compile_filter, compile_program
from .generation_guard import GenerationGuard
from .scripts import SCAN, SELECT

MAX_STEP = 1_000
"""Matches of a filter that one step changes at most, because the server does nothing else meanwhile."""
FIRST_SCAN, LONGEST_SCAN = 1_000, 5_000
"""Ids that one step of a scan looks at, at first and at most."""


@dataclass(frozen=True, slots=True)
class StepRecords:
    """Records of one step: the matches of queries, some ids, or those of them that match a program."""

    queries: Sequence[str] = ()
    program: Sequence[Any] = ()
    ids: Sequence[str] = ()

    def encode(self, milliseconds: int) -> list[Any]:
        """Return the arguments of ``parts/selection.lua``."""
        return [
            len(self.queries), *self.queries, len(self.program), *self.program, MAX_STEP, milliseconds,
            len(self.ids), *self.ids,
        ]  # fmt: skip


class Matches:
    """Finds the ids of the records that match a filter."""

    def __init__(self, guard: GenerationGuard) -> None:
        self._guard = guard

    def find_few(self, generation: Generation, where: Filter) -> list[str] | None:
        """Return the ids of all matches in order, or None if there are many."""
        queries = compile_filter(where, generation.schema.fields)
        if queries is None:
            return None
        words = StepRecords(queries).encode(self._guard.milliseconds)
        answer = self._guard.run(generation, SELECT, words, indexed=True)
        return None if answer[0] == b"many" else sorted(id_.decode() for id_ in answer[1:])

    def find_all(self, generation: Generation, where: Filter) -> list[str]:
        """Return the ids of all matches in order."""
        few = self.find_few(generation, where)
        if few is not None:
            return few
        return [id_ for ids in self.scan(generation, where, None, LONGEST_SCAN) for id_ in ids]

    def scan(
        self, generation: Generation, where: Filter, after: str | None, step: int, longest: int = LONGEST_SCAN
    ) -> Iterator[list[str]]:
        """Run the filter on all records in the order of their ids; yield the ids of matches, some at a time.

        The first step looks at ``step`` records, each later one at twice as many, up to ``longest``.
        """
        program, start = compile_program(where, generation.schema.fields), to_range_start(after)
        while True:
            step = min(step, longest)
            _, last, *ids = self._guard.run(generation, SCAN, [start, step, len(program), *program])
            if not last:
                return
            yield [id_.decode() for id_ in ids]
            start, step = to_range_start(last.decode()), 2 * step

    def page(self, generation: Generation, where: Filter, after: str | None, limit: int) -> Iterator[list[str]]:
        """Yield the ids of matches behind an id, ``limit`` at a time."""
        few = self.find_few(generation, where)
        if few is None:
            parts = self.scan(generation, where, after, limit)
        else:
            parts = iter([[id_ for id_ in few if after is None or id_ > after]])
        waiting: list[str] = []
        for part in parts:
            waiting += part
            while len(waiting) >= limit:
                yield waiting[:limit]
                waiting = waiting[limit:]
        if waiting:
            yield waiting


def to_range_start(after: str | None) -> str:
    """Return the start of a range of ids that follow one, or of all ids."""
    return "-" if after is None else f"({after}"
