"""The conformance suite on stores that a Milvus server follows.

All of it is a long campaign: making a collection takes seconds. The usual run takes a class that needs one.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest

from examples import words_on_milvus
from tests.postgres.milvus_place import MilvusPlace
from tests.postgres.namespaces import Namespaces
from vecstore.testing import Place, StoreSuite, reindexing


class FollowedPlaces:
    @pytest.fixture(scope="class")
    @classmethod
    def new_place(cls, postgres_url: str, milvus_url: str, namespaces: Namespaces) -> Callable[[], Place]:
        return lambda: MilvusPlace(postgres_url, milvus_url, namespaces=namespaces)


class TestFollowed(FollowedPlaces):
    TestChanges = StoreSuite.TestChanges


@pytest.mark.long
def test_the_example_of_words(postgres_url: str, milvus_url: str, namespace: str) -> None:
    url = f"{postgres_url}?namespace={namespace}&vectors={quote(milvus_url, safe='')}"
    here = words_on_milvus.find_neighbours("memory:", "cold")
    found = words_on_milvus.find_neighbours(url, "cold")
    assert [word for word, _ in found] == [word for word, _ in here]


@pytest.mark.long
class TestWholeSuite(FollowedPlaces, StoreSuite):
    TestPartitions = None  # type: ignore[assignment]  # which count a graph for each partition

    class TestReindex(reindexing.ReindexTests):
        # Milvus compares all rows of so small a collection, which reaches every target.
        test_a_target_that_no_effort_reaches_is_told_once = None  # type: ignore[assignment]
