"""Which words are near a word, in vectors that were trained: on files, Redis, PostgreSQL, or PostgreSQL beside Milvus.

Run it as ``python examples/words_on_milvus.py [URL] [WORD]``, for example with

* ``file:./words``, ``redis://localhost`` or ``postgresql://localhost/app``
* ``postgresql://localhost/app?vectors=milvus://localhost:19530``

A place with Milvus gets its index IVF_FLAT under L2; the others get what they have instead.
"""

from __future__ import annotations

import sys

import vecstore
from vecstore import MilvusIndex, Record, Schema
from vecstore.embedders import load

WORDS = (
    "cold", "chilly", "frozen", "icy", "warm", "hot", "boiling", "summer", "winter", "snow", "rain", "sun",
    "cat", "dog", "horse", "bread", "cheese", "apple", "king", "queen", "doctor", "nurse", "car", "train",
)  # fmt: skip
STORE = "words"


def find_neighbours(url: str, word: str, k: int = 3) -> list[tuple[str, float]]:
    """Store the words in a new store, index them, and return those nearest to one of them with their distances."""
    model = load("wordllama")
    vectors = dict(zip(WORDS, model.embed_documents(list(WORDS)), strict=True))
    with vecstore.connect(url, migrate=url.startswith("postgres")) as database:
        wanted = Schema(dim=model.dim, metric="l2", index=MilvusIndex("IVF_FLAT", nlist=4))
        store = database.create(STORE, database.capabilities.fit(wanted))
        try:
            store.upsert(Record(name, vector, text=name) for name, vector in vectors.items())
            store.reindex()  # a write would only build an index over many more
            found = store.similar_to(word, k) if word in vectors else store.search(model.embed_queries([word])[0], k)
        finally:
            database.drop(STORE)
    return [(hit.id, hit.distance) for hit in found]


def main(arguments: list[str]) -> None:
    """Print what is near a word."""
    url = arguments[0] if arguments else "file:./words"
    word = arguments[1] if len(arguments) > 1 else "cold"
    for name, distance in find_neighbours(url, word):
        print(f"{name:10} {distance:.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
