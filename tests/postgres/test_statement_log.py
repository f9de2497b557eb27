"""Statements in the server's log never contain an id, keyword, text or filter value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batches import schema, vector_of
from vecstore import F, Record, VectorStore
from vecstore.testing.corpus import list_accepted

from .own_server import OwnServer
from .stores import open_database, prepare_namespace

_LINE = re.compile(r"^\d{4}-\d\d-\d\d [^\n]*? (LOG|DETAIL|ERROR|STATEMENT|CONTEXT|HINT|FATAL|WARNING|NOTICE): +", re.M)
_MARK = "zq7"
"""Surrounds each string, to tell it from words of the statements."""
LOWEST = 150


def mark(value: str) -> str:
    return f"{_MARK}{value}{_MARK}"


@pytest.fixture
def logging_server(server_folder: Path) -> Iterator[OwnServer]:
    settings = {"fsync": "off", "log_statement": "all", "log_min_error_statement": "debug1", "log_duration": "off"}
    with OwnServer(server_folder, settings) as server:
        yield server


def statements(log: str) -> list[str]:
    """Return what was logged beside parameters, which are on separate lines."""
    parts = _LINE.split(log)
    return [text for kind, text in zip(parts[1::2], parts[2::2], strict=True) if kind != "DETAIL"]


def exercise(store: VectorStore, value: str) -> None:
    """Use a string in every slot that takes it."""
    id_, tag = mark(value), 3
    store.upsert([Record(id_, vector_of(tag), value, {"word": value, "more": {value: value}})])
    where = (F.word == value) & F.word.in_([value, id_]) & (F.id == id_) & ~F.word.not_in([id_, value])
    where &= F.word.starts_with(value) & F.word.contains_text(value)
    assert store.search(vector_of(tag), k=1, where=where)[0].id == id_
    change = {"word": id_, f"key {value}": value}
    assert store.update(where=F.word == value, metadata=change, text=id_, vector=vector_of(tag)) == 1
    assert store.delete(ids=[id_]) == 1


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_no_value_is_part_of_a_statement(logging_server: OwnServer, prepare: str) -> None:
    server = logging_server
    prepare_namespace(server.url, "ns")
    strings = [value for value in list_accepted(1, 500) if len(value) < 60][:: 1 if prepare == "on" else 5]
    with open_database(server.url, "ns", prepare=prepare) as database:
        store = database.create("a", schema())
        start = len(server.read_log())
        for value in strings:
            exercise(store, value)
        store.upsert(Record(mark(f"{number}{value}"), vector_of(1), value) for number, value in enumerate(strings))
        assert {record.id for record in store.scan()} == {mark(f"{n}{value}") for n, value in enumerate(strings)}
    log = server.read_log()[start:]
    found = statements(log)
    assert len(strings) > (LOWEST if prepare == "on" else 30)
    assert len(found) >= 4 * len(strings)
    assert _MARK in log  # in the parameters
    assert not any(_MARK in text for text in found)
    words = {text.partition(": ")[2] for text in found}
    assert len(words) < 60, "a statement's text depends on a value"


def test_a_failing_statement_is_logged_without_values(logging_server: OwnServer) -> None:
    server = logging_server
    prepare_namespace(server.url, "ns")
    with open_database(server.url, "ns") as database:
        store = database.create("a", schema())
        record = Record(mark("id"), vector_of(1), mark("text"), {"word": mark("word")})
        store.insert([record])
        with pytest.raises(Exception, match="Already stored"):
            store.insert([record])
    found = statements(server.read_log())
    assert any("division by zero" in text for text in found)
    assert not any(_MARK in text for text in found)
