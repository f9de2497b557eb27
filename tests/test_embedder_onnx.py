"""Models in ONNX Runtime: folders, what is refused in them, and how they are exported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedder_makers import MINILM, made, tiny_model, tiny_onnx
from vecstore.embedders import (
    OnnxEmbedder,
    TruncatedText,
    load,
)
from vecstore.embedders.adapters import find_spec
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata, MissingExtra
from vecstore.metric import Metric

TEXTS = ["A cat lies on the mat.", "tea", "Köln am Rhein, 東京", "stock markets crashed today and fell further"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the exported model, to be damaged."""
    return Path(shutil.copytree(tiny_onnx(), tmp_path / "model"))


def change(folder: Path, **settings: Any) -> None:
    path = folder / "vecstore.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


class TestVectors:
    def test_are_those_of_the_model(self) -> None:
        np.testing.assert_allclose(made("onnx").embed_documents(TEXTS), tiny_model().embed_documents(TEXTS), atol=1e-5)

    def test_of_eight_bits_are_near_and_do_not_depend_on_the_batch(self) -> None:
        near = made("onnx-int8")
        together = near.embed_documents(TEXTS * 5)
        assert np.einsum("ij,ij->i", together[:4], tiny_model().embed_documents(TEXTS)).min() > 0.9
        for row, text in zip(together, TEXTS, strict=False):
            np.testing.assert_allclose(near.embed_documents([text])[0], row, atol=1e-6)

    @pytest.mark.parametrize("threads", [1, 2, 5])
    def test_do_not_depend_on_threads(self, threads: int) -> None:
        for name in ("onnx", "onnx-int8"):
            other = OnnxEmbedder(tiny_onnx(int8=name == "onnx-int8"), threads=threads)
            np.testing.assert_allclose(other.embed_documents(TEXTS), made(name).embed_documents(TEXTS), atol=1e-5)

    def test_prompts_are_put_in_front(self) -> None:
        prompted = OnnxEmbedder(tiny_onnx(), prompts={"query": "find: "})
        plain = made("onnx").embed_documents(["find: tea"])
        np.testing.assert_allclose(prompted.embed_queries(["tea"]), plain, atol=1e-6)
        assert not np.allclose(prompted.embed_documents(["tea"]), plain, atol=1e-3)

    def test_a_long_text_is_truncated_refused_or_averaged(self) -> None:
        long = "word " * 100
        with pytest.warns(TruncatedText, match="64 tokens"):
            cut = OnnxEmbedder(tiny_onnx()).embed_documents([long])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_allclose(cut, tiny_model().embed_documents([long]), atol=1e-5)
        with pytest.raises(InvalidMetadata, match="longer than the 64 tokens"):
            OnnxEmbedder(tiny_onnx(), on_long="error").embed_documents([long])
        assert OnnxEmbedder(tiny_onnx(), on_long="mean").embed_documents([long]).shape == (1, 32)

    def test_fewer_tokens_are_read_where_that_is_asked_for(self) -> None:
        short = OnnxEmbedder(tiny_onnx(), max_tokens=3, on_long="error")
        short.embed_documents(["tea"])
        with pytest.raises(InvalidMetadata, match="longer than the 3 tokens"):
            short.embed_documents(["tea water"])


class TestIdentity:
    def test_a_store_of_the_original_takes_the_export_and_refuses_eight_bits(self) -> None:
        stored = tiny_model().identity
        assert stored.check(made("onnx"), Metric.COSINE) is not None
        with pytest.raises(EmbedderMismatch):
            stored.check(made("onnx-int8"), Metric.COSINE)

    def test_eight_bits_have_a_tolerance_and_others_have_none(self) -> None:
        assert made("onnx-int8").identity.config["min_cosine"] == 0.98
        assert "min_cosine" not in made("onnx").identity.config

    def test_the_config_has_the_hashes_of_the_files(self) -> None:
        settings = json.loads((tiny_onnx() / "vecstore.json").read_text())
        config = made("onnx").config
        assert config["revision"] == f"sha256:{settings['files']['model.onnx']}"
        assert config["tokenizer"] == f"sha256:{settings['files']['tokenizer.json']}"
        assert (config["kind"], config["model"], config["max_tokens"]) == ("onnx", "tiny", 64)
        assert find_spec(config) == "onnx:FOLDER"

    def test_a_moved_folder_keeps_it(self, folder: Path) -> None:
        assert OnnxEmbedder(folder).config == made("onnx").config == load(f"onnx:{folder}").config


class TestFolders:
    @pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
    def test_a_plain_one_is_read_where_pooling_is_given(self, tmp_path: Path, pooling: Any) -> None:
        plain = make_plain(tmp_path / "plain")
        rows = OnnxEmbedder(plain, pooling=pooling).embed_documents(TEXTS)
        tokens = plain_states(TEXTS)
        expected = np.stack([{"mean": each.mean(axis=0), "cls": each[0], "last": each[-1]}[pooling] for each in tokens])
        np.testing.assert_allclose(rows, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)

    def test_a_plain_one_needs_to_know_its_pooling(self, folder: Path) -> None:
        (folder / "vecstore.json").unlink()
        with pytest.raises(InvalidArgument, match="pooling='mean'"):
            OnnxEmbedder(folder)
        with pytest.raises(InvalidArgument, match="no output with vectors of tokens"):
            _ = OnnxEmbedder(folder, pooling="mean", max_tokens=64).dim
        np.testing.assert_allclose(
            OnnxEmbedder(folder, pooling="none", max_tokens=64).embed_documents(TEXTS),
            made("onnx").embed_documents(TEXTS),
            atol=1e-6,
        )

    @pytest.mark.parametrize(
        "options, match",
        [
            ({"pooling": "mean"}, "says pooling='none'"),
            ({"max_tokens": 65}, "exceeds the 64 tokens"),
            ({"max_tokens": 2}, "max_tokens"),
            ({"threads": 0}, "threads"),
            ({"prompts": {"querry": "x"}}, "prompts"),
            ({"on_long": "chunk"}, "on_long"),
        ],
    )
    def test_options_that_cannot_work_are_refused(self, options: dict[str, Any], match: str) -> None:
        with pytest.raises(InvalidArgument, match=match):
            OnnxEmbedder(tiny_onnx(), **options)

    @pytest.mark.parametrize("place", ["", 3, "./nowhere", str(MINILM)])
    def test_what_is_no_such_folder_is_refused_at_once(self, place: Any) -> None:
        with pytest.raises(InvalidArgument, match=r"folder|no model\.onnx"):
            OnnxEmbedder(place)

    @pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
    @pytest.mark.parametrize("position", [0, 0.5, -1])
    def test_a_changed_byte_is_refused(self, folder: Path, name: str, position: float) -> None:
        content = bytearray((folder / name).read_bytes())
        content[int(position * len(content)) if position >= 0 else -1] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(InvalidArgument, match=rf"{name} is not the file"):
            OnnxEmbedder(folder).embed_documents(["tea"])

    @pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
    def test_a_damaged_file_of_a_plain_folder_is_refused(self, folder: Path, name: str) -> None:
        (folder / "vecstore.json").unlink()
        (folder / name).write_bytes(b"{}garbage")
        with pytest.raises(InvalidArgument, match=rf"{name} is not JSON|cannot (read|load) .*{name}"):
            OnnxEmbedder(folder, pooling="none", max_tokens=64).embed_documents(["tea"])

    @pytest.mark.parametrize(
        "settings, match",
        [
            ({"format": 2}, "newer vecstore"),
            ({"format": "1"}, "format '1'"),
            ({"model": ""}, "'model'"),
            ({"files": {"model.onnx": "0"}}, "'files'"),
            ({"prompts": {"query": 3}}, "'prompts'"),
            ({"pooling": "max"}, "'pooling'"),
            ({"max_tokens": True}, "'max_tokens'"),
            ({"max_tokens": -1}, "'max_tokens'"),
        ],
    )
    def test_settings_that_nobody_wrote_are_refused(self, folder: Path, settings: dict[str, Any], match: str) -> None:
        change(folder, **settings)
        with pytest.raises(InvalidArgument, match=match):
            OnnxEmbedder(folder)

    @pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"\xff", b" " * 2_000_000])
    def test_a_file_of_settings_that_is_none_is_refused(self, folder: Path, content: bytes) -> None:
        (folder / "vecstore.json").write_bytes(content)
        with pytest.raises(InvalidArgument, match=r"vecstore\.json"):
            OnnxEmbedder(folder)

    def test_settings_that_are_no_regular_file_are_refused(self, folder: Path) -> None:
        for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir):
            path = folder / "vecstore.json"
            path.rmdir() if path.is_dir() else path.unlink()
            make(path)
            with pytest.raises(InvalidArgument, match=r"vecstore\.json"):
                OnnxEmbedder(folder)

    def test_a_missing_library_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(MissingExtra, match=r"vecstore-db\[onnx\]"):
            OnnxEmbedder(tiny_onnx())

    def test_neither_torch_nor_transformers_is_loaded(self) -> None:
        program = (
            f"import sys\nfrom vecstore.embedders import OnnxEmbedder\nOnnxEmbedder({str(tiny_onnx())!r})\n"
            "assert 'onnxruntime' not in sys.modules\n"
            f"OnnxEmbedder({str(tiny_onnx())!r}).embed_documents(['tea'])\n"
            "print(*{'torch', 'transformers', 'sentence_transformers', 'onnx'} & set(sys.modules))"
        )
        answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert answer.stdout.strip() == ""


def make_plain(folder: Path) -> Path:
    """Write the encoder alone, as other programs export it: vectors of tokens, no pooling."""
    import torch

    encoder: Any = tiny_model().load_model().transformers_model
    folder.mkdir()
    shutil.copy(tiny_onnx() / "tokenizer.json", folder)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 64}')

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state

    ids = torch.ones(2, 5, dtype=torch.int64)
    axes = {name: {0: "n", 1: "t"} for name in ("input_ids", "attention_mask", "last_hidden_state")}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            States().eval(), (ids, ids), str(folder / "model.onnx"), input_names=["input_ids", "attention_mask"],
            output_names=["last_hidden_state"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    return folder


def plain_states(texts: list[str]) -> list[Any]:
    import torch

    model = tiny_model().load_model()
    tokenizer: Any = model.tokenizer
    encoder: Any = model.transformers_model
    found = []
    for text in texts:
        encoded = tokenizer([text], return_tensors="pt")
        with torch.no_grad():
            found.append(encoder(**encoded).last_hidden_state[0].numpy())
    return found
