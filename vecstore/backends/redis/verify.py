"""Is what lies in Redis what was written, and does the index hold it? Redis itself keeps no checksums of values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vecstore.backend import Generation, Verification

from .fields import form, token, tokens
from .filters import EVERY, any_of, has_tokens
from .generation import GenerationCalls
from .keys import Keys
from .link import Link
from .rows import EXTRA, HAS, ID, TEXT, VECTOR, VERSION, attribute
from .scripts import INSPECT
from .search import counted, counting

_PAGE = 500
_GONE = "the search index is gone: reindex()"


class Inspection:
    """Looks at the records of one generation after another."""

    def __init__(self, link: Link, keys: Keys, calls: GenerationCalls) -> None:
        self._link = link
        self._keys = keys
        self._calls = calls

    def verify(self, generation: Generation) -> Verification:
        """Read every record as a whole, and compare what the index holds of it."""
        problems: list[str] = []
        facts, count = self._calls.index_facts(generation, self._calls.look(generation).index)
        if facts is None:
            problems.append(_GONE)
        elif facts.records > count:
            problems.append(f"the index holds {facts.records - count} hashes that are no records: remove their keys")
        start, sound = "-", 0
        while ids := self._inspected(generation, start, problems):
            sound, start = sound + len(ids), f"({ids[-1]}"
            if facts is not None:
                problems += self.unfound(generation, ids)
        return Verification(sound - len(problems) if problems else sound, tuple(problems))

    def unfound(self, generation: Generation, ids: Sequence[str]) -> Iterator[str]:
        """Name those of some ids that there is a record of, but not in the index.

        Raises
        ------
        IndexNotReady
        """
        known = self._calls.standing(generation).index
        if not ids or self._counted(ids, known) == len(ids):
            return
        there = self._link.tell("ZMSCORE", self._keys.ids(generation.id), *ids)
        for id_, place in zip(ids, there, strict=True):
            if place is not None and not self._counted([id_], self._calls.settled(generation)[0].index):
                yield f"record {id_!a} is not in the index: write it again"

    def _counted(self, ids: Sequence[str], index: str) -> int | None:
        [reply] = self._link.ask([counting(any_of(ID, tokens(ids)), index, self._calls.milliseconds)])
        return counted(reply)

    def _inspected(self, generation: Generation, start: str, problems: list[str]) -> list[str]:
        """Look at the next records, and return their ids."""
        names = (VECTOR, ID, HAS, TEXT, EXTRA, VERSION, *map(attribute, generation.schema.fields))
        answer = self._calls.run(generation, INSPECT, [len(names), *names, start, _PAGE])[1:]
        ids = [id_.decode() for id_ in answer[::2]]
        for id_, values in zip(ids, answer[1::2], strict=True):
            if values[0] is None:
                problems.append(f"record {id_!a} is listed and not there: write it again, or delete it")
            elif not _is_sound(generation, id_, values):
                problems.append(f"record {id_!a} was changed by somebody else: write it again")
        return ids


def _is_sound(generation: Generation, id_: str, values: Sequence[bytes | None]) -> bool:
    schema = generation.schema
    vector, own, has, text, extra, version, *fields = values
    marks = has_tokens(schema.fields)
    expected = {EVERY, *(marks[name] for name, value in zip(schema.fields, fields, strict=True) if value is not None)}
    if len(vector or b"") != schema.width * np.dtype(schema.dtype).itemsize:
        return False
    if own != token(id_).encode() or {*(has or b"").decode(errors="replace").split(",")} != expected:
        return False
    try:
        _read(text, extra, version)
        for field, value in zip(schema.fields.values(), fields, strict=True):
            if value is not None:
                form(field).read(value)
    except ValueError:
        return False
    return True


def _read(text: bytes | None, extra: bytes | None, version: bytes | None) -> Any:
    return (text or b"").decode(), json.loads(extra or b"{}"), int(version or 0)
