"""When two identities are those of one model: weights, long texts, zeros, and canaries of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vecstore
from tests.embedder_makers import letters
from vecstore import Record, Schema
from vecstore.embedders import Cached, Embedder, FunctionEmbedder, Identity
from vecstore.embedders.long_texts import LongTexts
from vecstore.errors import EmbedderMismatch, InvalidArgument, StoreCorrupt
from vecstore.metric import Metric


def revised(revision: str | None = "sha256:1", cosine: object = 0.98, angle: float = 0.0, **more: object) -> Identity:
    vectors = np.zeros((2, 6, 2), np.float32)
    vectors[..., 0], vectors[..., 1] = np.cos(angle), np.sin(angle)
    config = {"kind": "own", "model": "m", "dim": 2, "revision": revision, "min_cosine": cosine, **more}
    return Identity(config, vectors)


@pytest.mark.parametrize(
    "ours, theirs, same",
    [
        (revised(), revised(angle=0.19), True),  # a cosine of 0.982
        (revised(), revised(angle=0.21), False),  # 0.978
        (revised(cosine=0.5), revised(cosine=0.5, angle=0.21), False),
        (revised(), revised("sha256:2", angle=0.19), False),
        (revised(None), revised(None, angle=0.19), False),
        (revised(), revised(cosine=None, angle=0.19), False),
        (revised(cosine="0.98"), revised(cosine="0.98", angle=0.19), False),
        (revised(cosine=None), revised("sha256:2", cosine=None), True),
        (revised(fitted=True), revised(fitted=True), True),
        (revised(fitted=True), revised("sha256:2", fitted=True), False),
        (revised(fitted=True), revised("sha256:2"), False),
        (revised(), revised(modality="image"), False),
        (revised(), replace(revised(), canary_set=2), False),
    ],
)
def test_the_tolerance_is_that_of_the_same_weights(ours: Identity, theirs: Identity, *, same: bool) -> None:
    assert ours.matches(theirs, Metric.L2) is same
    assert theirs.matches(ours, Metric.COSINE) is same


def test_canaries_of_its_own_are_read_back() -> None:
    own = replace(revised(), canaries=np.ones((2, 3, 2), np.float32), canary_set=2)
    again = Identity.from_json(json.loads(json.dumps(own.to_json())))
    assert (again, again.canary_set) == (own, 2)
    for shape in ([2, 0, 2], [2, 65, 2], [2, 3], [2, 3.0, 2], [True, 3, 2]):
        damaged = own.to_json()
        damaged["canaries"]["shape"] = shape
        with pytest.raises(StoreCorrupt):
            Identity.from_json(damaged)


def test_later_canaries_are_compared_as_far_as_both_have_them() -> None:
    few = replace(revised(), canaries=np.ones((2, 3, 2), np.float32), canary_set=2)
    more = replace(few, canaries=np.concatenate([few.canaries, np.full((2, 2, 2), -1, np.float32)], axis=1))
    other = replace(few, canaries=np.concatenate([-few.canaries, few.canaries], axis=1))
    for first, second, same in ((few, more, True), (more, few, True), (few, other, False)):
        assert first.matches(second, Metric.L2) is same
    for mine, theirs in (("sha256:1", None), ("sha256:1", "sha256:2"), (None, None)):
        ours, others = (replace(each, config={**each.config, "revision": revision})
                        for each, revision in ((few, mine), (more, theirs)))  # fmt: skip
        assert not ours.matches(others, Metric.L2)


@pytest.mark.parametrize(
    "ours, theirs, same",
    [
        ({"on_long": "mean"}, {}, False),
        ({"on_long": "mean"}, {"on_long": "mean"}, True),
        ({"max_tokens": 32}, {"max_tokens": 250}, False),
        ({"max_tokens": 32}, {"max_tokens": 32}, True),
        ({"max_tokens": 32}, {"max_tokens": None}, True),
        ({"max_tokens": 32}, {}, True),
    ],
)
def test_what_becomes_of_long_texts_tells_models_apart(
    ours: dict[str, Any], theirs: dict[str, Any], *, same: bool
) -> None:
    for first, second in ((ours, theirs), (theirs, ours)):
        assert revised(**first).matches(revised(**second), Metric.COSINE) is same


def test_a_store_filled_with_means_refuses_what_truncates() -> None:
    means, cuts, others = (FunctionEmbedder(letters, dim=16, name="letters") for _ in range(3))
    means._long_texts = LongTexts("mean")
    with pytest.raises(EmbedderMismatch, match="different settings: on_long"):
        means.identity.check(cuts, Metric.COSINE)
    assert others.identity.check(cuts, Metric.COSINE) is None


def test_zeros_tell_nothing_of_another_model(tmp_path: Path) -> None:
    def place(at: int, name: str = "codes") -> FunctionEmbedder:
        def count(texts: list[str]) -> NDArray[np.float32]:
            return np.array([[(text == "E11") * (each == at) for each in range(3)] for text in texts], np.float32)

        return FunctionEmbedder(count, dim=3, name=name, allow_zero=True)

    assert Identity.of(place(0)).check(place(0), Metric.L2) is None
    with pytest.raises(EmbedderMismatch, match=r"'function:codes' .* not with 'function:others'"):
        Identity.of(place(0)).check(place(1, "others"), Metric.L2)
    for embedder in (place(0), place(1)):  # one name for two models: a cache must not take one for the other
        assert np.array_equal(Cached(embedder, tmp_path).embed_documents(["E11"]), embedder.embed_documents(["E11"]))


class Numbers(Embedder[int]):
    """Has as many canaries as it is told."""

    modality = "number"

    def __init__(self, canaries: int) -> None:
        super().__init__(kind="toy", model="numbers", dim=2)
        self._many = canaries

    @property
    def item_types(self) -> tuple[type, ...]:
        return (int,)

    def _canaries(self) -> list[int]:
        return list(range(self._many))

    def _encode(self, items: list[int], role: Any, /) -> NDArray[np.float32]:
        return np.array([[item, 1] for item in items], np.float32)


def test_an_identity_that_could_not_be_read_back_is_never_stored() -> None:
    for canaries in (0, 65):
        with vecstore.connect("memory:") as database:
            database.create("numbers", Schema(dim=2))
            with pytest.raises(InvalidArgument, match=f"has {canaries} canaries, and .* 1 to 64. Let its"):
                database.open("numbers", embedder=Numbers(canaries)).upsert([Record("a", item=3)])
            assert database.open("numbers").embedder_config is None
            assert database.open("numbers", embedder=Numbers(3)).upsert([Record("a", item=3)]) == 1
    assert Identity.from_json(Numbers(64).identity.to_json()).canaries.shape == (2, 64, 2)

    class Nameless:
        config: Mapping[str, Any] = {"kind": "own", "dim": 16}

        def embed_documents(self, texts: Any, /) -> NDArray[np.float32]:
            return letters(list(texts))

        embed_queries = embed_documents

    with pytest.raises(InvalidArgument, match="could not read back"):
        Identity.of(Nameless())
