"""Fitted vectorisers: what they make of items, and that a fit is a model of its own."""

# Longer than 300 lines because it makes one of each kind, which other tests take from here.

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecstore.embedders import (
    BagOfWords,
    Categorical,
    Doc2Vec,
    Hashing,
    Lookup,
    OneHot,
    SeriesAutoencoder,
    Tfidf,
    Vectorizer,
    WordVectors,
)
from vecstore.embedders.vectorizers.kinds import KINDS
from vecstore.embedders.vectorizers.recurrent_training import GATES
from vecstore.embedders.vectorizers.terms import Analyzer
from vecstore.embedders.vectorizers.word_training import LearnedWords
from vecstore.errors import (
    EmbedderMismatch,
    InvalidArgument,
    InvalidMetadata,
    InvalidVector,
    NotFitted,
    UnknownItem,
)
from vecstore.metric import Metric

TEXTS = [
    "the cat sat on the mat", "the dog sat on the log", "cats and dogs are animals", "stocks fell on Monday",
    "the market for stocks and bonds", "bonds rose as stocks fell", "a cat and a dog", "animals on the farm",
    "farm animals and a dog", "Monday on the stock market",
]  # fmt: skip
SERIES = [np.sin(np.arange(20.0)), np.arange(9.0) ** 2, np.cos(np.arange(30) / 7.0)]
ROWS: list[dict[str, Any]] = [{"colour": "red", "size": 3}, {"colour": "blue", "size": 4}, {"colour": "red", "size": 4}]


def table() -> Lookup:
    return Lookup.from_table(["a", "b", 7], [[1, 0, 0], [0, 2, 0], [1, 1, 1]], name="shop")


def words() -> WordVectors:
    names = sorted({word for text in TEXTS for word in text.lower().split()})
    vectors = np.random.default_rng(1).normal(size=(len(names), 8))
    return WordVectors.from_table(names, vectors, counts=range(1, len(names) + 1), pooling="sif", texts=TEXTS)


def paragraphs() -> Doc2Vec:
    """Return what gensim would have learned, drawn at random: importing it takes seconds."""
    names = sorted({word for text in TEXTS for word in text.lower().split()})
    vectors = np.random.default_rng(2).normal(size=(len(names), 6)).astype(np.float32)
    model = Doc2Vec(6)
    model._given = LearnedWords(names, vectors, list(range(1, len(names) + 1)))
    return model


def autoencoder(cell: str) -> SeriesAutoencoder:
    """Return a network that torch would have trained, drawn at random."""
    rows, rng = GATES[cell] * 5, np.random.default_rng(3)
    model = SeriesAutoencoder(5, steps=12, cell=cell)
    shapes = {"inputs": (rows,), "input_bias": (rows,), "recurrent": (rows, 5), "recurrent_bias": (rows,)}
    model._weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    def take_weights(items: list[Any], seed: int) -> None:
        model._native_dim = 5

    model._fit = take_weights  # type: ignore[method-assign]
    return model


MAKERS: dict[str, tuple[Callable[[], Vectorizer[Any]], Any]] = {
    "bag-of-words": (lambda: BagOfWords(name="bow"), TEXTS),
    "bag-of-chars": (lambda: BagOfWords(analyzer="char", ngrams=(2, 3), max_terms=100, binary=True), TEXTS),
    "doc2vec": (paragraphs, TEXTS),
    "gru": (lambda: autoencoder("gru"), SERIES),
    "lstm": (lambda: autoencoder("lstm"), SERIES),
    "tfidf": (lambda: Tfidf(sublinear=True), TEXTS),
    "lsa": (lambda: Tfidf(svd=4, ngrams=(1, 2), on_unknown="skip", normalize=False), TEXTS),
    "hashing": (lambda: Hashing(64, ngrams=(1, 2)), TEXTS),
    "one-hot": (OneHot, ["x", "y", 3]),
    "categorical": (lambda: Categorical(["colour", "size"]), ROWS),
    "lookup": (table, ["a", 7]),
    "word-vectors": (words, TEXTS),
}


def made(name: str) -> tuple[Vectorizer[Any], Any]:
    """Return a fitted vectoriser, and items that it knows."""
    make, items = MAKERS[name]
    vectorizer = make()
    return (vectorizer if vectorizer.fitted else vectorizer.fit(items)), items


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_kind_has_a_maker() -> None:
    assert {made(name)[0].kind for name in MAKERS} == set(KINDS)
    assert list(KINDS) == sorted(KINDS)


def test_vectors_and_identity(name: str) -> None:
    vectorizer, items = made(name)
    rows = vectorizer.embed_documents(items)
    assert rows.shape == (len(items), vectorizer.dim)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(vectorizer.embed_documents(items[::-1]), rows[::-1], atol=1e-6)
    config = vectorizer.config
    assert json.loads(json.dumps(config)) == config
    assert (config["fitted"], config["revision"][:7]) == (True, "sha256:")
    assert vectorizer.identity.check(made(name)[0], Metric.L2) is None


def test_the_same_fit_is_the_same_model_and_another_is_not(name: str) -> None:
    if name in ("hashing", "lookup", "word-vectors"):
        pytest.skip("nothing is learned")
    make, items = MAKERS[name]
    vectorizer = made(name)[0]
    assert make().fit(items).revision == vectorizer.revision
    other = make().fit([*items, items[0]])
    assert other.revision != vectorizer.revision
    with pytest.raises(EmbedderMismatch):
        vectorizer.identity.check(other, Metric.COSINE)


def test_the_batch_size_changes_no_revision() -> None:
    names = sorted({word for text in TEXTS for word in text.lower().split()})
    found = set()
    for size in (1, 3, 4, 256):
        model = WordVectors(33, batch_size=size)
        table = np.random.default_rng(1).normal(size=(len(names), 33)).astype(np.float32)
        model._take_over(names, table, range(1, len(names) + 1))
        found.add(model.fit(TEXTS).revision)
    assert len(found) == 1


def test_it_is_fitted_once(name: str) -> None:
    vectorizer, items = made(name)
    with pytest.raises(InvalidArgument, match="is fitted already"):
        vectorizer.fit(items)


@pytest.mark.parametrize("name", ["bag-of-words", "lsa", "one-hot", "categorical"])
def test_nothing_is_embedded_before_it_is_fitted(name: str) -> None:
    make, items = MAKERS[name]
    vectorizer = make()
    assert not vectorizer.fitted
    for call in (
        lambda: vectorizer.embed_documents(items), lambda: vectorizer.embed_queries([]), lambda: vectorizer.dim,
        lambda: vectorizer.identity, lambda: vectorizer.config, lambda: vectorizer.save("nowhere"),
    ):  # fmt: skip
        with pytest.raises(NotFitted, match=r"is not fitted\. Call fit"):
            call()
    with pytest.raises(InvalidArgument, match="at least one item"):
        vectorizer.fit([])
    assert not vectorizer.fitted


class TestTexts:
    def test_bag_of_words_counts(self) -> None:
        found = BagOfWords(normalize=False).fit(["b a b", "c"]).embed_documents(["b b b x", "a c"])
        assert found.tolist() == [[0, 3, 0], [1, 0, 1]]
        found = BagOfWords(normalize=False, binary=True).fit(["b a b", "c"]).embed_documents(["b b b x"])
        assert found.tolist() == [[0, 1, 0]]

    def test_rare_and_surplus_terms_are_left_out(self) -> None:
        assert BagOfWords(min_texts=2).fit(TEXTS).dim < BagOfWords().fit(TEXTS).dim
        assert BagOfWords(max_terms=3).fit(TEXTS)._take_apart()[0] == ["and", "on", "the"]
        with pytest.raises(InvalidArgument, match="min_texts=1"):
            BagOfWords(min_texts=9).fit(TEXTS)

    @pytest.mark.parametrize("svd", [None, 5])
    @pytest.mark.parametrize("sublinear", [False, True])
    def test_tfidf_is_that_of_scikit_learn(self, svd: int | None, *, sublinear: bool) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        ours = Tfidf(svd=svd, sublinear=sublinear, ngrams=(1, 2), normalize=False).fit(TEXTS, seed=3)
        words = r"\w+"
        theirs = TfidfVectorizer(token_pattern=words, ngram_range=(1, 2), sublinear_tf=sublinear)
        expected = theirs.fit_transform(TEXTS)
        assert list(theirs.get_feature_names_out()) == ours._take_apart()[0]
        if svd is None:
            np.testing.assert_allclose(ours.embed_documents(TEXTS), expected.toarray(), atol=1e-6)
        else:
            reduced = TruncatedSVD(svd, n_iter=4, random_state=3).fit_transform(expected)
            np.testing.assert_allclose(ours.embed_documents(TEXTS), reduced, atol=1e-5)

    def test_related_words_are_near_by_lsa(self) -> None:
        lsa = Tfidf(svd=3).fit(TEXTS)
        stocks, bonds, cat = lsa.embed_queries(["stocks", "bonds", "cat"])
        assert stocks @ bonds > 0.7 > 0.3 > stocks @ cat

    @pytest.mark.parametrize(
        "text, terms",
        [
            ("Hello, World_1!", ["hello", "world_1"]),
            ("比较文件 diff", ["比较", "较文", "文件", "diff"]),
            ("日本語のテキスト", ["日本", "本語", "語の", "のテ", "テキ", "キス", "スト"]),
            ("Straße 東", ["straße", "東"]),
            ("?!", []),
        ],
    )
    def test_words(self, text: str, terms: list[str]) -> None:
        assert Analyzer.make("word", (1, 1), True).split(text) == terms

    def test_runs(self) -> None:
        assert Analyzer.make("word", (1, 2), False).split("A b c") == ["A", "b", "c", "A b", "b c"]
        assert Analyzer.make("char", (2, 2), True).split("A  bc") == ["a ", " b", "bc"]

    def test_too_many_terms_are_refused_with_what_helps(self) -> None:
        texts = [f"word{number}" for number in range(4097)]
        for make in (BagOfWords, Tfidf):
            with pytest.raises(InvalidArgument, match=r"4,097 different terms.*svd=256.*Hashing"):
                make().fit(texts)
        assert BagOfWords(max_terms=4096).fit(texts).dim == 4096
        with pytest.raises(InvalidArgument, match="4,096"):
            Hashing(4097)
        with pytest.raises(InvalidArgument, match=r"svd=20 takes more than 20"):
            Tfidf(svd=20).fit(TEXTS)

    def test_a_text_without_a_known_term(self) -> None:
        with pytest.raises(InvalidVector, match=r"documents\[1\].*nothing that the model knows"):
            Tfidf().fit(TEXTS).embed_documents(["cat", "xyzzy"])
        skipped = Tfidf(on_unknown="skip").fit(TEXTS).embed_documents(["cat", "xyzzy"])
        assert np.isnan(skipped).all(axis=1).tolist() == [False, True]
        with pytest.raises(InvalidMetadata, match="is white space"):
            Tfidf(on_unknown="skip").fit(TEXTS).embed_documents([" "])

    def test_hashing_does_not_depend_on_the_process(self) -> None:
        row = Hashing(16, normalize=False).embed_queries(["the cat sat"])[0]
        assert {place: row[place] for place in np.flatnonzero(row).tolist()} == HASHED

    @pytest.mark.parametrize(
        "options",
        [
            {"analyzer": "words"}, {"ngrams": (2, 1)}, {"ngrams": (0, 1)}, {"ngrams": 2}, {"ngrams": (1, 99)},
            {"lowercase": "yes"}, {"min_texts": 0}, {"max_terms": -1}, {"name": ""}, {"normalize": 1},
            {"on_unknown": "ignore"}, {"svd": 1}, {"svd": 5000},
        ],
        ids=str,
    )  # fmt: skip
    def test_options_that_cannot_work(self, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument):
            Tfidf(**options)


HASHED = {9: 1.0, 11: 1.0, 15: -1.0}


class TestValues:
    def test_one_hot(self) -> None:
        one_hot = OneHot().fit(["b", "a", 3, "b"])
        assert one_hot.embed_documents([3, "a", "b"]).tolist() == np.eye(3).tolist()
        for unknown in ("secret", 4711, "3", True):
            with pytest.raises(UnknownItem, match=r"queries\[1\]: 'one-hot:own' does not know the item") as caught:
                one_hot.embed_queries(["a", unknown])
            assert "secret" not in str(caught.value)
            assert "4711" not in str(caught.value)
        with pytest.raises(InvalidArgument, match="float"):
            one_hot.embed_queries([1.5])  # type: ignore[list-item]
        with pytest.raises(InvalidArgument, match="bool"):
            OneHot().fit([True])

    def test_categorical(self) -> None:
        rows = Categorical(["colour", "size"], normalize=False).fit(ROWS)
        assert rows.embed_documents([{"size": 4, "colour": "blue", "weight": 1}, {"size": 3}]).tolist() == [
            [1, 0, 0, 1],
            [0, 0, 1, 0],
        ]
        with pytest.raises(UnknownItem, match=r"documents\[0\]: .* in the column 'colour'") as caught:
            rows.embed_documents([{"colour": "green"}])
        assert "green" not in str(caught.value)
        with pytest.raises(InvalidVector, match="nothing that the model knows"):
            rows.embed_documents([{"weight": 1}])
        for columns in ("colour", [], [1], ["a", "a"]):
            with pytest.raises(InvalidArgument):
                Categorical(columns)  # type: ignore[arg-type]

    def test_lookup(self) -> None:
        lookup = table()
        np.testing.assert_allclose(lookup.embed_documents(["b", "a"]), [[0, 1, 0], [1, 0, 0]])
        np.testing.assert_allclose(lookup.average(["a", "b"]), [2**-0.5, 2**-0.5, 0])
        with pytest.raises(UnknownItem, match=r"documents\[1\]: .* does not know the item") as caught:
            lookup.average(["a", "c"])
        assert "'c'" not in str(caught.value)
        skipping = Lookup.from_table(["a"], [[3, 4]], on_unknown="skip")
        np.testing.assert_allclose(skipping.average(["a", "c"]), [0.6, 0.8], atol=1e-6)
        for ids in ([], ["c"]):
            with pytest.raises(InvalidVector, match="knows none"):
                skipping.average(ids)

    @pytest.mark.parametrize(
        "ids, vectors",
        [(["a"], [[1], [2]]), ([], []), (["a"], [[0, 0]]), (["a"], [[np.nan, 1]]), (["a", "a"], [[1], [2]]),
         ([1.5], [[1]]), ([True], [[1]]), (["a"], [1])],
    )  # fmt: skip
    def test_tables_that_cannot_be(self, ids: list[Any], vectors: Any) -> None:
        with pytest.raises(InvalidArgument):
            Lookup.from_table(ids, vectors)
        with pytest.raises(InvalidArgument, match="from_table"):
            Lookup().fit(["a"])


def test_items_have_the_bytes_of_what_they_are() -> None:
    from vecstore.embedders.item_bytes import hash_item

    items: list[Any] = ["1", 1, 1.0, True, b"1", [1], {"a": 1}, np.ones(2, np.float32), np.ones(2), np.ones((2, 1))]
    assert len({hash_item(item) for item in items}) == len(items)
    assert hash_item({"a": 1, "b": 2}) == hash_item({"b": 2, "a": 1})
    with pytest.raises(InvalidArgument, match="object"):
        hash_item(object())


@pytest.mark.parametrize("name", ["bag-of-words", "tfidf", "hashing", "categorical", "lookup"])
def test_normalised_rows_have_length_one(name: str) -> None:
    vectorizer, items = made(name)
    np.testing.assert_allclose(np.linalg.norm(vectorizer.embed_documents(items), axis=1), 1, atol=1e-6)
