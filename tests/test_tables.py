"""Tables of other libraries, on the backends that need no server."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

import vecstore
from tests.places import FilePlace, MemoryPlace
from tests.table_samples import SCHEMA, TABLE
from tests.tables import Tables, TablesOut
from vecstore import Columns, MissingExtra
from vecstore.testing import Place


class TestMemory(Tables):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls) -> Callable[[], Place]:
        return MemoryPlace


class TestMemoryOut(TablesOut):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls) -> Callable[[], Place]:
        return MemoryPlace


class TestFile(Tables):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
        return lambda: FilePlace(tmp_path_factory.mktemp("place"))


class TestFileOut(TablesOut):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
        return lambda: FilePlace(tmp_path_factory.mktemp("place"))


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    store = vecstore.connect("memory:").create("docs", SCHEMA)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for given in (TABLE, Columns(TABLE["id"], [[1, 2, 3]] * 3)):
        with pytest.raises(MissingExtra, match=r"vecstore-db\[parquet\]"):
            store.upsert(given)
    assert store.upsert(Columns(["a"], [[1, 2, 3]], ["x"], {"year": [2020]})) == 1
