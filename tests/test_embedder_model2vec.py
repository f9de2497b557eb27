"""What is peculiar to model2vec: folders, whole texts, words that nobody knows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedder_makers import made, tiny_static
from vecstore.embedders import Model2VecEmbedder, load
from vecstore.embedders.adapters import find_spec
from vecstore.errors import InvalidArgument, InvalidVector, MissingExtra

TEXTS = ["tea and water", "the cat sat", "tea " * 600 + "cat"]


def test_vectors_are_those_of_the_library_without_a_limit() -> None:
    from model2vec import StaticModel

    expected = StaticModel.from_pretrained(tiny_static()).encode(TEXTS, max_length=None, normalize=True)
    np.testing.assert_allclose(made("model2vec").embed_documents(TEXTS), expected, atol=1e-6)
    long = made("model2vec").embed_documents([TEXTS[2], "tea " * 600 + "sat"])
    assert not np.allclose(long[0], long[1], atol=1e-7)  # the end of a text counts


def test_a_text_without_a_known_word_is_refused() -> None:
    with pytest.raises(InvalidVector, match=r"documents\[1\]: .* zeros"):
        made("model2vec").embed_documents(["tea", "qqqq"])


def test_the_identity_is_that_of_the_files(tmp_path: Path) -> None:
    moved = Path(shutil.copytree(tiny_static(), tmp_path / "tiny"))
    same = load(f"model2vec:{moved}")
    assert same.config == made("model2vec").config
    assert find_spec(same.config) == "model2vec:FOLDER"
    (moved / "config.json").write_text((moved / "config.json").read_text() + " ")
    assert Model2VecEmbedder(moved).config["revision"] != same.config["revision"]


@pytest.mark.parametrize("folder", ["", 3, "./nowhere", "minishlab/potion-base-8M"])
def test_what_is_no_such_folder_is_refused_at_once(folder: Any) -> None:
    with pytest.raises(InvalidArgument, match="folder"):
        Model2VecEmbedder(folder)
    with pytest.raises(InvalidArgument, match="folder is missing"):
        load("model2vec")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    damaged = Path(shutil.copytree(tiny_static(), tmp_path / "tiny"))
    (damaged / name).write_bytes(b"{}x")
    with pytest.raises(InvalidArgument, match="cannot load"):
        Model2VecEmbedder(damaged).embed_documents(["tea"])


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model2vec", None)
    with pytest.raises(MissingExtra, match=r"vecstore-db\[model2vec\]"):
        Model2VecEmbedder(tiny_static())
