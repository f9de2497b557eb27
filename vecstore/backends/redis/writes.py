"""Writes to the records of one generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vecstore.backend import Change, Generation, Rows, Selection, Update
from vecstore.errors import PartialWrite, RecordExists, StorageFailed, StoreLocked, VecstoreError
from vecstore.filters.nodes import Filter
from vecstore.rows import metadata

from .fields import encode_tokens
from .filters import compile_filter, compile_program, match_any
from .generation_guard import GenerationGuard
from .rows import ID, encode_keys, encode_update, encode_write
from .scripts import CHANGES, DELETE, EXTRAS, UPDATE, WRITE, Script
from .search import make_count_command, read_count
from .selection import FIRST_SCAN, MAX_STEP, Matches, StepRecords
from .upkeep import Upkeep
from .verify import Verifier

_WORDS_BEFORE_IDS = 3
"""In the answer of a script that also returns the ids that it changed."""
_RETRIES = 100
"""How often an update starts again because others changed the same records meanwhile."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step does to the records of a part.

    Attributes
    ----------
    script : Script
    words : list
        Its arguments after the part.
    extra : mapping or None
        Changes of undeclared metadata, which are merged here with what each record has.
    """

    script: Script
    words: list[Any]
    extra: Mapping[str, Any] | None = None


class Writes:
    """Writes records, and makes sure that the index takes them.

    Parameters
    ----------
    guard : GenerationGuard
    matches : Matches
    upkeep : Upkeep
    verifier : Verifier
    """

    def __init__(self, guard: GenerationGuard, matches: Matches, upkeep: Upkeep, verifier: Verifier) -> None:
        self._guard = guard
        self._matches = matches
        self._upkeep = upkeep
        self._verifier = verifier

    def write(self, generation: Generation, rows: Rows, *, insert: bool, fence: Sequence[int] | None) -> int:
        """Write whole records.

        Raises
        ------
        RecordExists
        """
        mode = "insert" if insert else "upsert" if fence is None else "fence"
        return self._write(generation, rows, encode_write(rows, generation.schema, mode, fence))

    def write_groups(self, generation: Generation, rows: Rows, fences: Mapping[str, int]) -> int:
        """Replace groups of records."""
        return self._write(generation, rows, encode_write(rows, generation.schema, "group", fences=fences))

    def _write(self, generation: Generation, rows: Rows, words: list[Any]) -> int:
        index = self._guard.recall(generation).index
        counting = make_count_command(match_any(ID, encode_tokens(rows.ids)), index, self._guard.milliseconds)
        further = [counting] if len(rows) else []
        answer, replies = self._guard.run_before(further, generation, WRITE, words)
        if answer[0] == b"taken":
            raise RecordExists([id_.decode() for id_ in answer[1:]])
        self._upkeep.note_count(generation, int(answer[2]))
        if [read_count(reply) for reply in replies] != [len(rows)] * len(further):
            self._check_indexed(generation, rows.ids)
        return int(answer[1])

    def update(self, generation: Generation, selection: Selection, update: Update) -> int:
        """Change attributes of the selected records."""
        words = encode_update(update, generation.schema)
        step = _Step(UPDATE, [*words, "extras"], update.extra) if update.extra else _Step(UPDATE, [*words, ""])
        return self._change(generation, selection, step)

    def delete(self, generation: Generation, selection: Selection, fence: Sequence[int] | None) -> int:
        """Remove the selected records."""
        fences = [] if fence is None or isinstance(selection, Filter) else [*fence]
        return self._change(generation, selection, _Step(DELETE, [len(fences), *fences]))

    def read_changes(self, generation: Generation, settled: Sequence[Change], limit: int) -> list[Change]:
        """Remove settled entries from the change list, then return the first ones."""
        words: list[Any] = [len(settled)]
        for each in settled:
            words += [each.seq, each.id]
        found = self._guard.run(generation, CHANGES, [*words, limit])[1:]
        return [Change(int(seq), id_.decode()) for id_, seq in zip(found[::2], found[1::2], strict=True)]

    def _change(self, generation: Generation, selection: Selection, step: _Step) -> int:
        """Change the selected records in one step, or if a filter has many matches, in several steps."""
        fields = generation.schema.fields
        if not isinstance(selection, Filter):
            return self._run_step(generation, StepRecords(ids=list(dict.fromkeys(selection))), step) or 0
        queries = compile_filter(selection, fields)
        if queries is not None:
            changed = self._run_step(generation, StepRecords(queries), step)
            if changed is not None:
                return changed
        total, program = 0, compile_program(selection, fields)
        try:
            for ids in self._matches.scan(generation, selection, None, FIRST_SCAN, longest=MAX_STEP):
                if ids:
                    total += self._run_step(generation, StepRecords((), program, ids), step) or 0
        except VecstoreError as error:
            if total:
                raise PartialWrite(total, error) from error
            raise
        return total

    def _run_step(self, generation: Generation, part: StepRecords, step: _Step) -> int | None:
        """Change the records of a part; return None if there are more than one step may change."""
        for _ in range(_RETRIES):
            extras = [] if step.extra is None else self._merge_extras(generation, part, step.extra)
            answer = self._run(generation, step.script, part, *step.words, *extras)
            if answer[0] == b"many":
                return None
            if answer[0] == b"ok":
                self._upkeep.note_count(generation, int(answer[2]))
                if len(answer) > _WORDS_BEFORE_IDS:
                    self._check_indexed(generation, [id_.decode() for id_ in answer[_WORDS_BEFORE_IDS:]])
                return int(answer[1])
        raise StoreLocked("Other writers kept changing the same records. Try again.")

    def _merge_extras(self, generation: Generation, part: StepRecords, changes: Mapping[str, Any]) -> list[Any]:
        """Return the ids of a part, their present undeclared metadata, the new one, and its tokens."""
        answer = self._run(generation, EXTRAS, part)
        if answer[0] == b"many":  # the update will return the same
            return [0]
        words: list[Any] = [(len(answer) - 1) // 2]
        for id_, extra in zip(answer[1::2], answer[2::2], strict=True):
            merged = metadata.merge(extra.decode(), changes, id_.decode())
            words += [id_, extra, merged, encode_keys(merged) if generation.schema.dynamic else ""]
        return words

    def _run(self, generation: Generation, script: Script, part: StepRecords, *more: Any) -> list[Any]:
        words = [*part.encode(self._guard.milliseconds), *more]
        return self._guard.run(generation, script, words, indexed=bool(part.queries))

    def _check_indexed(self, generation: Generation, ids: Sequence[str]) -> None:
        """Make sure that the index took what was written, because the engine reports no refusal.

        Raises
        ------
        StorageFailed
        """
        for problem in self._verifier.find_unindexed(generation, ids):
            raise StorageFailed(f"The write is made, but {problem}.")
