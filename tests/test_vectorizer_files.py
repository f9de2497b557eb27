"""The files of vectorisers: what is read back, and that no damaged or hostile file gives a wrong vector."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_vectorizers import MAKERS, TEXTS, made
from vecstore.embedders import BagOfWords, Lookup, Tfidf, Vectorizer
from vecstore.embedders.vectorizers import model_files
from vecstore.embedders.vectorizers.model_files import DESCRIPTION, WEIGHTS, write_folder
from vecstore.errors import InvalidArgument, ModelDamaged, StorageFailed

FLIPS = 1_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a small model."""
    Tfidf(svd=3, name="small").fit(TEXTS).save(tmp_path / "model")
    return tmp_path / "model"


def seal(described: dict[str, Any]) -> bytes:
    """Return the description of whoever knows how its sum is made."""
    lines = [f'  "{name}": {json.dumps(value)}' for name, value in described.items()]
    plain = ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    return plain[:-3] + f',\n  "sha256": "{hashlib.sha256(plain).hexdigest()}"\n}}\n'.encode()


def change(
    folder: Path, edit: Callable[[dict[str, Any]], object] = lambda _: None, weights: bytes | None = None
) -> None:
    """Change the files of a model and make both sums right again."""
    if weights is not None:
        (folder / WEIGHTS).write_bytes(weights)
    described = json.loads((folder / DESCRIPTION).read_bytes())
    del described["sha256"]
    described["weights_sha256"] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    edit(described)
    (folder / DESCRIPTION).write_bytes(seal(described))


@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_model_makes_the_same_bits(name: str, tmp_path: Path) -> None:
    vectorizer, items = made(name)
    vectorizer.save(tmp_path / "deep" / "model")
    assert sorted(path.name for path in (tmp_path / "deep").rglob("*")) == ["model", DESCRIPTION, WEIGHTS]
    for loaded in (
        Vectorizer.load(tmp_path / "deep" / "model"),
        type(vectorizer).load(str(tmp_path / "deep" / "model")),
    ):
        assert type(loaded) is type(vectorizer)
        assert np.array_equal(loaded.embed_documents(items), vectorizer.embed_documents(items), equal_nan=True)
        assert loaded.identity == vectorizer.identity
        assert loaded.config == vectorizer.config
    loaded.save(tmp_path / "again")
    for file in (DESCRIPTION, WEIGHTS):
        assert (tmp_path / "again" / file).read_bytes() == (tmp_path / "deep" / "model" / file).read_bytes()


def test_the_description_is_for_people_too(folder: Path) -> None:
    described = json.loads((folder / DESCRIPTION).read_text())
    assert (described["format"], described["kind"], described["params"]["svd"]) == (1, "tfidf", 3)
    assert described["fit"]["items"] == len(TEXTS)
    assert set(described["libraries"]) >= {"numpy", "scikit-learn"}
    assert described["weights_sha256"] == hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    plain = b"".join(line for line in (folder / DESCRIPTION).read_bytes().splitlines(True) if b'"sha256": "' not in line
                     or b"weights" in line or b'"fit"' in line)  # fmt: skip
    plain = plain.replace(b",\n}\n", b"\n}\n")
    assert described["sha256"] == hashlib.sha256(plain).hexdigest()
    assert b"pickle" not in (folder / DESCRIPTION).read_bytes() + (folder / WEIGHTS).read_bytes()


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
def test_no_flipped_bit_is_believed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    drawn = random.Random(0)
    places = [*range(len(content))] if len(content) <= FLIPS else drawn.sample(range(len(content)), FLIPS)
    for place in (places * (FLIPS // len(places) + 1))[:FLIPS]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << drawn.randrange(8)
        (folder / name).write_bytes(damaged)
        with pytest.raises((ModelDamaged, InvalidArgument)):
            Vectorizer.load(folder)
    (folder / name).write_bytes(content)
    assert Vectorizer.load(folder).fitted


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
def test_no_part_of_a_file_is_believed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for end in [0, 1, 7, 8, 9, *range(10, len(content), 37), len(content) - 1]:
        (folder / name).write_bytes(content[:end])
        with pytest.raises(ModelDamaged):
            Vectorizer.load(folder)
    (folder / name).write_bytes(content + b"\n")
    with pytest.raises(ModelDamaged):
        Vectorizer.load(folder)
    (folder / name).unlink()
    with pytest.raises(InvalidArgument, match=f"has no {name}"):
        Vectorizer.load(folder)


def test_the_weights_of_another_model_are_refused(folder: Path, tmp_path: Path) -> None:
    Tfidf(svd=3, name="small").fit(TEXTS[::-1] + TEXTS).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(ModelDamaged, match="is not the file"):
        Vectorizer.load(folder)
    change(folder)  # by somebody who makes the sums right: the canaries are those of the other model
    change(folder, lambda described: described["vocabulary"].reverse())
    with pytest.raises(ModelDamaged, match="other vectors of its canaries"):
        Vectorizer.load(folder)


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
def test_links_pipes_and_folders_are_not_read(folder: Path, name: str, tmp_path: Path) -> None:
    shutil.move(folder / name, tmp_path / "moved")
    (folder / name).symlink_to(tmp_path / "moved")
    with pytest.raises(ModelDamaged, match="regular file"):
        Vectorizer.load(folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelDamaged, match="regular file"):
        Vectorizer.load(folder)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ModelDamaged, match="regular file"):
        Vectorizer.load(folder)


def test_a_file_beyond_the_bound_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "_MOST", {DESCRIPTION: 1 << 20, WEIGHTS: 100})
    with pytest.raises(ModelDamaged, match="at most"):
        Vectorizer.load(folder)


def header_of(text: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + data


def entry(name: str, *, start: int = 0, end: int = 4, shape: str = "[1]", dtype: str = "F32") -> str:
    return f'{{"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{start},{end}]}}}}'


@pytest.mark.parametrize(
    "weights",
    [
        b"", b"\0" * 8, struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2**20 + 1) + b" " * 2**21,
        header_of("{}"), header_of("[" * 10_000), header_of("{" * 10_000), header_of(entry("idf"), b"1234"),
        header_of(entry("idf", end=2**62), b"1234"), header_of(entry("idf", shape="[9223372036854775807, 9]"), b"1234"),
        header_of(entry("idf", start=4, end=0), b"1234"), header_of(entry("idf", dtype="I64"), b"1234"),
        header_of(entry("idf"), b"\x00\x00\xc0\x7f"), header_of("é\ud7ff"), header_of("nul"),
        header_of(entry("../../etc/passwd"), b"1234"),
    ],
    ids=range(16),
)  # fmt: skip
def test_hostile_weights_with_right_sums(folder: Path, weights: bytes) -> None:
    change(folder, weights=weights)
    with pytest.raises(ModelDamaged):
        Vectorizer.load(folder)


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another kind": lambda d: d.update(kind="os.system"),
    "the kind of another model": lambda d: d.update(kind="bag-of-words"),
    "no kind": lambda d: d.update(kind=None),
    "an unknown parameter": lambda d: d["params"].update(hook="x"),
    "a parameter of another type": lambda d: d["params"].update(svd="3"),
    "a parameter that is true by accident": lambda d: d["params"].update(normalize="yes"),
    "other dimensions": lambda d: d["params"].update(svd=4),
    "without dimensions": lambda d: d["params"].update(svd=None),
    "a word less": lambda d: d["vocabulary"].pop(),
    "a word twice": lambda d: d["vocabulary"].__setitem__(0, d["vocabulary"][1]),
    "a word that is none": lambda d: d["vocabulary"].__setitem__(0, 7),
    "words in another order": lambda d: d["vocabulary"].reverse(),
    "no words": lambda d: d["vocabulary"].clear(),
    "no canaries": lambda d: d["canaries"].clear(),
    "other canaries": lambda d: d["canaries"].reverse(),
    "unknown canaries": lambda d: d["canaries"].__setitem__(0, "xyzzy"),
    "canaries that are no texts": lambda d: d["canaries"].__setitem__(0, ["x"]),
    "a key more": lambda d: d.update(extra=1),
    "a key less": lambda d: d.pop("fit"),
    "format zero": lambda d: d.update(format=0),
    "format true": lambda d: d.update(format=True),
    "a list for an object": lambda d: d.update(fit=[]),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_descriptions_with_right_sums(folder: Path, kind: str) -> None:
    change(folder, HOSTILE[kind])
    with pytest.raises(ModelDamaged):
        Vectorizer.load(folder)


@pytest.mark.parametrize(
    "plain",
    [b"[" * 100_000, b'{\n  "format": 1,\n  "format": 1\n}\n', b"{\n}\n", b"[]\n}\n", b'{"a": NaN\n}\n', b"\xff\n}\n"],
)
def test_json_that_is_no_description(folder: Path, plain: bytes) -> None:
    sum_of = hashlib.sha256(plain.removesuffix(b"\n}\n") + b"\n}\n").hexdigest()
    (folder / DESCRIPTION).write_bytes(plain.removesuffix(b"\n}\n") + f',\n  "sha256": "{sum_of}"\n}}\n'.encode())
    with pytest.raises(ModelDamaged):
        Vectorizer.load(folder)


def test_a_newer_format_says_so(folder: Path) -> None:
    change(folder, lambda described: described.update(format=2))
    with pytest.raises(InvalidArgument, match=r"A newer vecstore saved this model, in format 2.*Upgrade"):
        Vectorizer.load(folder)


def test_a_model_of_another_class_is_refused(folder: Path, tmp_path: Path) -> None:
    for kind in (Lookup, BagOfWords):
        with pytest.raises(InvalidArgument, match=f"has a Tfidf, not a {kind.__name__}"):
            kind.load(folder)
    with pytest.raises(InvalidArgument, match="There is no folder"):
        Vectorizer.load(tmp_path / "nothing")
    with pytest.raises(InvalidArgument, match="is not the folder of a vectoriser"):
        Vectorizer.load(tmp_path)


class TestSave:
    def test_what_is_there_is_never_replaced(self, folder: Path, tmp_path: Path) -> None:
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        (tmp_path / "file").write_text("mine")
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        for place in ("model", "file", "link"):
            with pytest.raises(InvalidArgument, match="give it a new folder"):
                BagOfWords().fit(TEXTS).save(tmp_path / place)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert not (tmp_path / "elsewhere").exists()
        (tmp_path / "empty").mkdir()
        BagOfWords().fit(TEXTS).save(tmp_path / "empty")

    @pytest.mark.parametrize("step", ["rename", "fsync"])
    def test_an_interrupted_save_leaves_nothing(
        self, folder: Path, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = [(folder / name).read_bytes() for name in (DESCRIPTION, WEIGHTS)]

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, step, fail)
            with pytest.raises(StorageFailed, match="No space left"):
                write_folder(tmp_path / "new", *content)
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
