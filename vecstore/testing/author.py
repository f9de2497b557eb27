"""A writer that remembers what was acknowledged, in a thread or in a process of its own."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..database import connect
from ..filters.field_ref import F
from ..records import Record
from ..store import VectorStore
from .processes import tell
from .sample_records import make_vector
from .toy_embedder import ToyEmbedder

IDS = 30


class Author:
    """Writes, changes and removes records of its own at random; ``kept`` is what the store must hold of them.

    Parameters
    ----------
    store : VectorStore
        With the fields of the books.
    name : str
        Authors of different names never touch the same record.
    seed : int
    embeds : bool
        Leave the vectors to the store's embedder.
    lacks : bool
        Write some records without a vector, and give and remove vectors.
    """

    def __init__(self, store: VectorStore, name: str, seed: int, *, embeds: bool = False, lacks: bool = False) -> None:
        self.kept: dict[str, Record] = {}
        self._store = store
        self._name = name
        self._embeds = embeds
        self._lacks = lacks
        self._random = random.Random(f"{seed}-{name}")
        self._actions: list[Callable[[], None]] = [
            self.upsert, self.upsert, self.update, self.update_where, self.delete, self.delete_where, self.replace,
        ]  # fmt: skip

    def step(self) -> None:
        """Make one call; what it changes counts when it returns."""
        self._random.choice(self._actions)()

    def upsert(self) -> None:
        """Write some records."""
        records = [self._record(id_) for id_ in self._ids()]
        assert self._store.upsert(records) == len(records)
        self.kept |= {record.id: record for record in records}

    def update(self) -> None:
        """Change some records by id."""
        ids, year, text = self._ids(), self._random.randrange(3000), self._words()
        changes: dict[str, Any] = {"metadata": {"year": year, "note": {"of": self._name}}}
        if self._embeds:
            changes["text"] = text
        if self._lacks:
            changes["vector"] = self._vector()
        changed = self._store.update(ids=ids, **changes, unset=["price"])
        known = [id_ for id_ in ids if id_ in self.kept]
        assert changed == len(known)
        for id_ in known:
            self._change(id_, year=year, note={"of": self._name}, price=None)
            if self._embeds:
                self.kept[id_] = replace(self.kept[id_], text=text)
            if self._lacks:
                self.kept[id_] = replace(self.kept[id_], vector=changes["vector"])

    def update_where(self) -> None:
        """Change some records by filter."""
        limit = self._random.randrange(3000)
        changed = self._store.update(where=(F.lang == self._name) & (F.year < limit), metadata={"year": limit})
        known = [id_ for id_, record in self.kept.items() if record.metadata["year"] < limit]
        assert changed == len(known)
        for id_ in known:
            self._change(id_, year=limit)

    def delete(self) -> None:
        """Remove some records by id."""
        ids = self._ids()
        assert self._store.delete(ids=ids) == len(self.kept.keys() & ids)
        for id_ in ids:
            self.kept.pop(id_, None)

    def delete_where(self) -> None:
        """Remove some records by filter."""
        limit = self._random.randrange(600)
        removed = self._store.delete(where=(F.lang == self._name) & (F.year < limit))
        known = [id_ for id_, record in self.kept.items() if record.metadata["year"] < limit]
        assert removed == len(known)
        for id_ in known:
            del self.kept[id_]

    def replace(self) -> None:
        """Remove a record and write it again."""
        id_ = self._ids()[0]
        self._store.delete(ids=[id_])
        self.kept.pop(id_, None)
        record = self._record(id_)
        self._store.insert([record])
        self.kept[id_] = record

    def _ids(self) -> list[str]:
        return [f"{self._name}-{number}" for number in self._random.sample(range(IDS), self._random.randint(1, 5))]

    def _words(self) -> str:
        return f"{self._name} word{self._random.randrange(1_000_000)}"

    def _record(self, id_: str) -> Record:
        given = None if self._embeds else self._vector()
        values = {"lang": self._name, "year": self._random.randrange(3000), "price": 0.5, "mine": [1, None]}
        return Record(id_, given, self._words(), values)

    def _vector(self) -> NDArray[np.float32] | None:
        if self._lacks and self._random.random() < 0.5:
            return None
        return make_vector(self._random.randrange(10**6))

    def _change(self, id_: str, **values: object) -> None:
        laid = {**self.kept[id_].metadata, **values}
        kept = {key: value for key, value in laid.items() if value is not None}
        self.kept[id_] = replace(self.kept[id_], metadata=kept)


def write_steps(url: str, name: str, author: str, seed: int) -> None:
    """Write until standard input ends, a line for each step; then tell what was kept."""
    embedders = (ToyEmbedder(8, seed=1, name="old"), ToyEmbedder(5, seed=2, name="new"))
    with connect(url) as db:
        writer = Author(db.open(name, embedder=embedders), author, seed, embeds=True)
        for _ in sys.stdin:
            writer.step()
            tell(".")
        kept = {id_: [record.text, dict(record.metadata)] for id_, record in writer.kept.items()}
        tell(json.dumps(kept))
