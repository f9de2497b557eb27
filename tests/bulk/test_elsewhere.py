"""Workers with another working directory find what their program named by a relative path."""

from __future__ import annotations

from pathlib import Path

import pytest

import vecstore
from vecstore import Schema, bulk, embedders
from vecstore.embedders.adapters import make_absolute

from .workers import make_texts


def test_a_folder_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    texts = make_texts(0, 20)
    embedders.Tfidf(svd=4).fit(texts["text"].to_pylist()).save(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    with bulk.begin("file:kb", "docs", Schema(), embedder="vectorizer:./model") as load:
        monkeypatch.chdir(elsewhere)
        assert bulk.write_part(load.ticket, texts) == 20
    with vecstore.connect(f"file:{tmp_path}/kb") as db:
        assert db.open("docs").count() == 20


@pytest.mark.parametrize("name", ["clip", "model2vec", "onnx", "sentence-transformers", "vectorizer"])
def test_names_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "a folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert make_absolute(f"{name}:a folder") == f"{name}:{tmp_path}/a folder"
    assert make_absolute(f"{name}:./a folder/../a folder?device=cpu").endswith("/./a folder/../a folder?device=cpu")
    for other in (f"{name}:{tmp_path}/a folder", f"{name}:folder", name, "wordllama:64", "openai:a folder"):
        assert make_absolute(other) == other
