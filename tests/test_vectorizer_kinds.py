"""Files of vectorisers of each kind, changed by somebody who makes their sums right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_vectorizer_files import change
from tests.test_vectorizers import made
from vecstore.embedders import Vectorizer
from vecstore.embedders.vectorizers.model_files import WEIGHTS
from vecstore.errors import ModelDamaged

HOSTILE_KINDS: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("gru", lambda d: d["vocabulary"].append("x")),
    ("gru", lambda d: d["params"].update(cell="lstm")),
    ("lstm", lambda d: d["params"].update(cell="gru")),
    ("gru", lambda d: d["params"].update(cell="rnn")),
    ("gru", lambda d: d["params"].update(dim=4)),
    ("gru", lambda d: d["params"].update(dim=10**9)),
    ("gru", lambda d: d["params"].update(steps=10**9)),
    ("gru", lambda d: d["params"].update(steps=7)),
    ("gru", lambda d: d["canaries"].__setitem__(0, "x")),
    ("gru", lambda d: d["canaries"].__setitem__(0, [[1.0, 2.0]])),
    ("gru", lambda d: d["canaries"].__setitem__(0, [1.0, 1.0])),
    ("gru", lambda d: d["canaries"].__setitem__(0, {"a": 1})),
    ("gru", lambda d: d["canaries"].reverse()),
    ("gru", lambda d: d["canaries"].__setitem__(0, [10**400, 1.0])),
    ("doc2vec", lambda d: d["params"].update(dim=5)),
    ("doc2vec", lambda d: d["params"].update(negative=50)),
    ("doc2vec", lambda d: d["params"].update(negative=10**400)),
    ("doc2vec", lambda d: d["vocabulary"].reverse()),
    ("doc2vec", lambda d: d["vocabulary"].clear()),
    ("doc2vec", lambda d: d["vocabulary"].pop()),
    ("doc2vec", lambda d: d["canaries"].__setitem__(0, 7)),
]


@pytest.mark.parametrize("number", range(len(HOSTILE_KINDS)))
def test_hostile_descriptions_of_other_kinds(number: int, tmp_path: Path) -> None:
    kind, edit = HOSTILE_KINDS[number]
    made(kind)[0].save(tmp_path / "model")
    change(tmp_path / "model", edit)
    with pytest.raises(ModelDamaged):
        Vectorizer.load(tmp_path / "model")


@pytest.mark.parametrize("kind", ["gru", "lstm", "doc2vec", "word-vectors", "lsa"])
def test_weights_beyond_all_bounds_are_damage(kind: str, tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    made(kind)[0].save(tmp_path / "model")
    weights = load((tmp_path / "model" / WEIGHTS).read_bytes())
    huge = {name: each if name == "canaries" else np.sign(each) * np.float32(3e38) for name, each in weights.items()}
    change(tmp_path / "model", weights=save(huge))
    with pytest.raises(ModelDamaged):
        Vectorizer.load(tmp_path / "model")


def test_words_that_appear_less_than_once_are_damage(tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    made("doc2vec")[0].save(tmp_path / "model")
    weights = load((tmp_path / "model" / WEIGHTS).read_bytes())
    for counts in (-weights["counts"], 0 * weights["counts"]):
        change(tmp_path / "model", weights=save({**weights, "counts": counts}))
        with pytest.raises(ModelDamaged, match="how often it appears"):
            Vectorizer.load(tmp_path / "model")
