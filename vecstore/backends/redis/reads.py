"""Reads of the records of one generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vecstore.backend import EVERYTHING, Found, Generation, Include, Rows, Search
from vecstore.filters.nodes import And, Filter, Not

from .counts import count_matches, count_records
from .fields import encode_tokens
from .filters import HAS_VECTOR, NOTHING, compile_filter, compile_program, match_any
from .generation_guard import ATTEMPTS, GenerationGuard, make_unsteady_index
from .rows import ID, decode_rows, list_attributes
from .scripts import FETCH, FETCH_MATCHING, PAGE, SAMPLE, TOMBSTONES, Script
from .search import make_search_commands, read_answers
from .selection import Matches, StepRecords, to_range_start

_IDS_PER_QUERY = 1_000


def _require_vector(generation: Generation, where: Filter | None) -> Filter | None:
    """Return a filter that also asks for a vector, where a record may lack one."""
    if not generation.schema.has_optional_vectors:
        return where
    return HAS_VECTOR if where is None else And((where, HAS_VECTOR))


class Reads:
    """Reads records, counts them and searches them.

    Parameters
    ----------
    guard : GenerationGuard
    matches : Matches
    """

    def __init__(self, guard: GenerationGuard, matches: Matches) -> None:
        self._guard = guard
        self._matches = matches

    def fetch(self, generation: Generation, ids: Sequence[str]) -> Rows:
        """Return the records with some ids."""
        unique = list(dict.fromkeys(ids))
        return self._read_rows(generation, FETCH, [len(unique), *unique])

    def page(
        self, generation: Generation, where: Filter | None, after: str | None, limit: int, include: Include = EVERYTHING
    ) -> Rows:
        """Return the next records in the order of their ids."""
        if where is None:
            return self._read_rows(generation, PAGE, [to_range_start(after), limit], include)
        # Others may change records between finding the ids and reading them. Records that no longer match are left out,
        # and an empty page means that none are left.
        program = compile_program(where, generation.schema.fields)
        for ids in self._matches.page(generation, where, after, limit):
            words = StepRecords((), program, ids).encode(self._guard.milliseconds)
            rows = self._read_rows(generation, FETCH_MATCHING, words, include)
            if len(rows):
                return rows
        return self.fetch(generation, ())

    def sample(self, generation: Generation, where: Filter | None, size: int) -> Rows:
        """Return records that have a vector, spread evenly over the ids."""
        where = _require_vector(generation, where)
        if where is None:
            return self._read_rows(generation, SAMPLE, [size])
        ids = self._matches.find_all(generation, where)
        chosen = ids if len(ids) <= size else [ids[number * len(ids) // size] for number in range(size)]
        return self.fetch(generation, chosen)

    def count(self, generation: Generation, where: Filter | None) -> int:
        """Return the number of records, or of matches."""
        if where is None:
            return count_records(self._guard, generation)
        queries = compile_filter(where, generation.schema.fields)
        if queries is None or len(queries) > 1:
            return len(self._matches.find_all(generation, where))
        return count_matches(self._guard, generation, queries[0])

    def find_without_vector(self, generation: Generation, limit: int) -> list[str]:
        """Return the first ids of records without a vector."""
        if not generation.schema.has_optional_vectors:
            return []
        return self._matches.find_all(generation, Not(HAS_VECTOR))[:limit]

    def search(self, generation: Generation, search: Search) -> list[Found]:
        """Search for all query vectors in one round trip."""
        where = None if search.where is None else _require_vector(generation, search.where)
        filters = [None] if where is None else self._compile_queries(generation, where)
        for _ in range(ATTEMPTS):
            state, milliseconds = self._guard.recall(generation), self._guard.milliseconds
            commands = make_search_commands(search, filters, state, generation.schema, milliseconds)
            replies = self._guard.search(generation, state, [each.words for each in commands])
            if replies is not None:
                return read_answers(replies, commands, search, generation.schema)
        raise make_unsteady_index()

    def tombstones(self, generation: Generation, after: str | None, limit: int) -> Mapping[str, int]:
        """Return the next tombstones in the order of their ids, with their versions."""
        found = self._guard.run(generation, TOMBSTONES, [to_range_start(after), limit])[1:]
        return {id_.decode(): int(version) for id_, version in zip(found[::2], found[1::2], strict=True)}

    def _read_rows(
        self, generation: Generation, script: Script, words: Sequence[Any], include: Include = EVERYTHING
    ) -> Rows:
        names = list_attributes(generation.schema, include)
        answer = self._guard.run(generation, script, [len(names), *names, *words])
        return decode_rows(answer[1:], generation.schema, include)

    def _compile_queries(self, generation: Generation, where: Filter) -> Sequence[str]:
        """Return the queries of a filter; if that takes too many, queries for the ids of all matches."""
        queries = compile_filter(where, generation.schema.fields)
        if queries is not None:
            return queries
        ids = self._matches.find_all(generation, where)
        parts = [ids[start : start + _IDS_PER_QUERY] for start in range(0, len(ids), _IDS_PER_QUERY)]
        return [match_any(ID, encode_tokens(part)) for part in parts] or [NOTHING]
