"""Graphs of a few nodes in ONNX Runtime: what other programs write, and what nobody should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore.embedders import OnnxEmbedder
from vecstore.errors import InvalidArgument, InvalidVector


@pytest.mark.parametrize("location", ["weights.bin", "model.onnx.data", "deep/w"])
def test_weights_beside_a_graph_are_a_part_of_the_model(tmp_path: Path, location: str) -> None:
    folder = draw_graph(tmp_path, location=location)
    before = OnnxEmbedder(folder, pooling="mean").config
    weights = folder / location
    weights.write_bytes(weights.read_bytes()[::-1])
    after = OnnxEmbedder(folder, pooling="mean").config
    assert (before["model"], before["tokenizer"]) == (after["model"], after["tokenizer"])
    assert before["revision"] != after["revision"]
    weights.unlink()
    with pytest.raises(InvalidArgument, match="missing"):
        _ = OnnxEmbedder(folder, pooling="mean").dim


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    for location in ("../w", str(tmp_path / "w")):
        with pytest.raises(InvalidArgument, match="outside its folder"):
            _ = OnnxEmbedder(draw_graph(tmp_path, location=location), pooling="mean").dim


def test_one_row_for_a_batch_is_refused(tmp_path: Path) -> None:
    one = OnnxEmbedder(draw_graph(tmp_path, joined=True), pooling="none")
    assert one.embed_documents(["cat"]).shape == (1, 4)
    with pytest.raises(InvalidVector, match=r"shape \(1, 4\) for 2 texts"):
        one.embed_documents(["cat cat", "dog dog"])


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_a_text_without_tokens_is_refused_by_its_name(tmp_path: Path, pooling: Any) -> None:
    embedder = OnnxEmbedder(draw_graph(tmp_path), pooling=pooling)
    for texts in (["-"], ["cat", "-", "dog cat"]):
        with pytest.raises(InvalidVector, match=rf"documents\[{texts.index('-')}\]: .*nothing that the model knows"):
            embedder.embed_documents(texts)


def test_a_token_that_the_graph_does_not_have_is_refused(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(draw_graph(tmp_path), pooling="mean")
    assert embedder.dim == 4
    with pytest.raises(InvalidArgument, match="cannot run"):
        embedder.embed_documents(["beyond"])


def draw_graph(folder: Path, *, location: str | None = None, joined: bool = False) -> Path:
    """Write a graph that looks up the vector of each word; joined, it has one vector for all texts together."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    words = {"[PAD]": 0, "x": 1, "water": 2, "cat": 3, "dog": 4, "beyond": 99}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="x"))  # noqa: S106 - a token of text
    tokenizer.normalizer = normalizers.Replace(Regex("-"), "")
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(0).normal(size=(5, 4)).astype("f4")
    weights = numpy_helper.from_array(table, "table")
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["rows"])]
    found = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", "t", 4])
    if joined:
        nodes.append(helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=0))
        nodes.append(helper.make_node("ReduceMean", ["mean"], ["one"], axes=[0], keepdims=1))
        found = helper.make_tensor_value_info("one", TensorProto.FLOAT, [None, 4])
    if location is not None:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": str(table.nbytes)}.items():
            entry = weights.external_data.add()
            entry.key, entry.value = key, value
        (folder / location).parent.mkdir(exist_ok=True)
        (folder / location).write_bytes(table.tobytes())
    taken = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    graph = helper.make_graph(nodes, "graph", [taken], [found], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    (folder / "config.json").write_text('{"max_position_embeddings": 64}')
    return folder
