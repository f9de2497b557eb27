from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.redis.places import RedisPlace
from tests.tables import Tables, TablesOut
from vecstore.testing import Place


class TestRedisTables(Tables):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, redis_server: str) -> Callable[[], Place]:
        return lambda: RedisPlace(redis_server)


class TestRedisTablesOut(TablesOut):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, redis_server: str) -> Callable[[], Place]:
        return lambda: RedisPlace(redis_server)
