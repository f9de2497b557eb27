"""Where the conformance suite runs: how each backend's empty place is made."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from vecstore import Database, registry
from vecstore.backend import Backend
from vecstore.backends.memory import MemoryBackend
from vecstore.testing import Place, RawGeneration, RawIndex, RawRecord


class MemoryPlace(Place):
    """One backend object; its databases are the views of one process."""

    shared = False
    processes = False
    indexed = False
    part = 20  # the reference itself stands on both sides

    def __init__(self) -> None:
        self._backend = MemoryBackend()

    @property
    def url(self) -> str:
        return "memory:"

    def connect(self) -> Database:
        return Database(self._backend)

    def backend(self) -> Backend:
        return self._backend

    def raw(self, store: str) -> Mapping[str, RawRecord]:
        table = self._backend._tables[self._backend.find(name=store).active.id]
        return {
            id_: RawRecord(
                row.text,
                None if row.vector is None else row.vector.tobytes(),
                {**json.loads(row.extra), **present(row.fields)},
            )
            for id_, row in table.rows.items()
        }

    def generations(self) -> Mapping[str, RawGeneration]:
        return {
            generation: RawGeneration(
                {id_: row.version for id_, row in table.rows.items()},
                dict(table.tombstones),
                sorted(table.changes, key=table.changes.__getitem__),
            )
            for generation, table in self._backend._tables.items()
        }

    def close(self) -> None:
        """Do nothing: the records go with the object."""


class FilePlace(Place):
    """A directory; indexes are built over so few records that the suite reaches them."""

    part = 3

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._backends: list[Backend] = []

    @property
    def url(self) -> str:
        return f"file:{self._directory}?index_min_rows=32"

    def connect(self) -> Database:
        return vecstore.connect(self.url)

    def backend(self) -> Backend:
        backend = registry.connect(self.url)
        self._backends.append(backend)
        return backend

    def indexes(self, store: str) -> Sequence[RawIndex]:
        directory, _ = self._active(store)
        [(body,)] = sqlite_rows(directory / "rows.db", "SELECT body FROM ledger")
        index = json.loads(body)["index"]
        if index is None or not (directory / "idx" / f"{index['uid']}.faiss").exists():
            return []
        return [RawIndex(index["m"], index["ef_construction"])]

    def _active(self, store: str) -> tuple[Path, Any]:
        """Return the directory of a store's active generation, and its schema."""
        catalogue = sqlite_rows(
            self._directory / "catalog.db",
            "SELECT id, schema FROM stores JOIN generations ON active = id WHERE name = ?",
            store,
        )
        [(generation, schema)] = catalogue
        return self._directory / "g" / generation, json.loads(schema)

    def raw(self, store: str) -> Mapping[str, RawRecord]:
        directory, described = self._active(store)
        vectors = raw_vectors(directory, described["dim"] * np.dtype(described["dtype"]).itemsize)
        kinds = sorted(described["fields"].items())
        columns = "".join(f", f{number}" for number in range(len(kinds)))
        found = {}
        for rid, id_, text, extra, *values in sqlite_rows(
            directory / "rows.db",
            f"SELECT rid, id, text, extra{columns} FROM rows",  # noqa: S608
        ):
            declared = {
                name: None if value is None else READ[kind](value)
                for (name, kind), value in zip(kinds, values, strict=True)
            }
            found[id_] = RawRecord(text, vectors.get(rid), {**json.loads(extra), **present(declared)})
        return found

    def generations(self) -> Mapping[str, RawGeneration]:
        return {directory.name: raw_generation(directory / "rows.db") for directory in self._directory.glob("g/*")}

    def close(self) -> None:
        for backend in self._backends:
            backend.close()


READ: Mapping[str, Callable[[Any], Any]] = {
    "bool": bool,
    "keywords": lambda text: tuple(json.loads(text)),
    **dict.fromkeys(["keyword", "int", "float", "datetime"], lambda value: value),
}


def sqlite_rows(file: Path, statement: str, *values: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as link:
        return link.execute(statement, values).fetchall()


def raw_generation(file: Path) -> RawGeneration:
    return RawGeneration(
        dict(sqlite_rows(file, "SELECT id, version FROM rows")),
        dict(sqlite_rows(file, "SELECT id, version FROM tombstones")),
        [id_ for (id_,) in sqlite_rows(file, "SELECT id FROM changes ORDER BY seq")],
    )


def raw_vectors(directory: Path, size: int) -> dict[int, bytes]:
    """Read every vector by its row number: few lie in rows.db, many in segments, behind a header of 128 bytes.

    A segment with gaps has the row numbers behind its vectors and norms.
    """
    found = dict(sqlite_rows(directory / "rows.db", "SELECT rid, vector FROM hot"))
    for base, last, count, uid in sqlite_rows(directory / "rows.db", "SELECT base, last, n, uid FROM segments"):
        content = (directory / "seg" / f"{uid}.vec").read_bytes()[128:]
        rids = list(range(base, last + 1))
        if len(rids) > count:
            start = count * size + -count * size % 8 + 8 * count
            rids = np.frombuffer(content, "<i8", count, start).tolist()
        found |= {rid: content[number * size :][:size] for number, rid in enumerate(rids)}
    return found


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
