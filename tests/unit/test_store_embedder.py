from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vecstore import EmbedderMismatch, EmbedderRequired, InvalidArgument, Schema
from vecstore.backend import Generation
from vecstore.embedders import FunctionEmbedder, Identity
from vecstore.store_embedder import StoreEmbedder
from vecstore.testing.toy_embedder import ToyEmbedder

OLD, NEW = ToyEmbedder(4, seed=1, name="old"), ToyEmbedder(4, seed=2, name="new")


def generation(filled_with: ToyEmbedder | None, dim: int = 4, number: int = 0) -> Generation:
    identity: Mapping[str, Any] | None = Identity.of(filled_with).to_json() if filled_with else None
    return Generation(f"{number:032x}", Schema(dim=dim, metric="cosine"), identity)


def test_without_embedder() -> None:
    none = StoreEmbedder()
    assert not none
    assert none.choose_for_documents(generation(OLD), "docs") is None
    with pytest.raises(EmbedderRequired, match="embedder="):
        none.choose_for_queries(generation(OLD), "docs")


@pytest.mark.parametrize(
    "given", ["x", ToyEmbedder, len, [OLD], (OLD, None)], ids=["str", "class", "len", "list", "None"]
)
def test_what_is_no_embedder(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="FunctionEmbedder"):
        StoreEmbedder(given)


@pytest.mark.parametrize("given", [(OLD, NEW), (NEW, OLD)], ids=["old, new", "new, old"])
def test_the_one_that_fits_the_generation_is_used(given: tuple[ToyEmbedder, ...]) -> None:
    both = StoreEmbedder(given)
    assert both.choose_for_documents(generation(OLD), "docs") == OLD.embed_documents
    assert both.choose_for_queries(generation(NEW, number=1), "docs") == NEW.embed_queries
    assert both.choose_for_documents(generation(OLD), "docs") == OLD.embed_documents
    assert both.identify(generation(NEW, number=1), "docs") is NEW.identity


def test_one_that_does_not_fit_is_refused_every_time() -> None:
    wrong = StoreEmbedder(NEW)
    for _ in range(2):
        for use in (wrong.choose_for_documents, wrong.choose_for_queries):
            with pytest.raises(EmbedderMismatch, match="'docs'"):
                use(generation(OLD), "docs")


def test_of_several_that_do_not_fit_the_first_is_explained() -> None:
    with pytest.raises(EmbedderMismatch, match="toy:new"):
        StoreEmbedder((NEW, ToyEmbedder(5))).choose_for_queries(generation(OLD), "docs")


def test_another_dim_is_told_without_asking_the_model() -> None:
    silent = FunctionEmbedder(lambda texts: pytest.fail("the model was asked"), dim=5, name="silent")
    for filled_with in (OLD, None):
        with pytest.raises(EmbedderMismatch, match="5 dimensions, but store 'docs' has 4"):
            StoreEmbedder(silent).choose_for_queries(generation(filled_with), "docs")


def test_a_generation_that_nobody_filled_takes_any_of_its_dim() -> None:
    embedder = StoreEmbedder(OLD)
    assert embedder.choose_for_documents(generation(None), "docs") == OLD.embed_documents
    with pytest.raises(EmbedderMismatch):  # and is looked at again once it is known who did
        embedder.choose_for_documents(generation(NEW), "docs")


def test_the_check_is_made_once_for_a_generation() -> None:
    asked = ToyEmbedder(4, seed=1)
    embedder = StoreEmbedder(asked)
    for _ in range(3):
        embedder.choose_for_queries(generation(OLD), "docs")
    canaries = len(asked.queries)
    embedder.choose_for_queries(generation(OLD), "docs")
    assert len(asked.queries) == canaries > 0
