"""The backend of docs/writing-a-backend.md passes the suite, and is as short as the page says."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from examples import toy_backend
from tests.sources import ROOT
from vecstore import Database
from vecstore.backend import Backend
from vecstore.testing import Place, StoreSuite


class ToyPlace(Place):
    shared = False
    processes = False
    indexed = False
    part = 20  # its random programs and filters are those of the other backends

    def __init__(self) -> None:
        self._backend = toy_backend.ToyBackend()

    @property
    def url(self) -> str:
        return "toy:"

    def connect(self) -> Database:
        return Database(self._backend)

    def backend(self) -> Backend:
        return self._backend

    def close(self) -> None:
        """Do nothing: the records go with the object."""


@pytest.mark.long
class TestToy(StoreSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls) -> Callable[[], Place]:
        return ToyPlace


class TestToyBriefly:
    """The parts of the suite that reach each method of the contract; a run of the tests has five backends as it is."""

    TestCatalogue = StoreSuite.TestCatalogue
    TestCreate = StoreSuite.TestCreate
    TestRename = StoreSuite.TestRename
    TestVector = StoreSuite.TestVector
    TestMetadata = StoreSuite.TestMetadata
    TestFilterTruth = StoreSuite.TestFilterTruth
    TestScore = StoreSuite.TestScore
    TestOrder = StoreSuite.TestOrder
    TestWrite = StoreSuite.TestWrite
    TestUpsert = StoreSuite.TestUpsert
    TestColumn = StoreSuite.TestColumn
    TestUpdate = StoreSuite.TestUpdate
    TestDelete = StoreSuite.TestDelete
    TestScan = StoreSuite.TestScan
    TestSwitch = StoreSuite.TestSwitch
    TestRebuild = StoreSuite.TestRebuild

    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls) -> Callable[[], Place]:
        return ToyPlace


def test_it_is_as_short_as_the_page_says() -> None:
    lines = (ROOT / "examples" / "toy_backend.py").read_text("utf-8").splitlines()
    code = [line for line in lines if not re.match(r"\s*(#|\"\"\"|from |import |$)", line)]
    assert len(code) < 170, len(code)
