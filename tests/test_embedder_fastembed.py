"""Models of fastembed: a small one, registered and loaded from a folder, and what is no model."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedder_makers import MINILM, tiny_model, tiny_onnx
from vecstore.embedders import Embedder, FastEmbedEmbedder
from vecstore.errors import InvalidArgument, MissingExtra
from vecstore.testing import EmbedderSuite

pytestmark = pytest.mark.skipif(importlib.util.find_spec("fastembed") is None, reason="pip install fastembed")


class Double:
    """A model with ways of its own for queries."""

    model_name = "double"

    def embed(self, texts: list[str], batch_size: int) -> Any:
        assert batch_size == len(texts)
        return (np.array([len(text), 1.0, 0.0]) for text in texts)

    def query_embed(self, texts: list[str]) -> Any:
        return (np.array([len(text), 0.0, 1.0]) for text in texts)


class TestContract(EmbedderSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: FastEmbedEmbedder(Double(), batch_size=size)


def test_roles_and_names() -> None:
    embedder = FastEmbedEmbedder(Double(), normalize=False)
    assert embedder.embed_documents(["tea"]).tolist() == [[3, 1, 0]]
    assert embedder.embed_queries(["tea"]).tolist() == [[3, 0, 1]]
    assert embedder.name == "fastembed:double"
    assert FastEmbedEmbedder(Double(), name="mine").name == "fastembed:mine"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # fastembed's own
def test_a_model_that_is_registered_has_the_vectors_of_its_origin(tmp_path: Path) -> None:
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    folder = tmp_path / "model"
    shutil.copytree(tiny_onnx(), folder)
    for name in ("config.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (MINILM / name).is_file() and not (folder / name).exists():
            shutil.copy(MINILM / name, folder / name)
    TextEmbedding.add_custom_model(
        model="tests/tiny", pooling=PoolingType.DISABLED, normalization=True, sources=ModelSource(url="local://none"),
        dim=32, model_file="model.onnx",
    )  # fmt: skip
    embedder = FastEmbedEmbedder(TextEmbedding("tests/tiny", specific_model_path=str(folder)))
    texts = ["tea", "The cat sat on the mat.", "Grüße aus Köln, 東京"]
    np.testing.assert_allclose(embedder.embed_documents(texts), tiny_model().embed_documents(texts), atol=1e-4)


def test_what_is_no_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in ("BAAI/bge-small-en-v1.5", None, object()):
        with pytest.raises(InvalidArgument, match="TextEmbedding"):
            FastEmbedEmbedder(model)
    with pytest.raises(InvalidArgument, match="name"):
        FastEmbedEmbedder(type("Nameless", (Double,), {"model_name": None})())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"vecstore-db\[fastembed\]"):
        FastEmbedEmbedder(Double())
