"""Long texts in chunks: one row is one group of records, and is found by its best one."""

# Longer than 300 lines because everything about chunks is tested here.

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, delete, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import vecstore
from vecstore import Database, Flat, Hit, InvalidArgument, SchemaMismatch
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import Chunks, VectorORM, searchable
from vecstore.orm.chunks import CHUNK, ROW
from vecstore.orm.row_search import RowSearch

from .application import DIM, Texts

CHUNKS = Chunks(size=60, overlap=12)


@dataclass
class Library:
    engine: Engine
    vectors: VectorORM
    sessions: sessionmaker[Session]
    Book: Any
    texts: Texts
    database: Database

    def put(self, key: str, body: str | None, **values: Any) -> None:
        with self.sessions.begin() as session:
            session.merge(self.Book(name=key, body=body, **values))

    def read(self) -> dict[str, list[tuple[str, str | None]]]:
        """Return the ids and texts of records by row, in the order of their numbers."""
        found: dict[str, list[tuple[int, str, str | None]]] = {}
        for record in self.database.open("books").scan():
            place = record.metadata[CHUNK]
            found.setdefault(record.metadata[ROW], []).append((place["number"], record.id, record.text))
        return {row: [part[1:] for part in sorted(parts)] for row, parts in found.items()}

    def check(self, expected: Mapping[str, str | None]) -> None:
        self.vectors.sync_once()
        wanted = {key: [each.text for each in CHUNKS.split(body or "")] for key, body in expected.items()}
        assert {row: [words for _, words in parts] for row, parts in self.read().items()} == {
            key: texts for key, texts in wanted.items() if texts
        }

    def search(self, *args: Any, **options: Any) -> list[tuple[Any, vecstore.Hit]]:
        with self.sessions() as session:
            return self.vectors.search(session, self.Book.search, *args, **options)


def open_library(engine: Engine, database: Database, texts: Texts, chunk: Chunks | None = CHUNKS) -> Library:
    class Base(DeclarativeBase):
        pass

    class Book(Base):
        __tablename__ = "book"
        name: Mapped[str] = mapped_column(primary_key=True)
        body: Mapped[str | None]
        lang: Mapped[str] = mapped_column(default="en")
        shelf: Mapped[int] = mapped_column(default=0)
        search = searchable("body", fields=("lang",), into="store:books", index=Flat(), chunk=chunk)

    embedder = FunctionEmbedder(texts.embed, dim=DIM, name="words")
    vectors = VectorORM(Base, embedder=embedder, stores={"books": database})
    Base.metadata.create_all(engine)
    return Library(engine, vectors, vectors.install(sessionmaker(engine)), Book, texts, database)


@pytest.fixture
def library(engine: Engine) -> Iterator[Library]:
    with vecstore.connect("memory:") as database:
        library = open_library(engine, database, Texts())
        with library.vectors:
            yield library


def make_text(*words: str, count: int = 12) -> str:
    return "\n\n".join(
        f"The {word} has paragraph {number} of its own here." for word in words for number in range(count)
    )


@pytest.mark.parametrize("key", ["plain", "a#1", "a#", "#", "a##2", "é \n"])
def test_a_row_is_a_group(library: Library, key: str) -> None:
    texts: dict[str, str | None] = {key: make_text("cat"), "a": make_text("dog"), f"{key}#1": "Short."}
    for name, body in texts.items():
        library.put(name, body)
    library.check(texts)
    for body in (make_text("cat", "cow"), "One.", make_text("owl", count=3), None, make_text("cat")):
        library.put(key, body)
        texts[key] = body
        library.check(texts)
    with library.sessions.begin() as session:
        session.execute(delete(library.Book).where(library.Book.name == key))
    del texts[key]
    library.check(texts)


def test_hits_are_rows_with_their_best_chunk(library: Library) -> None:
    body = make_text("cat") + "\n\nA kettle boils water.\n\n" + make_text("dog")
    library.put("a#1", body, lang="de")
    library.put("b", make_text("horse", "cow"))
    library.vectors.sync_once()
    [(book, hit), (other, _)] = library.search("a kettle boils water", k=5)
    assert (book.name, other.name, hit.id) == ("a#1", "b", "a#1")
    assert hit.text is not None
    assert "kettle" in hit.text
    assert hit.metadata is not None
    place = hit.metadata[CHUNK]
    assert body[place["start"] : place["end"]] == hit.text
    assert (hit.metadata["lang"], hit.metadata[ROW]) == ("de", "a#1")
    assert [book.name for book, _ in library.search("water", where=library.Book.lang == "en")] == ["b"]


@pytest.mark.parametrize("hidden", [0, 40])
def test_it_widens_until_k_rows(library: Library, hidden: int) -> None:
    library.put("long", "\n\n".join(["apple apple apple apple apple apple"] * 300))
    for number in range(30):
        library.put(f"short {number}", f"apple {number}", shelf=1)
    for number in range(hidden):
        library.put(f"hidden {number}", "apple apple", shelf=9)
    library.vectors.sync_once()
    found = library.search("apple", k=25, where=library.Book.shelf < 9)
    assert len({book.name for book, _ in found}) == 25
    assert found[0][0].name == "long"
    scores = [hit.score for _, hit in found]
    assert scores == sorted(scores, reverse=True)
    assert len(library.search("apple", k=100, where=library.Book.shelf < 9)) == 31


def test_it_widens_where_many_rows_match(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.orm.row_search.FEW_ROWS", 5)
    monkeypatch.setattr("vecstore.orm.row_search.MAX_K", 32)
    for number in range(6):
        library.put(f"long {number}", "\n\n".join(["apple apple apple apple apple apple"] * 40), shelf=number % 2)
    for number in range(40):
        library.put(f"short {number}", f"apple {number}")
    library.vectors.sync_once()
    found = library.search("apple", k=20, where=library.Book.shelf == 0)
    assert len({book.name for book, _ in found}) == 20
    assert {book.name for book, _ in found[:3]} == {"long 0", "long 2", "long 4"}
    assert len(library.search("apple", k=20)) == 20


def test_unchanged_chunks_are_not_embedded_again(library: Library) -> None:
    body = make_text("cat")
    library.put("a", body)
    library.vectors.sync_once()
    before = len(library.texts.seen)
    library.put("a", body, lang="de")
    library.vectors.sync_once()
    assert len(library.texts.seen) == before
    assert {record.metadata["lang"] for record in library.database.open("books").scan()} == {"de"}
    library.put("a", "A new beginning that takes a chunk of its own, as it is long.\n\n" + body)
    library.check({"a": "A new beginning that takes a chunk of its own, as it is long.\n\n" + body})
    assert len(library.texts.seen) - before <= 3


def test_verify_and_backfill_know_chunks(library: Library) -> None:
    texts = {f"r{number}": make_text(f"w{number}", count=5) for number in range(6)}
    for key, body in texts.items():
        library.put(key, body)
    library.check(texts)
    [check] = library.vectors.verify()
    assert check.ok, check
    store = library.database.open("books")
    store.delete(ids=["r0#2"])
    store.delete(ids=["r1"])
    store.update(ids=["r2#1"], text="another", vector=[1.0] * DIM)
    store.upsert([vecstore.Record("r3#99", vector=[1.0] * DIM, text="left", metadata={ROW: "r3"})])
    store.upsert([vecstore.Record("gone#1", vector=[1.0] * DIM, text="left", metadata={ROW: "gone"})])
    store.upsert([vecstore.Record("odd#x", vector=[1.0] * DIM)])
    [check] = library.vectors.verify()
    assert (check.differences, set(check.examples)) == (5, {"r0", "r1", "r2", "r3", "gone"})
    assert check.strangers == ("odd#x",)
    store.delete(ids=["odd#x"])
    library.vectors.verify(fix=True)
    library.check(texts)
    assert library.vectors.verify()[0].ok
    seen = len(library.texts.seen)
    assert library.vectors.backfill() == 6
    library.check(texts)
    assert len(library.texts.seen) == seen


def test_another_size_is_another_text(library: Library, engine: Engine) -> None:
    library.put("a", make_text("cat"))
    library.vectors.sync_once()
    with open_library(engine, library.database, Texts(), Chunks(200, 0)).vectors as vectors:
        [check] = vectors.verify(fix=True)
        assert (check.differences, check.examples) == (1, ("a",))
        vectors.sync_once()
        assert vectors.verify()[0].ok
        assert max(len(record.text or "") for record in library.database.open("books").scan()) > 60


@pytest.mark.parametrize("newer", [None, "Short.", make_text("owl", count=4)])
def test_a_stalled_worker_leaves_no_chunk(library: Library, newer: str | None) -> None:
    library.put("b", "A text that makes the store.")
    library.vectors.sync_once()
    library.put("a", make_text("cat", "dog"))
    arrived, goes_on = threading.Event(), threading.Event()

    def wait(texts: Sequence[str]) -> None:
        if threading.current_thread() is thread:
            arrived.set()
            assert goes_on.wait(20)

    library.texts.hook = wait
    thread = threading.Thread(target=lambda: library.vectors._make_worker(10, 60.0).work())
    thread.start()
    assert arrived.wait(20)
    library.put("a", newer)
    texts = {"a": newer, "b": "A text that makes the store."}
    library.check(texts)
    goes_on.set()
    thread.join()
    library.check(texts)


def test_chunks_of_a_row_with_a_bad_text_do_not_block_others(library: Library) -> None:
    def refuse(texts: Sequence[str]) -> None:
        if any("poison" in each for each in texts):
            raise ValueError

    library.texts.hook = refuse
    library.put("bad", make_text("cat") + "\n\nSome poison.")
    library.put("good", make_text("dog"))
    library.vectors.sync_once()
    assert set(library.read()) == {"good"}


def test_what_does_not_fit_is_refused(engine: Engine, library: Library) -> None:
    with pytest.raises(InvalidArgument, match="a row has one vector"):
        searchable("body", into="embedding", chunk=Chunks())
    with pytest.raises(InvalidArgument, match="chunk must be Chunks"):
        searchable("body", into="store:books", chunk=800)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="row_key"):
        searchable("body", fields=("row_key",), into="store:books", chunk=Chunks())
    for wrong in ({"size": 5}, {"size": 2.5}, {"overlap": -1}, {"size": 100, "overlap": 51}):
        with pytest.raises(InvalidArgument):
            Chunks(**wrong)
    library.put("a", "text")
    library.vectors.sync_once()
    with (
        open_library(engine, library.database, Texts(), None).vectors as plain,
        pytest.raises(SchemaMismatch, match="no chunk=, but store 'books' has chunks"),
    ):
        plain.verify()


def test_chunks_are_parts_of_the_text() -> None:
    draw = random.Random(5)
    pieces = ["word ", "A sentence ends. ", "\n\n", "\n", "漢字。", "longlonglonglong", "  ", "é🇨🇭", "Mr. X said: no! "]
    for _ in range(150):
        body = "".join(draw.choices(pieces, k=draw.randrange(0, 120)))
        size = draw.randrange(20, 120)
        chunks = Chunks(size, draw.randrange(0, size // 2 + 1))
        covered = 0
        last = -1
        for each in chunks.split(body):
            assert each.text == body[each.start : each.end] == each.text.strip() != ""
            assert len(each.text) <= size
            assert each.start > last
            assert not body[covered : each.start].strip()
            assert covered - each.start <= chunks.overlap
            covered, last = max(covered, each.end), each.start
        assert not body[covered:].strip()


def test_where_texts_are_cut() -> None:
    body = "One two three four five. Six seven eight.\n\nNine ten eleven. Twelve thirteen fourteen fifteen."
    assert [each.text for each in Chunks(50, 0).split(body)] == [
        "One two three four five. Six seven eight.",
        "Nine ten eleven. Twelve thirteen fourteen fifteen.",
    ]
    parts = [each.text for each in Chunks(45, 22).split(body.replace("\n\n", " "))]
    assert parts[:2] == ["One two three four five. Six seven eight.", "Six seven eight. Nine ten eleven."]


def test_a_long_text_takes_time_in_proportion(library: Library) -> None:
    chunks = Chunks(400, 40)
    assert sum(1 for _ in chunks.split("word " * 100_000)) > 1_000


def test_a_changed_key_moves_the_group(library: Library) -> None:
    library.put("a", make_text("cat"))
    library.vectors.sync_once()
    with library.sessions.begin() as session:
        session.execute(update(library.Book).values(name="b"))
    library.check({"b": make_text("cat")})


def test_a_removed_row_is_no_hit_before_the_worker_comes(library: Library) -> None:
    library.put("a", make_text("cat"))
    library.vectors.sync_once()
    with library.sessions.begin() as session:
        session.execute(text("DELETE FROM book"))
    assert library.search("cat") == []


def test_rows_of_several_answers_are_sorted_together() -> None:
    """An approximate search may find the nearest rows only when it is asked for more."""
    search: Any = RowSearch.__new__(RowSearch)
    search._model, search._k = SimpleNamespace(declaration=SimpleNamespace(chunk=Chunks())), 3
    answers = iter([[Hit("b", 0.5, 0.5)], [Hit("c", 0.9, 0.1), Hit("a", 0.5, 0.5)]])
    search._search = lambda asked, where: next(answers)
    search._keep_rows = lambda hits: [(hit.id, hit) for hit in hits]
    search._read_row_id = lambda hit: hit.id
    assert [name for name, _ in search._search_wider(1)] == ["c", "a", "b"]
