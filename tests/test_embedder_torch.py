"""Torch modules as embedders of pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore import Record, Schema, connect
from vecstore.embedders import Cached, Embedder, RateLimited, TorchEmbedder
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata, MissingExtra
from vecstore.metric import Metric
from vecstore.testing import EmbedderSuite


def prepare(picture: Any) -> Any:
    import torch

    return torch.from_numpy(np.asarray(picture.resize((16, 16)), np.float32) / 255).permute(2, 0, 1)


def make(seed: int = 0, **options: Any) -> TorchEmbedder:
    import torch

    torch.manual_seed(seed)
    layers = [
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
    ]
    return TorchEmbedder(torch.nn.Sequential(*layers), prepare, name="tiny", **options)


def picture(shade: int, mode: str = "RGB") -> Any:
    from PIL import Image

    return Image.fromarray(np.random.default_rng(shade).integers(0, 256, (20, 30, 3), np.uint8)).convert(mode)


class TestContract(EmbedderSuite):
    items = (picture(1), picture(2, "L"), picture(3))

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: make(batch_size=size)


class TestCachedContract(EmbedderSuite):
    """What is kept under the bytes of an item that is no text."""

    items = (picture(1), picture(2), picture(3, "P"))

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Embedder[Any]]:
        folder = tmp_path_factory.mktemp("cache")
        return lambda size: Cached(RateLimited(make(batch_size=size), concurrency=1), folder)


def test_pictures_and_their_files_have_the_same_vectors(tmp_path: Path) -> None:
    pictures = [picture(shade) for shade in range(5)]
    for number, each in enumerate(pictures):
        each.save(tmp_path / f"{number}.png")
    embedder = make(batch_size=2)
    rows = embedder.embed_documents(pictures)
    assert rows.shape == (5, embedder.dim) == (5, 32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    files = embedder.embed_queries([tmp_path / f"{number}.png" for number in range(5)])
    np.testing.assert_allclose(files, rows, atol=1e-6)
    alone = np.concatenate([embedder.embed_documents([each]) for each in pictures])
    np.testing.assert_allclose(alone, rows, atol=1e-5)  # the norm of batches is not that of training


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_any_mode_of_pictures_is_taken(mode: str) -> None:
    assert make().embed_documents([picture(1, mode)]).shape == (1, 32)


def test_weights_are_the_identity() -> None:
    assert make().identity.check(make(batch_size=1), Metric.COSINE) is None
    assert make().config["revision"] != make(1).config["revision"]
    with pytest.raises(EmbedderMismatch):
        make().identity.check(make(1), Metric.COSINE)
    assert make().config["modality"] == "image"


def test_what_becomes_of_a_wide_picture_is_the_identity() -> None:
    import torch

    def crop(item: Any) -> Any:
        width, height = item.size
        side = min(width, height)
        return item.crop(((width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2))

    squeezed = TorchEmbedder(torch.nn.Flatten(), prepare, name="flat")
    cropped = TorchEmbedder(torch.nn.Flatten(), lambda item: prepare(crop(item)), name="flat")
    assert squeezed.config == cropped.config
    with pytest.raises(EmbedderMismatch):
        squeezed.identity.check(cropped, Metric.COSINE)


def test_a_store_with_the_four_first_canaries_opens() -> None:
    now = make().identity
    before = replace(now, canaries=now.canaries[:, :4])
    assert before.check(make(), Metric.L2) is None
    with pytest.raises(EmbedderMismatch):
        before.check(make(1), Metric.L2)


@pytest.mark.parametrize("item", ["cat.png", b"x", None, 3])
def test_what_is_no_picture_is_refused(item: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"documents\[0\]"):
        make().embed_documents([item])


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    from PIL import PngImagePlugin

    (tmp_path / "x.png").write_bytes(b"not a picture")
    bomb = PngImagePlugin.PngInfo()
    bomb.add_text("x", "x" * 2**21, zip=True)
    picture(3).save(tmp_path / "bomb.png", pnginfo=bomb)
    for name in ("x.png", "missing.png", "bomb.png"):
        with pytest.raises(InvalidMetadata, match=name):
            make().embed_documents([tmp_path / name])


def test_a_store_finds_a_picture_by_a_part_of_it() -> None:
    embedder = make()
    with connect("memory:") as db:
        store = db.create("pictures", Schema(dim=embedder.dim), embedder=embedder)
        store.upsert(Record(str(shade), item=picture(shade), metadata={"source": f"{shade}.png"}) for shade in range(6))
        found = store.search(item=picture(4).crop((1, 1, 29, 19)), k=1)[0]
        assert found.metadata == {"source": "4.png"}


def test_other_items_take_their_own_canaries() -> None:
    import torch

    series = [np.arange(4.0), np.ones(4), np.array([1.0, 0, 1, 0])]
    options: dict[str, Any] = {"name": "series", "item_types": (np.ndarray,), "canaries": series, "modality": "series"}
    torch.manual_seed(0)
    embedder = TorchEmbedder(torch.nn.Linear(4, 3), lambda item: torch.tensor(item, dtype=torch.float32), **options)
    assert embedder.embed_documents(series).shape == (3, 3)
    with pytest.raises(InvalidArgument, match="one shape"):
        embedder.embed_documents([np.ones(4), np.ones(5)])
    with pytest.raises(InvalidArgument, match="go together"):
        TorchEmbedder(torch.nn.Linear(4, 3), prepare, name="x", item_types=(np.ndarray,))


def test_arguments_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    with pytest.raises(InvalidArgument, match="name"):
        TorchEmbedder(torch.nn.ReLU(), prepare, name="")
    with pytest.raises(InvalidArgument, match="module"):
        TorchEmbedder(3, prepare, name="x")  # type: ignore[arg-type]
    for many in (0, 65):
        with pytest.raises(InvalidArgument, match=f"1 to 64 items, not {many}"):
            TorchEmbedder(torch.nn.ReLU(), prepare, name="x", item_types=(int,), canaries=range(many))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"vecstore-db\[image\]"):
        TorchEmbedder(torch.nn.ReLU(), prepare, name="x")
