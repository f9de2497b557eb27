"""A process that writes or reads while its store moves: an order a line, an answer a line."""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from typing import Any

import numpy as np

import vecstore
from vecstore import Database, VectorStore
from vecstore.testing.author import Author
from vecstore.testing.processes import tell
from vecstore.testing.rebuild_fixtures import OLD, new_model

FIXED = 120
"""How many texts the store has that nobody changes."""
MODELS = {model.dim: model for model in (OLD, new_model())}


class Reader:
    """Reads what nobody changes, and checks that no answer mixes the vectors of two models."""

    kept: dict[str, Any] = {}  # noqa: RUF012 - nothing is written

    def __init__(self, store: VectorStore, seed: int) -> None:
        self._store = store
        self._random = random.Random(seed)

    def step(self) -> None:
        number = self._random.randrange(FIXED)
        for exact in (False, True):
            hits = self._store.search(f"text {number}", k=8, exact=exact, include=("text", "vector"))
            assert len(hits) == 8
            vectors = [np.asarray(hit.vector) for hit in hits]
            [width] = {len(vector) for vector in vectors}
            made = MODELS[width].embed_documents([hit.text or "" for hit in hits])
            assert np.allclose(vectors, made, atol=1e-5), "two models in one answer"
        assert (hits[0].id, round(hits[0].score, 4)) == (f"text-{number:05}", 1.0)
        found = [record.id for record in self._store.scan(include=(), batch_size=50) if record.id.startswith("text-")]
        assert found == [f"text-{each:05}" for each in range(FIXED)]
        [record] = self._store.get([f"text-{number:05}"])
        assert record is not None
        assert (record.text, dict(record.metadata)) == (f"text {number}", {"year": number})


class Client:
    """The store that is open, what is done with it, and how long the longest step took."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._worker: Author | Reader | None = None
        self._longest = 0.0

    def open(self, url: str, successor: str, author: str, seed: int) -> str:
        """Connect, as an author of that name or, without one, as a reader."""
        self._database = vecstore.connect(url, successor=successor)
        store = self._database.open("docs", embedder=tuple(MODELS.values()))
        self._worker = Author(store, author, seed, embeds=True) if author else Reader(store, seed)
        self._longest = 0.0
        return "open"

    def step(self) -> str:
        assert self._worker is not None
        began = time.monotonic()
        self._worker.step()
        self._longest = max(self._longest, time.monotonic() - began)
        return "."

    def close(self) -> str:
        """Return what the store must hold of what was written, and the seconds of the longest step."""
        assert self._database is not None
        assert self._worker is not None
        self._database.close()
        kept = {id_: [record.text, dict(record.metadata)] for id_, record in self._worker.kept.items()}
        return json.dumps([kept, self._longest])


def obey() -> None:
    client = Client()
    for line in sys.stdin:
        order, *words = json.loads(line)
        try:
            answer = getattr(client, order)(*words)
        except Exception:  # noqa: BLE001 - the test shows it
            answer = json.dumps(traceback.format_exc())
        tell(answer)
