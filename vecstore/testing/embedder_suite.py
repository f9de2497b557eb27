"""The contract of embedders as tests, which every adapter passes, also one of another package.

::

    from vecstore.testing import EmbedderSuite

    class TestMine(EmbedderSuite):
        items = ["tea", "a cat on a mat", "a longer text about the weather"]

        @pytest.fixture(scope="class")
        @classmethod
        def make(cls):
            return lambda batch_size: MyEmbedder(batch_size=batch_size)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from ..database import connect
from ..embedders.base import Embedder
from ..embedders.identity import Identity
from ..errors import InvalidArgument
from ..metric import Metric
from ..records import Record
from ..schema import Schema

Make = Callable[[int], Embedder[Any]]


class EmbedderSuite:
    """What a test class of an adapter inherits; it gives ``items`` and the fixture ``make``.

    Attributes
    ----------
    items : sequence
        At least three different items of different sizes.
    tolerance : float
        How much a vector may differ with the batch it is in.
    secrets : sequence of str
        What must stand nowhere, such as the key that a test gives to a service.
    """

    items: Sequence[Any] = (
        "tea",
        "The cat sat on the mat.",
        "Grüße aus Köln, 東京",
        "a longer text about the weather " * 3,
    )
    tolerance: float = 1e-5
    secrets: Sequence[str] = ()

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Make:
        """Return what makes the embedder with a batch size."""
        raise NotImplementedError("give the fixture make")

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, make: Make) -> Embedder[Any]:
        """Return the embedder."""
        return make(32)

    def test_vectors_are_float32_finite_and_of_one_shape(self, embedder: Embedder[Any]) -> None:
        for vectors in (embedder.embed_documents(self.items), embedder.embed_queries(iter(self.items))):
            assert vectors.shape == (len(self.items), embedder.dim)
            assert vectors.dtype == np.float32
            assert np.isfinite(vectors).all()
            assert np.linalg.norm(vectors, axis=1).min() > 0

    def test_vectors_have_the_length_that_the_config_says(self, embedder: Embedder[Any]) -> None:
        if embedder.config["normalized"]:
            for vectors in (embedder.embed_documents(self.items), embedder.embed_queries(self.items)):
                np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=self.tolerance)

    def test_different_items_have_different_vectors(self, embedder: Embedder[Any]) -> None:
        vectors = embedder.embed_documents(self.items)
        gaps = np.linalg.norm(vectors[:, np.newaxis] - vectors, axis=2) + np.eye(len(vectors))
        assert gaps.min() > self.tolerance

    def test_no_items_give_no_rows(self, embedder: Embedder[Any]) -> None:
        for vectors in (embedder.embed_documents([]), embedder.embed_queries([])):
            assert vectors.shape == (0, embedder.dim)
            assert vectors.dtype == np.float32

    def test_rows_are_in_the_order_of_the_items(self, embedder: Embedder[Any]) -> None:
        together = embedder.embed_documents(self.items)
        alone = np.concatenate([embedder.embed_documents([item]) for item in self.items])
        np.testing.assert_allclose(together, alone, atol=self.tolerance)
        np.testing.assert_allclose(embedder.embed_documents(self.items[::-1]), together[::-1], atol=self.tolerance)

    def test_an_item_twice_has_its_vector_twice(self, embedder: Embedder[Any]) -> None:
        first, second, *_ = self.items
        vectors = embedder.embed_documents([first, second, first])
        np.testing.assert_allclose(vectors[0], vectors[2], atol=self.tolerance)
        np.testing.assert_allclose(vectors[:2], embedder.embed_documents([first, second]), atol=self.tolerance)

    def test_a_caller_may_change_what_it_got(self, embedder: Embedder[Any]) -> None:
        for embed in (embedder.embed_documents, embedder.embed_queries):
            expected = embed(self.items).copy()
            embed(self.items)[:] = 0
            np.testing.assert_allclose(embed(self.items), expected, atol=self.tolerance)

    def test_progress_ends_with_all_items(self, make: Make) -> None:
        told: list[tuple[int, int]] = []
        make(2).embed_documents(self.items, on_progress=lambda done, total: told.append((done, total)))
        assert told == sorted(told)
        assert told[-1] == (len(self.items), len(self.items))

    @pytest.mark.parametrize("batch_size", [1, 3])
    def test_the_batch_size_changes_no_vector(self, make: Make, embedder: Embedder[Any], batch_size: int) -> None:
        other = make(batch_size)
        expected = embedder.embed_documents(self.items)
        np.testing.assert_allclose(other.embed_documents(self.items), expected, atol=self.tolerance)
        assert other.config == embedder.config

    def test_both_roles_are_deterministic(self, embedder: Embedder[Any]) -> None:
        for embed in (embedder.embed_documents, embedder.embed_queries):
            np.testing.assert_allclose(embed(self.items), embed(self.items), atol=self.tolerance)

    def test_the_config_is_json_and_names_the_model(self, embedder: Embedder[Any]) -> None:
        config = embedder.config
        assert json.loads(json.dumps(config, allow_nan=False)) == config
        assert f"{config['kind']}:{config['model']}" == embedder.name
        assert config["dim"] == embedder.dim
        assert not {"device", "batch_size", "key", "api_key", "token"} & set(config)

    def test_the_identity_is_that_of_another_instance_and_comes_back_from_json(
        self, make: Make, embedder: Embedder[Any]
    ) -> None:
        stored = Identity.from_json(json.loads(json.dumps(embedder.identity.to_json())))
        assert stored == embedder.identity
        for metric in Metric:
            assert stored.check(make(5), metric) is None

    def test_a_store_keeps_its_vectors_and_knows_it_again(self, make: Make, embedder: Embedder[Any]) -> None:
        with connect("memory:") as database:
            store = database.create("items", Schema(dim=embedder.dim, metric=Metric.L2), embedder=embedder)
            store.insert(Record(str(number), item=item) for number, item in enumerate(self.items))
            expected = embedder.embed_documents(self.items)
            kept = [np.asarray(record.vector) for record in store.get(map(str, range(len(expected)))) if record]
            np.testing.assert_allclose(kept, expected, atol=self.tolerance)
            again = database.open("items", embedder=make(7))
            query = embedder.embed_queries(self.items[:1])[0]
            distances = np.linalg.norm(expected - query, axis=1)
            found = again.search(item=self.items[0], k=1)[0]
            np.testing.assert_allclose(distances[int(found.id)], distances.min(), atol=10 * self.tolerance)

    def test_threads_may_share_it(self, embedder: Embedder[Any]) -> None:
        expected = embedder.embed_documents(self.items)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: embedder.embed_documents(self.items), range(8)):
                np.testing.assert_allclose(found, expected, atol=self.tolerance)

    def test_an_item_of_another_type_is_named_by_its_place(self, embedder: Embedder[Any]) -> None:
        with pytest.raises(InvalidArgument, match=r"documents\[1\]"):
            embedder.embed_documents([self.items[0], object()])
        if str in embedder.item_types and embedder.modality == "text":
            with pytest.raises(InvalidArgument, match=r"documents\[1\]"):
                embedder.embed_documents([self.items[0], " \n"])

    def test_an_error_calls_an_item_what_the_caller_calls_it(self, embedder: Embedder[Any]) -> None:
        for embed in (embedder.embed_documents, embedder.embed_queries):
            with pytest.raises(InvalidArgument, match="the thing 1"):
                embed([self.items[0], object()], label=lambda place: f"the thing {place}")

    def test_one_item_is_no_list_of_items(self, embedder: Embedder[Any]) -> None:
        for embed in (embedder.embed_documents, embedder.embed_queries):
            with pytest.raises(InvalidArgument):
                embed(self.items[0])

    def test_secrets_stand_nowhere(self, embedder: Embedder[Any]) -> None:
        shown = f"{embedder!r} {embedder} {embedder.name} {embedder.config} {json.dumps(embedder.identity.to_json())}"
        assert [secret for secret in self.secrets if secret in shown] == []
