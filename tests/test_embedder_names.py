"""Finding embedders by name: names, options, and what other packages add."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from tests.embedder_makers import MINILM, made
from vecstore import embedders
from vecstore.embedders import load
from vecstore.embedders.adapters import ADAPTERS
from vecstore.errors import InvalidArgument, MissingExtra


def test_wordllama() -> None:
    assert load("wordllama").config == made("wordllama").config
    assert load("wordllama:128").dim == 128


def test_sentence_transformers() -> None:
    assert load(f"sentence-transformers:{MINILM}").config == made("minilm").config


@pytest.mark.parametrize(
    "spec, match",
    [
        ("wordlama", "Did you mean 'wordllama'"),
        ("", "Known: clip, cohere, m"),
        ("function", "There is no embedder"),
        ("os:system", "There is no embedder 'os'"),
        ("wordllama:", "no model after the colon"),
        ("wordllama:100", "number of dimensions"),
        ("sentence-transformers", "The model is missing"),
        ("sentence-transformers?device=cpu", "The model is missing"),
        ("openai?dimensions=3", "The model is missing"),
        ("ollama?batch_size=3", "The model is missing"),
        ("cohere?timeout=3", "The model is missing"),
        ("onnx?normalize=true", "The folder is missing"),
        ("model2vec?batch_size=3", "The folder is missing"),
        ("use:x?batch_size=3", "one model"),
        ("vectorizer:./f?batch_size=3", "takes no options"),
        ("vectorizer?batch_size=3", "takes no options"),
        ("openai:m?url=http://10.0.0.5/v1", "unencrypted"),
    ],
)
def test_unknown_names_are_refused(spec: str, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        load(spec)


@pytest.mark.parametrize(
    "spec, module", [("wordllama", "wordllama"), ("sentence-transformers:x", "sentence_transformers")]
)
def test_a_missing_library_says_how_to_get_it(spec: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'vecstore-db\[{spec.partition(':')[0]}\]'"):
        load(spec)


def test_options_are_taken() -> None:
    assert load("use?batch_size=3").name == "use:multilingual-v3"
    assert load("openai:m?url=http://10.0.0.5/v1&key_variable=").name == "openai:m"


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("mine", f"package{number}:make", "vecstore.embedders") for number in (1, 2)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints(points))
    with pytest.raises(InvalidArgument, match="package1:make, package2:make"):
        load("mine")
    with pytest.raises(InvalidArgument, match="Did you mean 'mine'"):
        load("mines")


def test_the_tables_are_sorted_and_complete() -> None:
    assert list(ADAPTERS) == sorted(ADAPTERS)
    assert sorted(embedders.__all__) == sorted([*embedders._MODULES, "load"])
    for name in embedders.__all__:
        assert name in dir(embedders)
        assert getattr(embedders, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = embedders.nothing


def test_naming_an_adapter_imports_no_library() -> None:
    program = (
        "import sys\n"
        "from vecstore.embedders import *\n"
        "WordLlamaEmbedder(), SentenceTransformersEmbedder('all-MiniLM-L6-v2')\n"
        "print(*{'sentence_transformers', 'torch', 'transformers', 'wordllama'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""
