"""Texts and pictures in one space: the plumbing, with a tiny model drawn at random that means nothing."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedder_makers import tiny_model
from tests.test_embedder_torch import picture
from vecstore import Record, Schema, connect
from vecstore.embedders import ClipEmbedder, Embedder, TruncatedText, load
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata
from vecstore.metric import Metric
from vecstore.testing import EmbedderSuite

TOKENS = 77


@cache
def tiny_clip(seed: int = 0) -> Path:
    """Return the folder of a model of two small towers, as transformers saves it."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = Path(tempfile.mkdtemp(prefix="vecstore-clip-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    letters = [chr(code) for code in range(33, 127)]
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer({name: number for number, name in enumerate(names)}, [], model_max_length=TOKENS)
    images = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    processor: Any = CLIPProcessor
    processor(images, tokenizer).save_pretrained(folder)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(names) - 2, "eos_token_id": len(names) - 1, "pad_token_id": len(names) - 1}
    config = CLIPConfig(
        text_config={**tower, **ends, "vocab_size": len(names), "max_position_embeddings": TOKENS},
        vision_config={**tower, "image_size": 16, "patch_size": 8}, projection_dim=12, initializer_factor=9.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        CLIPModel(config).save_pretrained(folder)
    return folder


def make(batch_size: int = 32, **options: Any) -> ClipEmbedder:
    return ClipEmbedder(tiny_clip(), name="tiny", device="cpu", batch_size=batch_size, **options)


@pytest.mark.long
class TestContract(EmbedderSuite):
    items = ("a cat", picture(1), "a dog on a mat", picture(2, "L"), picture(3))
    tolerance = 1e-4

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return make


@pytest.mark.long
def test_texts_and_pictures_are_the_towers_of_transformers(tmp_path: Path) -> None:
    import torch
    from transformers import CLIPModel, CLIPProcessor

    picture(5).save(tmp_path / "five.png")
    texts, pictures = ["a cat", "http://example.com/cat.png"], [picture(4), tmp_path / "five.png"]
    rows = make().embed_documents([texts[0], pictures[0], texts[1], pictures[1]])
    model, processor = CLIPModel.from_pretrained(tiny_clip()), CLIPProcessor.from_pretrained(tiny_clip())
    with torch.inference_mode():
        read = model.get_text_features(**processor.tokenizer(texts, padding=True, return_tensors="pt"))
        seen = model.get_image_features(**processor.image_processor([picture(4), picture(5)], return_tensors="pt"))
    expected = [np.asarray(getattr(each, "pooler_output", each)) for each in (read, seen)]
    expected = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in expected]
    np.testing.assert_allclose(rows[[0, 2]], expected[0], atol=1e-4)
    np.testing.assert_allclose(rows[[1, 3]], expected[1], atol=1e-4)


@pytest.mark.long
def test_a_store_of_pictures_is_asked_with_texts_and_pictures() -> None:
    embedder = make()
    with connect("memory:") as database:
        store = database.create("pictures", Schema(dim=embedder.dim), embedder=embedder)
        store.insert(Record(str(shade), item=picture(shade), text="a note") for shade in range(4))
        store.insert([Record("text", text="a cat")])
        assert store.search(picture(2), k=1)[0].id == "2"
        assert store.search("a cat", k=1)[0].id == "text"
        assert len(store.search(item=picture(9), k=5)) == 5
        store.update(ids=["text"], text="a dog")
        assert store.search("a dog", k=1)[0].score > 0.999
        with pytest.raises(InvalidArgument, match="bytes"):
            store.search(item=b"x")
    with pytest.raises(InvalidMetadata, match="white space"):
        embedder.embed_documents([picture(1), " "])


@pytest.mark.long
def test_either_tower_is_a_part_of_the_identity() -> None:
    import torch

    other = make()
    weights = other._texts.load_model()[0].state_dict()
    tower = next(name for name in weights if "visual_projection" in name)
    with torch.no_grad():
        weights[tower] *= torch.linspace(0.1, 2, len(weights[tower])).unsqueeze(1)
    assert make().config["modality"] == "text+image"
    with pytest.raises(EmbedderMismatch):
        make().identity.check(other, Metric.COSINE)


@pytest.mark.long
def test_a_long_text_is_truncated_refused_or_averaged_and_pictures_are_not() -> None:
    long = "abc " * 40
    with pytest.warns(TruncatedText, match=rf"documents\[1\] is longer than the {TOKENS} tokens"):
        make().embed_documents([picture(1), long])
    with pytest.raises(InvalidMetadata, match=r"documents\[1\]"):
        make(on_long="error").embed_documents([picture(1), long])
    rows = make(on_long="mean").embed_documents([picture(1), long, "abc"])
    np.testing.assert_allclose(rows[[0, 2]], make().embed_documents([picture(1), "abc"]), atol=1e-4)


def test_a_name_without_a_model_and_a_folder_that_is_none() -> None:
    with pytest.raises(InvalidArgument, match="There is no directory"):
        ClipEmbedder("./nowhere")
    with pytest.raises(InvalidArgument, match="clip:NAME"):
        load("clip")


@pytest.mark.long
def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"no picture")
    with pytest.raises(InvalidMetadata, match="cannot be read as a picture"):
        make().embed_documents([tmp_path / "cat.png"])
    with pytest.raises(InvalidArgument, match="does not take both texts and pictures"):
        ClipEmbedder(tiny_model().load_model(), name="tiny").embed_documents(["a cat"])
    found = load(f"clip:{tiny_clip()}?device=cpu&batch_size=3")
    assert isinstance(found, ClipEmbedder)
    assert found.dim == 12
