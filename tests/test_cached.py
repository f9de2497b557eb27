"""The cache of vectors: hits, roles, bounds, processes, and a file that was damaged."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.embedder_makers import letters, letters_of_queries
from vecstore.embedders import (
    Cached,
    CohereEmbedder,
    Embedder,
    FunctionEmbedder,
    OllamaEmbedder,
    Tfidf,
    VoyageEmbedder,
)
from vecstore.embedders.item_bytes import hash_item
from vecstore.embedders.wrappers.vector_cache import _FILE, VectorCache
from vecstore.errors import InvalidArgument, InvalidMetadata, InvalidVector
from vecstore.testing.toy_pictures import Picture, PictureEmbedder

DAMAGE = (
    "UPDATE vector SET data = 'text'", "UPDATE vector SET used = 'x'", "UPDATE total SET bytes = 'x'",
    "DELETE FROM total", "UPDATE model SET identity = '{'", "DROP TABLE vector", "DROP TABLE model",
)  # fmt: skip
TEXTS = [f"text {number} of {number % 7}" for number in range(60)]


class Service:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: list[str]) -> NDArray[np.float32]:
        self.asked += texts
        return letters(texts)


def make(service: Service, **options: Any) -> Embedder:
    return FunctionEmbedder(service, dim=16, name="letters", query_fn=letters_of_queries, **options)


def open_cache(folder: Path, service: Service, **options: Any) -> Cached[str]:
    cached = Cached(make(service, **options), folder)
    _ = cached.identity
    service.asked.clear()
    return cached


def test_a_hit_asks_nobody_also_after_a_restart(tmp_path: Path) -> None:
    service = Service()
    cached = open_cache(tmp_path / "new" / "cache", service)
    wanted = letters(["a", "b", "a", "c"])
    assert np.array_equal(cached.embed_documents(["a", "b", "a", "c"]), wanted)
    assert sorted(service.asked) == ["a", "b", "c"]
    cached = open_cache(tmp_path / "new" / "cache", service)
    done: list[tuple[int, int]] = []
    assert np.array_equal(cached.embed_documents(["a", "b", "a", "c"], on_progress=lambda *at: done.append(at)), wanted)
    assert (service.asked, done) == ([], [(4, 4)])
    cached.embed_documents(["a", "d"], on_progress=lambda *at: done.append(at))
    assert (service.asked, done[1:]) == (["d"], [(2, 2)])
    assert not any(
        text.encode() in (tmp_path / "new" / "cache" / _FILE).read_bytes() for text in ("letters of", "text 1")
    )
    assert cached.embed_documents([]).shape == (0, 16)


def test_roles_and_options_are_apart(tmp_path: Path) -> None:
    service = Service()
    cached = open_cache(tmp_path, service)
    documents, queries = cached.embed_documents(["a b"]), cached.embed_queries(["a b"])
    assert np.array_equal(documents, letters(["a b"]))
    assert np.array_equal(queries, letters_of_queries(["a b"]))
    other = open_cache(tmp_path, service, normalize=True)
    np.testing.assert_allclose(np.linalg.norm(other.embed_documents(["a b"]), axis=1), 1, atol=1e-6)
    assert service.asked == ["a b"]


def test_errors_name_what_they_would_without_a_cache(tmp_path: Path) -> None:
    cached = open_cache(tmp_path, Service())
    cached.embed_documents(["a"])
    with pytest.raises(InvalidMetadata, match=r"documents\[1\] is white space"):
        cached.embed_documents(["a", " "])
    fitted = Cached(Tfidf().fit(["cat", "dog"]), tmp_path)
    fitted.embed_documents(["cat"])
    with pytest.raises(InvalidArgument, match=r"documents\[2\]: .* knows"):
        fitted.embed_documents(["cat", "dog", "xyzzy"])


def test_items_are_known_by_their_bytes(tmp_path: Path) -> None:
    embedder = PictureEmbedder()
    file = tmp_path / "a.png"
    file.write_bytes(b"1")
    cached = Cached(embedder, tmp_path / "cache")
    _ = cached.identity
    embedder.documents.clear()
    for content in (b"1", b"1", b"2"):
        file.write_bytes(content)
        cached.embed_documents([file])
    assert embedder.documents == [file, file]
    with pytest.raises(InvalidArgument, match="no bytes by which"):
        cached.embed_documents([Picture(1, 0)])


def test_what_is_refused_is_refused_also_from_a_cache(tmp_path: Path) -> None:
    def count(texts: list[str]) -> NDArray[np.float32]:
        return np.array([[len(text), 1] if text != "void" else [0, 0] for text in texts], np.float32)

    class Counter(Embedder):
        def _encode(self, items: list[str], role: Any, /) -> NDArray[np.float32]:
            return count(items)

    options: dict[str, Any] = {"kind": "toy", "model": "m", "dim": 2, "normalize": False}
    zeros = Cached(Counter(**options, allow_zero=True), tmp_path)
    assert not zeros.embed_documents(["void"]).any()
    skips = Cached(Counter(**options, on_unknown="skip"), tmp_path)
    assert np.isnan(skips.embed_documents(["void"])).all()
    with pytest.raises(InvalidVector, match=r"documents\[0\]"):
        Cached(Counter(**options), tmp_path).embed_documents(["void"])
    assert not zeros.embed_documents(["void"]).any()
    for make in (OllamaEmbedder, CohereEmbedder, VoyageEmbedder):
        strict, lenient = (make("m", truncate=truncate)._policies() for truncate in (False, True))
        assert strict != lenient


def test_items_that_a_model_sees_as_two_are_two() -> None:
    indexes = bytes(range(4)) * 64
    pictures = []
    for palette in ([255, 0, 0] * 4, [0, 0, 255] * 4):
        pictures.append(Image.frombytes("P", (16, 16), indexes))
        pictures[-1].putpalette(palette)
    pictures.append(pictures[-1].copy())
    pictures[-1].info["transparency"] = 0
    for orientation in (1, 6):
        pictures.append(Image.frombytes("L", (16, 16), indexes))
        pictures[-1].getexif()[0x0112] = orientation
    items: list[Any] = [
        *pictures, {1: "a"}, {"1": "a"}, {1.0: "a"}, {True: "a"}, {None: "a"}, [1, 2], (1, 2), [12], ["1", "2"],
        [[1], 2], [1, [2]], {"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}, [], (), {}, None, "None", b"None", [None],
        np.zeros(2, "<f4"), np.zeros(2, ">f4"), np.zeros(2, "i4"), np.zeros((2, 1), "<f4"), [0.0, 0.0],
    ]  # fmt: skip
    assert len({hash_item(item) for item in items}) == len(items)
    assert hash_item({"a": 1, "b": [2]}) == hash_item({"b": [2], "a": 1})
    assert hash_item(pictures[0].copy()) == hash_item(pictures[0])
    around: list[Any] = []
    around.append(around)
    for odd in (around, [object()], np.ma.masked_array([1, 2], [True, False])):
        with pytest.raises(InvalidArgument):
            hash_item(odd)
    with pytest.raises(InvalidMetadata, match="cannot be read"):
        hash_item(Path("/nowhere/a.png"))


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    now = 1_000
    cache = VectorCache(tmp_path, 5_000, lambda: now)
    keys = [bytes([number]) * 32 for number in range(60)]
    for key in keys[:20]:
        cache.write({key: np.full(16, key[0], np.float32)})
        now += 100
    assert len(cache.read(keys, 16)) == 20
    now += 100
    assert list(cache.read(keys[:5], 16)) == keys[:5]
    now += 100
    for key in keys[20:]:
        cache.write({key: np.full(16, key[0], np.float32)})
    found = cache.read(keys, 16)
    assert 15 <= len(found) <= 29
    assert set(keys[:5]).isdisjoint(found) or set(keys[5:20]).isdisjoint(found)
    assert keys[-1] in found
    assert all((vector == key[0]).all() for key, vector in found.items())
    with sqlite3.connect(tmp_path / _FILE) as raw:
        ((size,),) = raw.execute("SELECT SUM(LENGTH(data)) FROM vector")
    raw.close()
    assert size <= 5_000


def test_a_row_of_other_bytes_is_not_believed(tmp_path: Path) -> None:
    cached = open_cache(tmp_path, Service())
    wanted = cached.embed_documents(TEXTS)
    raw = sqlite3.connect(tmp_path / _FILE)
    rows = raw.execute("SELECT key, data FROM vector ORDER BY key").fetchall()
    assert len(rows) == len(TEXTS)
    for (key, _), (_, data) in zip(rows, rows[1:] + rows[:1], strict=True):  # each gets another's vector
        raw.execute("UPDATE vector SET data = ? WHERE key = ?", (data, key))
    raw.commit()
    assert np.array_equal(cached.embed_documents(TEXTS), wanted)
    for damage in DAMAGE:
        raw.execute(damage)
        raw.commit()
        again = open_cache(tmp_path, Service())
        assert np.array_equal(again.embed_documents(TEXTS), wanted), damage
        assert np.array_equal(again.embed_documents([*TEXTS, "one more"])[:-1], wanted), damage
        raw.close()
        again.close()
        raw = sqlite3.connect(tmp_path / _FILE)
    raw.close()


@pytest.mark.parametrize("flips", [150, pytest.param(1_000, marks=pytest.mark.long)])
def test_a_damaged_file_gives_no_wrong_vector(tmp_path: Path, flips: int) -> None:
    service = Service()
    first = open_cache(tmp_path, service)
    wanted = first.embed_documents(TEXTS)
    first.close()
    content = (tmp_path / _FILE).read_bytes()
    assert len(content) > 4_096
    drawn = random.Random(1)
    hits = 0
    for number in range(flips):
        place = number if number < 110 else drawn.randrange(len(content))
        damaged = bytearray(content)
        damaged[place] ^= 1 << drawn.randrange(8)
        for suffix in ("-wal", "-shm"):
            Path(f"{tmp_path / _FILE}{suffix}").unlink(missing_ok=True)
        (tmp_path / _FILE).write_bytes(damaged)
        cached = open_cache(tmp_path, service)
        assert np.array_equal(cached.embed_documents(TEXTS), wanted), place
        hits += len(TEXTS) - len(service.asked)
        cached.close()
    assert hits > flips * len(TEXTS) / 3  # most damage costs little


@pytest.mark.parametrize("content", [b"", b"x", b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / _FILE).write_bytes(content)
    service = Service()
    cached = open_cache(tmp_path, service)
    for _ in range(2):
        assert np.array_equal(cached.embed_documents(TEXTS), letters(TEXTS))
    assert len(service.asked) == len(TEXTS)


def test_threads_share_it(tmp_path: Path) -> None:
    cached = open_cache(tmp_path, Service())
    failed: list[object] = []

    def work() -> None:
        if not np.array_equal(cached.embed_documents(TEXTS), letters(TEXTS)):
            failed.append(1)
        cached.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def test_a_forked_child_has_a_connection_of_its_own(tmp_path: Path) -> None:
    service = Service()
    cached = open_cache(tmp_path, service)
    cached.embed_documents(TEXTS[:30])
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            service.asked.clear()
            good = np.array_equal(cached.embed_documents(TEXTS), letters(TEXTS)) and len(service.asked) == 30
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    service.asked.clear()
    assert np.array_equal(cached.embed_documents(TEXTS), letters(TEXTS))
    assert service.asked == []


def test_a_locked_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecstore.embedders.wrappers.vector_cache._BUSY", 0.01)
    cached = open_cache(tmp_path, Service())
    cached.embed_documents(["a"])
    other = sqlite3.connect(tmp_path / _FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert np.array_equal(cached.embed_documents(["a", "b"]), letters(["a", "b"]))
    other.execute("ROLLBACK")
    other.close()
    assert (tmp_path / _FILE).exists()
    assert np.array_equal(cached.embed_documents(["a", "b"]), letters(["a", "b"]))


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in ("", 3, tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InvalidArgument):
            Cached(make(Service()), folder)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="max_bytes"):
        Cached(make(Service()), tmp_path, max_bytes=10)
    assert (tmp_path / "file").read_text() == "mine"
