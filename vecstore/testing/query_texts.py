"""Texts of queries: those without meaning are refused before an embedder sees them."""

from __future__ import annotations

from typing import Any

import pytest

from ..database import Database
from ..errors import InvalidQuery
from ..filters.field_ref import F
from ..index_options import HNSW, Flat
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .place import Places
from .toy_embedder import ToyEmbedder

WITHOUT_MEANING = (
    "", " ", "   ", "\n", "\t\r\n\v\f", "\u00a0", "\u2003\u2009", "\u3000", "\u2028\u2029", "\u200b",
    "\u200b\u200d\u2060", "\ufeff", "\u00ad", "\u061c\u200e", "\u202e", "\u180e", "\u3164",
    "\u115f\u1160\uffa0", "\u2800", "\u0000", "\u0007\u001b", "?", "!", "...", "…", "---", "–—", "?!",
    "\"'", "«»", "„“", "¿¡", "。", "！？", "、，：；", "「」", "・", "।", "؟", "#", "@", "%", "&", "*", "+", "$",
    "<>", "=", "^", "`", "|", "~", "_", "\\", "/", "()", "[]{}", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "´", "¨", "\u0301", "\ufe0f", "\u20e3", "\U000e0001", "\ufffd", "\ufffc", " . ", "\u200b?\u200b",
    "\ue000",
)  # fmt: skip
QUERIES = (
    "a", "é", "ß", "C++", "C#", "F#", "?a", "…x", "7", "3.14", "-1", "½", "²", "Ⅷ", "٣", "१", "日本", "か",
    "한", "ไทย", "अ", "ש", "م", "Ω", "я", "😀", "👍🏽", "🇩🇪", "1️⃣", "€", "£", "∑", "≠", "→", "©", "♥", "☃",
    "\u200ba\u200b", "  word  ", "e\u0301", "ª", "𝔘", "🈚", "①", "x" * 10_000,
)  # fmt: skip


class QueryTextTests(Places):
    """One rule for every backend and embedder."""

    @pytest.fixture(scope="class", params=["flat", "hnsw"])
    @classmethod
    def store(cls, request: pytest.FixtureRequest, library: Database) -> VectorStore:
        """Return a store of two texts."""
        index = Flat() if request.param == "flat" else HNSW()
        store = library.create(f"words_{request.param}", Schema(metric="cosine", index=index), embedder=ToyEmbedder())
        store.insert([Record("a", text="red apple"), Record("b", text="?")])
        return store

    @pytest.mark.parametrize("query", WITHOUT_MEANING, ids=ascii)
    def test_what_has_no_letter_digit_or_symbol(self, store: VectorStore, query: str) -> None:
        for options in ({}, {"k": 0}, {"exact": True}, {"where": F.id == "none"}, {"offset": 5}):
            with pytest.raises(InvalidQuery, match=r"^The query .*(words|vector)"):
                store.search(query, **options)
        with pytest.raises(InvalidQuery, match=r"^The query "):
            store.search_many([query])

    @pytest.mark.parametrize("query", QUERIES, ids=lambda query: ascii(query)[:20])
    def test_what_has_one(self, store: VectorStore, query: str) -> None:
        assert len(store.search(query)) == 2
        assert len(store.search_many([query, "apple"])[0]) == 2

    def test_of_several_queries_the_wrong_one_is_named(self, db: Database) -> None:
        embedder = ToyEmbedder()
        store = db.create("words", Schema(metric="cosine"), embedder=embedder)
        embedder.queries.clear()
        mixed: list[Any] = ["red", [1.0] * 8, "sky", " ? ", ""]
        with pytest.raises(InvalidQuery, match=r"^Query 3 has no letter, digit or symbol"):
            store.search_many(mixed)
        with pytest.raises(InvalidQuery, match=r"^Query 1 is an empty text"):
            store.search_many(["red", ""])
        assert embedder.queries == []

    def test_a_store_without_embedder_says_the_same(self, db: Database) -> None:
        store = db.create("bare", Schema(dim=8))
        with pytest.raises(InvalidQuery):
            store.search("")

    def test_an_embedder_that_finds_no_word_names_the_query(self, db: Database) -> None:
        class Deaf(ToyEmbedder):
            def _encode(self, texts: list[str], role: Any) -> Any:
                made = super()._encode(texts, role)
                made[["silence" in text for text in texts]] = 0
                return made

        store = db.create("deaf", Schema(metric="cosine"), embedder=Deaf())
        with pytest.raises(Exception, match=r"^The query: .*zeros"):
            store.search("silence")
        mixed: list[Any] = [[1.0] * 8, "a word", "silence"]
        with pytest.raises(Exception, match=r"^Query 2: .*zeros"):
            store.search_many(mixed)
        with pytest.raises(Exception, match=r"^Query 1: .*zero in float32"):
            store.search_many([[1.0] * 8, [0.0] * 8])
