"""`vecstore eval sts` and `analogy`: whether a model sees what people see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ... import VectorStore, connect
from ...evaluation import Sample, correlate, draw_sample, measure_overlap, solve_analogies
from ...evaluation.nearest import scale_rows
from ...evaluation.sampling import MOST
from ...query_texts import check_query_texts
from .. import progress
from ..embedder_choice import check_guess, load_embedder
from ..options import EmbedderSpec, Json, Name, Url
from .answers import print_figures
from .question_files import read_analogies, read_pairs
from .samples import Seed

if TYPE_CHECKING:
    from ...embedders.base import Embedder


def sts(
    url: Url,
    name: Name,
    pairs: Annotated[
        Path, typer.Option("--pairs", metavar="FILE", help="Lines text<TAB>text<TAB>similarity as people judged it.")
    ],
    min_spearman: Annotated[
        float | None, typer.Option(metavar="R", min=-1, max=1, help="Exit code 1 when Spearman's is lower.")
    ] = None,
    seed: Seed = 0,
    embedder: EmbedderSpec = None,
    json: Json = False,
) -> None:
    """Correlate the cosines of a store's model with judgements of similarity.

    The baseline is the share of words that two texts have in common.

    For example:
      vecstore eval sts file:./kb articles --pairs pairs.tsv --min-spearman 0.5
    """
    first, second, judged = read_pairs(pairs)
    check_query_texts([*first, *second])
    with connect(url) as database, progress.show_wait("Embedding", quiet=json):
        model = _open_model(database.open(name), embedder)
        database.open(name, embedder=model).check_embedder()
        a, b = (scale_rows(np.asarray(model.embed_documents(texts), np.float64)) for texts in (first, second))
    overlap = measure_overlap(first, second)
    figures = correlate((a * b).sum(axis=1), judged, beside=overlap, against="common words", seed=seed)
    print_figures(
        "sts", name, figures, basis=f"{len(judged):,} pairs, seed {seed}", seed=seed, json=json,
        more={"pairs": len(judged)}, limits=[(figures[0], min_spearman, True)],
    )  # fmt: skip


def analogy(
    url: Url,
    name: Name,
    questions: Annotated[
        Path, typer.Option("--questions", metavar="FILE", help="Lines of four words; `: name` begins a section.")
    ],
    ids: Annotated[
        bool, typer.Option("--ids", help="Words are ids of records: take their vectors, and all ids as answers.")
    ] = False,
    min_accuracy: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when fewer are solved.")
    ] = None,
    seed: Seed = 0,
    embedder: EmbedderSpec = None,
    json: Json = False,
) -> None:
    """Solve "a is to b as c is to …" by 3CosAdd, among the words of the questions or the ids of the store.

    The baseline is the word nearest to the third, which ignores the first two.

    For example:
      vecstore eval analogy file:./kb articles --questions analogies.txt
    """
    asked = read_analogies(questions)
    words = sorted({word for each in asked.values() for question in each for word in question})
    with connect(url) as database, progress.show_wait("Embedding", quiet=json):
        store = database.open(name)
        if ids:
            known: Sample = draw_sample(store, MOST, texts=False)
            words, vectors = list(known.ids), np.asarray(known.vectors, np.float64)
        else:
            model = _open_model(store, embedder)
            database.open(name, embedder=model).check_embedder()
            vectors = np.asarray(model.embed_documents(words), np.float64)
        found = solve_analogies(words, vectors, asked, seed=seed)
    more: dict[str, Any] = {"words": found.words, "unknown": found.unknown}
    basis = (
        f"a vocabulary of {found.words:,} words, {found.unknown:,} questions with unknown words left out, seed {seed}"
    )
    print_figures(
        "analogy", name, found.figures, basis=basis, seed=seed, json=json, more=more,
        limits=[(found.figures[0], min_accuracy, True)],
    )  # fmt: skip


def _open_model(store: VectorStore, embedder: str | None) -> Embedder:
    check_guess(store, embedder)
    return load_embedder(embedder)
