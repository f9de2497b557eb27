from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.postgres.namespaces import Namespaces
from tests.postgres.places import PostgresPlace
from tests.tables import Tables, TablesOut
from vecstore.testing import Place


class TestPostgresTables(Tables):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, postgres_url: str, namespaces: Namespaces) -> Callable[[], Place]:
        return lambda: PostgresPlace(postgres_url, namespaces=namespaces)


class TestPostgresTablesOut(TablesOut):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, postgres_url: str, namespaces: Namespaces) -> Callable[[], Place]:
        return lambda: PostgresPlace(postgres_url, namespaces=namespaces)
