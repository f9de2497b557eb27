from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.places import FilePlace
from vecstore.testing import Place, StoreSuite


class TestFile(StoreSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
        return lambda: FilePlace(tmp_path_factory.mktemp("place"))
