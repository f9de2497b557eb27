"""Which values a field has, in how many records: counted by the query engine at once, or by a script in steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from vecstore.backend import Generation
from vecstore.fields import Field, Stored
from vecstore.filters.nodes import And, Compare, Filter
from vecstore.rows.tallies import rank_values

from .fields import FIELDS
from .filters import compile_filter, compile_program
from .generation_guard import ATTEMPTS, GenerationGuard, make_unsteady_index
from .rows import to_attribute
from .scripts import TALLY
from .selection import LONGEST_SCAN, to_range_start

_ROUNDED = frozenset({"float"})
"""Kinds of fields whose values the engine shows with 12 digits. It shows whole numbers up to 2⁵³ exactly."""


class Tallies:
    """Counts records by the value of a field."""

    def __init__(self, guard: GenerationGuard) -> None:
        self._guard = guard

    def count_values(
        self, generation: Generation, field: str, where: Filter | None, limit: int | None
    ) -> list[tuple[Stored, int]]:
        """Return the values of a field with their counts; see `Backend.values`."""
        schema, present = generation.schema, Compare(field, "exists", True)
        condition = present if where is None else And((present, where))
        queries = None if schema.fields[field].kind in _ROUNDED else compile_filter(condition, schema.fields)
        if queries is not None and len(queries) == 1:
            groups = iter(self._aggregate(generation, queries[0], to_attribute(field)))
        else:
            groups = self._count_in_steps(generation, condition, to_attribute(field))
        return rank_values(_sum_groups(groups, schema.fields[field]), limit)

    def _aggregate(self, generation: Generation, query: str, attribute: str) -> list[tuple[bytes, int]]:
        for _ in range(ATTEMPTS):
            state = self._guard.recall(generation)
            command = make_tally_command(query, attribute, state.index, self._guard.milliseconds)
            replies = self._guard.search(generation, state, [command])
            if replies is not None:
                found = [each[b"extra_attributes"] for each in replies[0][b"results"]]
                return [(each[attribute.encode()], int(each[b"n"])) for each in found]
        raise make_unsteady_index()

    def _count_in_steps(self, generation: Generation, where: Filter, attribute: str) -> Iterator[tuple[bytes, int]]:
        program, start = compile_program(where, generation.schema.fields), to_range_start(None)
        while True:
            words = [start, LONGEST_SCAN, len(program), *program, attribute]
            _, last, *found = self._guard.run(generation, TALLY, words)
            if not last:
                return
            yield from zip(found[::2], map(int, found[1::2]), strict=True)
            start = to_range_start(last.decode())


def make_tally_command(query: str, attribute: str, index: str, milliseconds: int) -> list[Any]:
    """Return the command that counts the matches of a query by the value of an attribute."""
    return [
        "FT.AGGREGATE", index, query, "LOAD", 1, f"@{attribute}",
        "GROUPBY", 1, f"@{attribute}", "REDUCE", "COUNT", 0, "AS", "n",
        "TIMEOUT", milliseconds, "DIALECT", 2,
    ]  # fmt: skip


def _sum_groups(groups: Iterator[tuple[bytes, int]], field: Field) -> Counter[Stored]:
    """Return the counts of values in stored form; a list counts once under each of its elements."""
    read, counts = FIELDS[field.kind].read, Counter[Stored]()
    for value, count in groups:
        stored = read(value)
        for each in set(stored) if isinstance(stored, tuple) else (stored,):
            counts[each] += count
    return counts
