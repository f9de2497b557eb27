from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.places import MemoryPlace
from vecstore.testing import Place, StoreSuite


class TestMemory(StoreSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls) -> Callable[[], Place]:
        return MemoryPlace
