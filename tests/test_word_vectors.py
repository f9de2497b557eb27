"""Vectors of words: learned, taken from gensim, with words that nobody learned, saved and loaded without pickle."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore.embedders import Vectorizer, WordVectors
from vecstore.embedders.vectorizers.word_pieces import cut_pieces, hash_piece
from vecstore.errors import InvalidArgument, InvalidVector, MissingExtra

# Found without an import, which takes seconds that collecting tests should not.
DATA = Path(str(getattr(find_spec("gensim"), "origin", ""))).parent / "test" / "test_data"
TEXTS = (DATA / "lee_background.cor").read_text("utf-8").splitlines()[:60]
OPTIONS: dict[str, Any] = {"min_count": 3, "epochs": 2}


@pytest.fixture(scope="module")
def learned() -> WordVectors:
    return WordVectors(24, buckets=500, **OPTIONS).fit(TEXTS, seed=3)


def test_a_saved_model_makes_the_same_vectors_without_gensim(learned: WordVectors, tmp_path: Path) -> None:
    learned.save(tmp_path / "m")
    expected = learned.embed_documents(TEXTS[:5])
    assert np.array_equal(WordVectors.load(tmp_path / "m").embed_documents(TEXTS[:5]), expected)
    assert Vectorizer.load(tmp_path / "m").identity == learned.identity
    program = (
        f"import sys\nsys.modules['gensim'] = None\nfrom vecstore.embedders import Vectorizer\n"
        f"print(Vectorizer.load({str(tmp_path / 'm')!r}).embed_documents(['the police said']).shape)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "(1, 24)"


def test_the_same_seed_gives_the_same_model_in_another_process() -> None:
    program = (
        "import gensim, pathlib\nfrom vecstore.embedders import WordVectors\n"
        f"texts = pathlib.Path({str(DATA / 'lee_background.cor')!r}).read_text('utf-8').splitlines()[:20]\n"
        "print(WordVectors(8, min_count=3, epochs=1).fit(texts, seed=1).revision)"
    )
    run = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in "ab"]
    assert run[0].stdout == run[1].stdout
    assert run[0].stdout.strip() == WordVectors(8, min_count=3, epochs=1).fit(TEXTS[:20], seed=1).revision


def test_a_word_that_nobody_learned_has_the_vector_of_gensim() -> None:
    from gensim.models import FastText

    model = FastText([text.lower().split() for text in TEXTS], vector_size=12, min_count=3, bucket=300, epochs=1,
                     workers=1, seed=1)  # fmt: skip
    ours = WordVectors.from_gensim(model.wv)
    for word in ("policeman", "Köln", "東京", "x"):
        assert word not in model.wv.key_to_index
        np.testing.assert_allclose(np.array(ours.get_vector(word)), model.wv.get_vector(word), atol=1e-6)
    np.testing.assert_allclose(np.array(ours.get_vector("the")), model.wv["the"])


def test_pieces_and_their_hashes_are_those_of_fasttext() -> None:
    from gensim.models.fasttext import ft_ngram_hashes

    for word in ("policeman", "a", "Köln", "東京"):
        for low, high in ((1, 4), (3, 6), (2, 2)):
            hashes = [hash_piece(piece) % 9973 for piece in cut_pieces(word, low, high)]
            assert sorted(hashes) == sorted(ft_ngram_hashes(word, low, high, 9973))


def test_the_mean_is_that_of_the_words() -> None:
    model = WordVectors.from_table(["tea", "water", "cat"], np.eye(3) * 2, normalize=False)
    assert model.embed_documents(["Tea, water!", "cat unknown"]).tolist() == [[1, 1, 0], [0, 0, 2]]
    with pytest.raises(InvalidVector, match=r"documents\[0\]"):
        model.embed_documents(["nothing known"])


def test_sif_weighs_rare_words_and_removes_what_texts_share() -> None:
    words, counts = ["the", "tea", "cat"], [1000, 10, 10]
    table = [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.5, 0.0, 1.0]]
    weights = [1e-3 / (1e-3 + count / 1020) for count in counts]
    plain = WordVectors.from_table(words, table, counts=counts, pooling="sif", normalize=False)
    expected = (weights[0] * np.array(table[0]) + weights[1] * np.array(table[1])) / 2
    np.testing.assert_allclose(plain.embed_documents(["the tea"])[0], expected, rtol=1e-5)
    texts = ["the tea", "the cat", "tea cat", "the tea cat", "cat tea the the", "tea", "cat", "the the tea cat"]
    removed = WordVectors.from_table(words, table, counts=counts, pooling="sif", texts=texts, normalize=False)
    rows = removed.embed_documents(texts)
    pooled = plain.embed_documents(texts)
    shared = np.linalg.svd(pooled)[2][0]
    np.testing.assert_allclose(rows, pooled - np.outer(pooled @ shared, shared), atol=1e-6)
    assert not np.allclose(rows, pooled, atol=1e-3)
    with pytest.raises(InvalidArgument, match="needs counts"):
        WordVectors.from_table(words, table, pooling="sif")


def test_a_file_of_word2vec_is_taken(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("2 3\ntea 1 0 0\nwater 0 1 0\n")
    from gensim.models import KeyedVectors

    vectors = KeyedVectors.load_word2vec_format(tmp_path / "w.txt")
    assert WordVectors.from_gensim(vectors).embed_documents(["tea"]).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    "options, match",
    [({"dim": 1}, "dim"), ({"dim": 5000}, "dim"), ({"pooling": "max"}, "pooling"), ({"buckets": 0}, "buckets"),
     ({"ngrams": (4, 3)}, "ngrams"), ({"ngrams": 3}, "ngrams"), ({"min_count": 0}, "min_count"),
     ({"epochs": True}, "epochs")],
)  # fmt: skip
def test_options_that_cannot_work_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        WordVectors(**options)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InvalidVector):
        WordVectors.from_table(["a", "b"], [[1, 0]])
    with pytest.raises(InvalidArgument, match="twice"):
        WordVectors.from_table(["tea", "tea"], [[1, 0], [0, 1]])
    with pytest.raises(InvalidArgument, match="KeyedVectors"):
        WordVectors.from_gensim({"tea": [1, 0]})
    with pytest.raises(InvalidArgument, match="Lower min_count"):
        WordVectors(8).fit(["one two", "three"])


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(MissingExtra, match=r"vecstore-db\[gensim\]"):
        WordVectors(8).fit(TEXTS[:3])
