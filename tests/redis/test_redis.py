from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.redis.places import RedisPlace
from vecstore.testing import Place, StoreSuite


class TestRedis(StoreSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, redis_server: str) -> Callable[[], Place]:
        return lambda: RedisPlace(redis_server)
