"""The conformance suite on a place where every store is divided into four partitions.

All of it is a long campaign. The usual run takes the classes that partitions could break: fences, with inserts and
deletions that lock and return rows of several tables; pages and samples, which need the order of ids across them; the
change list, and the roles of generations.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.postgres.namespaces import Namespaces
from tests.postgres.partitioned import PartitionedPlace
from vecstore.testing import Place, StoreSuite, reindexing


class DividedPlaces:
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, postgres_url: str, namespaces: Namespaces) -> Callable[[], Place]:
        return lambda: PartitionedPlace(postgres_url, namespaces=namespaces)


@pytest.mark.filterwarnings("ignore::vecstore.UnusedIndexWarning")
class TestDivided(DividedPlaces):
    TestFencedWrite = StoreSuite.TestFencedWrite
    TestFencedDelete = StoreSuite.TestFencedDelete
    TestPages = StoreSuite.TestPages
    TestSample = StoreSuite.TestSample
    TestChanges = StoreSuite.TestChanges
    TestStandby = StoreSuite.TestStandby


@pytest.mark.long
class TestWholeSuite(DividedPlaces, StoreSuite):
    TestPartitions = None  # type: ignore[assignment]  # which give numbers of their own

    class TestReindex(reindexing.ReindexTests):
        # The server compares all rows of so small partitions, which reaches every target.
        test_a_target_that_no_effort_reaches_is_told_once = None  # type: ignore[assignment]
