"""Checks that records are as they were written and that the index holds them. Redis keeps no checksums of values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from vecstore.backend import Generation, Verification

from .client import Client, Command
from .failures import check_reply, is_denied
from .fields import FIELDS, encode_token, encode_tokens
from .filters import EVERY, KEYS, VECTOR_MARK, assign_presence_tokens, match_any
from .generation_guard import GenerationGuard
from .keys import Keys
from .rows import EXTRA, HAS, ID, TEXT, VECTOR, VERSION, encode_keys, to_attribute
from .scripts import VERIFY_PAGE
from .search import make_count_command, read_count

_PAGE = 500
_MISSING = "the search index is missing: reindex()"


class Verifier:
    """Checks the records and the index of a generation.

    Parameters
    ----------
    client : Client
    keys : Keys
    guard : GenerationGuard
    """

    def __init__(self, client: Client, keys: Keys, guard: GenerationGuard) -> None:
        self._client = client
        self._keys = keys
        self._guard = guard

    def verify(self, generation: Generation) -> Verification:
        """Check every record as a whole, and that the index holds it."""
        problems: list[str] = []
        info, _ = self._guard.read_index(generation, self._guard.read(generation).index)
        if info is None:
            problems.append(_MISSING)
        start, total, unindexed = "-", 0, 0
        while ids := self._inspect(generation, start, problems):
            total, start = total + len(ids), f"({ids[-1]}"
            if info is not None:
                missing = list(self.find_unindexed(generation, ids))
                unindexed += len(missing)
                problems += missing
        if info is None or self._count_indexed(generation) != total - unindexed:
            problems += self._find_foreign_keys(generation)
        return Verification(total - len(problems) if problems else total, tuple(problems))

    def find_unindexed(self, generation: Generation, ids: Sequence[str]) -> Iterator[str]:
        """Yield a problem for each of some ids that has a record which is missing in the index.

        Raises
        ------
        IndexNotReady
        """
        index = self._guard.recall(generation).index
        if not ids or self._count(ids, index) == len(ids):
            return
        scores = self._client.execute("ZMSCORE", self._keys.ids(generation.id), *ids)
        for id_, score in zip(ids, scores, strict=True):
            if score is not None and self._is_unindexed(generation, id_):
                yield f"record {id_!a} is not in the index: write it again"

    def _is_unindexed(self, generation: Generation, id_: str) -> bool:
        """Say whether there is a record that the index does not have, both read in one moment: others may delete it."""
        index = self._guard.wait_for_index(generation)[0].index
        counting = make_count_command(match_any(ID, encode_tokens([id_])), index, self._guard.milliseconds)
        commands: list[Command] = [("MULTI",), ("ZSCORE", self._keys.ids(generation.id), id_), counting, ("EXEC",)]
        score, reply = check_reply(self._client.pipeline(commands)[-1])
        if is_denied(reply):
            check_reply(reply)
        return score is not None and not read_count(reply)

    def _find_foreign_keys(self, generation: Generation) -> Iterator[str]:
        """Yield a problem for each key below the records' prefix that is no record.

        This walks over all keys of the server. Only a hash can do harm, and the index has every hash below the prefix,
        so its count says whether to look.
        """
        prefix, cursor = self._keys.records(generation.id), b"0"
        while True:
            cursor, keys = self._client.execute("SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _PAGE)
            ids = [key[len(prefix.encode()) :] for key in keys]
            scores = self._client.execute("ZMSCORE", self._keys.ids(generation.id), *ids) if ids else []
            for key, score in zip(keys, scores, strict=True):
                if score is None:
                    yield f"key {key.decode(errors='backslashreplace')!a} is no record of the store: remove it (DEL)"
            if int(cursor) == 0:
                return

    def _count_indexed(self, generation: Generation) -> int | None:
        """Return how many hashes below the records' prefix the index has."""
        index = self._guard.recall(generation).index
        [reply] = self._client.pipeline([make_count_command("*", index, self._guard.milliseconds)])
        if is_denied(reply):
            check_reply(reply)
        return read_count(reply)

    def _count(self, ids: Sequence[str], index: str) -> int | None:
        command = make_count_command(match_any(ID, encode_tokens(ids)), index, self._guard.milliseconds)
        [reply] = self._client.pipeline([command])
        if is_denied(reply):
            check_reply(reply)
        return read_count(reply)

    def _inspect(self, generation: Generation, start: str, problems: list[str]) -> list[str]:
        """Check the next records and return their ids."""
        names = (VECTOR, ID, HAS, TEXT, EXTRA, VERSION, KEYS, *map(to_attribute, generation.schema.fields))
        answer = self._guard.run(generation, VERIFY_PAGE, [len(names), *names, start, _PAGE])[1:]
        ids = [id_.decode() for id_ in answer[::2]]
        for id_, values in zip(ids, answer[1::2], strict=True):
            *stored, exists, milliseconds = values
            if not exists:
                problems.append(f"record {id_!a} is listed but missing: write it again, or delete it")
            elif not _is_sound(generation, id_, stored):
                problems.append(f"record {id_!a} was changed by another program: write it again, or delete it")
            elif milliseconds >= 0:
                problems.append(f"record {id_!a} expires in {milliseconds // 1000} s: write it again, or delete it")
        return ids


def _is_sound(generation: Generation, id_: str, values: Sequence[bytes | None]) -> bool:
    schema = generation.schema
    vector, id_token, has, text, extra, version, keys, *fields = values
    tokens = assign_presence_tokens(schema.fields)
    expected = {EVERY, *(tokens[name] for name, value in zip(schema.fields, fields, strict=True) if value is not None)}
    if schema.has_optional_vectors and vector is not None:
        expected.add(VECTOR_MARK)
    is_bare = schema.has_optional_vectors and vector is None
    if not is_bare and len(vector or b"") != schema.width * np.dtype(schema.dtype).itemsize:
        return False
    if id_token != encode_token(id_).encode() or {*(has or b"").decode(errors="replace").split(",")} != expected:
        return False
    try:
        (text or b"").decode()
        json.loads(extra or b"{}")
        if (keys or b"").decode() != (encode_keys((extra or b"{}").decode()) if schema.dynamic else ""):
            return False
        int(version or 0)
        for field, value in zip(schema.fields.values(), fields, strict=True):
            if value is not None:
                FIELDS[field.kind].read(value)
    except ValueError:
        return False
    return True
