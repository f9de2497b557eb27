"""Vectors of texts by Doc2Vec: gensim as the oracle, one answer for one text, saved without pickle."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecstore.embedders import Doc2Vec, Vectorizer
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidVector, MissingExtra
from vecstore.metric import Metric

# Found without an import, which takes seconds that collecting tests should not.
DATA = Path(str(getattr(find_spec("gensim"), "origin", ""))).parent / "test" / "test_data"
TEXTS = (DATA / "lee_background.cor").read_text("utf-8").splitlines()[:100]
OPTIONS: dict[str, Any] = {"min_count": 3, "epochs": 10}


@pytest.fixture(scope="module")
def learned() -> Doc2Vec:
    return Doc2Vec(16, **OPTIONS).fit(TEXTS, seed=3)


def test_one_text_has_one_vector_bit_for_bit(learned: Doc2Vec) -> None:
    together = learned.embed_documents(TEXTS[:8])
    assert np.array_equal(learned.embed_queries(TEXTS[:8]), together)
    alone = [learned.embed_documents([text])[0] for text in TEXTS[:8]]
    assert np.array_equal(alone, together)
    backwards = [" ".join(reversed(learned._analyzer.split(text))) for text in TEXTS[:8]]
    assert np.array_equal(learned.embed_documents(backwards), together)


def test_a_part_of_a_text_is_near_to_it(learned: Doc2Vec) -> None:
    whole = learned.embed_documents(TEXTS[:40])
    halves = learned.embed_documents([text[: len(text) // 2] for text in TEXTS[:40]])
    assert (np.argmax(halves @ whole.T, axis=1) == np.arange(40)).mean() > 0.7  # gensim: 0.85; chance: 0.025


def test_a_saved_model_makes_the_same_vectors_without_gensim(learned: Doc2Vec, tmp_path: Path) -> None:
    learned.save(tmp_path / "m")
    expected = learned.embed_documents(TEXTS[:5])
    assert np.array_equal(Doc2Vec.load(tmp_path / "m").embed_documents(TEXTS[:5]), expected)
    assert Vectorizer.load(tmp_path / "m").identity == learned.identity
    program = (
        "import sys\nsys.modules['gensim'] = None\nfrom vecstore.embedders import Vectorizer\n"
        f"print(Vectorizer.load({str(tmp_path / 'm')!r}).embed_documents(['the police said']).tobytes().hex())"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == learned.embed_documents(["the police said"]).tobytes().hex()


def test_the_same_seed_gives_the_same_model_and_another_fit_another(learned: Doc2Vec) -> None:
    small: dict[str, Any] = {"min_count": 3, "epochs": 1}
    first = Doc2Vec(8, **small).fit(TEXTS[:20], seed=1)
    assert Doc2Vec(8, **small).fit(TEXTS[:20], seed=1).revision == first.revision
    for other in (Doc2Vec(8, **small).fit(TEXTS[:20], seed=2), Doc2Vec(8, **small).fit(TEXTS[:21], seed=1)):
        with pytest.raises(EmbedderMismatch):
            first.identity.check(other, Metric.COSINE)


def train(**options: Any) -> Any:
    from gensim.models.doc2vec import Doc2Vec as Trained
    from gensim.models.doc2vec import TaggedDocument

    documents = [TaggedDocument(text.lower().split(), [number]) for number, text in enumerate(TEXTS)]
    return Trained(documents, vector_size=16, min_count=3, epochs=10, workers=1, seed=1, **options)


def test_vectors_are_near_to_where_gensim_arrives() -> None:
    model = train(dm=0, negative=5)
    ours = Doc2Vec.from_gensim(model).embed_documents(TEXTS[:10])
    # Small steps, because gensim's usual ones end on their way, each time elsewhere.
    theirs = np.array([model.infer_vector(text.lower().split(), epochs=100, alpha=0.02) for text in TEXTS[:10]])
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", ours, theirs).mean() > 0.85  # 0.93 when this was written


@pytest.mark.parametrize("options", [{"dm": 1}, {"dm": 0, "hs": 1, "negative": 0}])
def test_another_kind_of_training_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="dm=0 and negative sampling"):
        Doc2Vec.from_gensim(train(**options))


def test_what_cannot_be_is_refused(learned: Doc2Vec, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidVector, match=r"documents\[1\]"):
        learned.embed_documents(["the police", "xyzzy"])
    with pytest.raises(InvalidArgument, match="is fitted already"):
        learned.fit(TEXTS)
    with pytest.raises(InvalidArgument, match="No word appears 99 times"):
        Doc2Vec(4, min_count=99).fit(["a b"])
    with pytest.raises(InvalidArgument, match="dm=0"):
        Doc2Vec.from_gensim(object())
    for options in ({"dim": 1}, {"dim": 5000}, {"epochs": 0}, {"negative": 0}, {"min_count": 0}, {"lowercase": 1}):
        with pytest.raises(InvalidArgument):
            Doc2Vec(**options)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "gensim.models.doc2vec", None)
    with pytest.raises(MissingExtra, match="gensim"):
        Doc2Vec(4).fit(TEXTS)


@pytest.mark.long
def test_it_agrees_with_people_about_articles() -> None:
    background = (DATA / "lee_background.cor").read_text("utf-8").splitlines()
    articles = (DATA / "lee.cor").read_text("latin-1").splitlines()
    judged = np.loadtxt(DATA / "similarities0-1.txt")
    rows = Doc2Vec(50, min_count=2, epochs=40).fit([*background, *articles], seed=1).embed_documents(articles)
    upper = np.triu_indices(len(articles), 1)
    assert np.corrcoef((rows @ rows.T)[upper], judged[upper])[0, 1] > 0.4
