"""Libraries that alone read their files: what is said without them, and the copy that they get."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from vecstore import Database, InvalidArgument, InvalidUrl, MissingExtra
from vecstore.importers import ChromaCollection, ImportSource, LancedbTable, QdrantCollection, import_records
from vecstore.importers.directory_copy import check_directory, copy_directory

from .answers import refusing


@pytest.mark.parametrize(
    "source, module, extra",
    [
        (ChromaCollection("./chroma", "docs"), "chromadb", "chroma"),
        (LancedbTable("./lance", "docs"), "lancedb", "lancedb"),
        (QdrantCollection("./qdrant", "docs"), "qdrant_client", "qdrant"),
    ],
)
def test_a_missing_library_is_named(
    db: Database, monkeypatch: pytest.MonkeyPatch, source: ImportSource, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with refusing(MissingExtra, f"pip install 'vecstore-db[{extra}]'"):
        import_records(db, "docs", source)
    assert db.names() == []


def test_the_copy_is_of_one_moment_and_leaves_the_source_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "segment").mkdir(parents=True)
    (source / "segment" / "data.bin").write_bytes(b"bytes")
    (source / ".lock").write_bytes(b"")
    with closing(sqlite3.connect(source / "kept.sqlite3")) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t AS SELECT 1 AS n")
        writer.commit()
        before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file() and "-shm" not in path.name}
        with copy_directory(source, "kept.sqlite3", frozenset({".lock"})) as copied:
            assert sorted(path.name for path in copied.rglob("*")) == ["data.bin", "kept.sqlite3", "segment"]
            with closing(sqlite3.connect(copied / "kept.sqlite3")) as reader:
                assert reader.execute("SELECT n FROM t").fetchall() == [(1,)]
                reader.execute("INSERT INTO t VALUES (2)")
                reader.commit()
        after = {path: path.read_bytes() for path in source.rglob("*") if path.is_file() and "-shm" not in path.name}
        assert before == after
        assert writer.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert not copied.exists()


def test_a_directory_behind_a_link_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "again").symlink_to(tmp_path)
    with refusing(InvalidArgument, "is a link to another directory"), copy_directory(tmp_path / "source", "*.sqlite"):
        pass


def test_a_directory_of_something_else(tmp_path: Path) -> None:
    with refusing(InvalidArgument, "There is no database of Chroma in"):
        check_directory(str(tmp_path), "chroma.sqlite3", "database of Chroma")


def test_the_url_of_a_qdrant_server(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_client", sys)  # whatever stands there is not used
    for url in ("ftp://host", "http://host:6333?apikey=hush"):
        with pytest.raises(InvalidUrl) as caught:
            import_records(db, "docs", QdrantCollection(url, "docs"))
        assert "hush" not in str(caught.value)
