"""`vecstore eval index`, `search` and `retrieve`: what searches find."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ... import VectorStore, connect
from ...evaluation import SweepStep, compare_rankings, evaluate_search, sweep_recall
from ...evaluation.sweep import EFFORTS
from ...evaluation.sweep import FEWEST as FEWEST_ROWS
from .. import output, progress
from ..embedder_choice import check_guess, load_embedder
from ..exits import Failure
from ..options import EmbedderSpec, Json, Name, Url, Where, parse_where
from .answers import print_figures, show
from .question_files import read_judgements, read_queries
from .samples import Depth, Seed, check_records


def index(
    url: Url,
    name: Name,
    k: Depth = 10,
    ef: Annotated[str, typer.Option("--ef", metavar="N,N,…", help="Search efforts to try.")] = ",".join(
        map(str, EFFORTS)
    ),
    queries: Annotated[
        int, typer.Option("--queries", metavar="N", min=1, max=10_000, help="How many records to draw as queries.")
    ] = 200,
    where: Where = None,
    min_recall: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when default searches find less.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure recall and latency at several search efforts, beside exact searches.

    Queries are stored records, each turned a little away from a neighbour; the record itself is no answer.

    For example:
      vecstore eval index file:./kb articles --min-recall 0.95
    """
    efforts = parse_efforts(ef)
    condition = parse_where(where)
    with connect(url) as database, progress.show_wait("Measuring", quiet=json):
        store = database.open(name)
        check_records(store, condition, FEWEST_ROWS)
        found = sweep_recall(store, k, efforts, queries=queries, where=condition, seed=seed)
    steps = {"default": found.default, "exact": found.exact} | {f"ef {step.ef}": step for step in found.steps}
    if not json:
        columns = ("searches", f"recall@{k}", "p5", "worst", "p50 ms", "p95 ms", "p99 ms", "per second", "answers")
        output.print_table(columns, [_show_step(title, step) for title, step in steps.items()])
    figure = found.default.recall
    more = {"rows": found.rows, "queries": found.queries, "k": k}
    print_figures(
        "index", name, [figure], basis=f"{found.queries:,} queries over {found.rows:,} records, seed {seed}",
        seed=seed, json=json, limits=[(figure, min_recall, True)],
        more=more | {"steps": [{"searches": title, **asdict(step)} for title, step in steps.items()]},
    )  # fmt: skip


def _show_step(title: str, step: SweepStep) -> tuple[str, ...]:
    times = (step.p50_ms, step.p95_ms, step.p99_ms)
    answers = "exact" if step.exact else "by the index"
    return (
        title, show(step.recall.value), show(step.p5), show(step.worst), *(f"{each:.2f}" for each in times),
        f"{step.per_second:,.0f}", answers,
    )  # fmt: skip


def parse_efforts(text: str) -> list[int]:
    """Return the efforts that ``--ef`` lists."""
    try:
        efforts = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise Failure(f"--ef is a list of whole numbers, such as 16,64,256, not {text[:60]!r}.") from error
    if efforts[0] < 1 or efforts[-1] > 1_000:
        raise Failure(f"--ef takes efforts from 1 to 1,000, not {text[:60]!r}.")
    return efforts


def search(
    url: Url,
    name: Name,
    queries: Annotated[
        Path, typer.Option("--queries", metavar="FILE", help="Lines id<TAB>text, or JSON with id, text or vector.")
    ],
    qrels: Annotated[Path, typer.Option("--qrels", metavar="FILE", help="Lines `query id grade`, as TREC has them.")],
    k: Depth = 10,
    where: Where = None,
    ef: Annotated[int | None, typer.Option("--ef", metavar="N", min=1, max=1_000, help="Search effort.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every record, without the index.")] = False,
    against: Annotated[
        str | None, typer.Option("--against", metavar="NAME", help="Another store there to compare with.")
    ] = None,
    worst: Annotated[int, typer.Option("--worst", metavar="N", min=0, help="How many bad queries to list.")] = 5,
    min_ndcg: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when nDCG is lower.")
    ] = None,
    seed: Seed = 0,
    embedder: EmbedderSpec = None,
    json: Json = False,
) -> None:
    """Compare what searches find with judgements of relevance: nDCG, MRR, MAP, precision and recall.

    The baseline is a random order of all records. With --against, the differences between two stores are shown with
    the interval of a paired bootstrap: one that holds 0 decides nothing.

    For example:
      vecstore eval search file:./kb articles --queries queries.tsv --qrels qrels.tsv --min-ndcg 0.5
    """
    asked, judged = read_queries(queries), read_judgements(qrels)
    condition = parse_where(where)
    is_text = any(isinstance(each, str) for each in asked.values())
    with connect(url) as database, progress.show_wait("Searching", quiet=json):

        def open_store(title: str) -> VectorStore:
            store = database.open(title)
            if is_text:
                check_guess(store, embedder)
                store = database.open(title, embedder=load_embedder(embedder))
                store.check_embedder()
            return store

        stores = [open_store(title) for title in (name, against) if title is not None]
        answers = [
            evaluate_search(store, asked, judged, k, where=condition, ef=ef, exact=exact, seed=seed) for store in stores
        ]
    quality, rankings = answers[0]
    figures = list(quality.figures)
    if against is not None:
        figures += compare_rankings(rankings, answers[1][1], judged, k, seed=seed)
    bad = quality.list_worst(worst)
    shown = [f"worst: {output.escape_controls(query)} (nDCG@{k} {show(value)})" for query, value in bad]
    more: dict[str, Any] = {
        "k": k,
        "against": against,
        "worst": [{"query": query, "ndcg": each} for query, each in bad],
    }
    more |= {"unanswered": quality.unanswered, "without_relevant": quality.without_relevant}
    left = f", {quality.unanswered:,} judged but not given" if quality.unanswered else ""
    left += f", {quality.without_relevant:,} without anything relevant left out" if quality.without_relevant else ""
    print_figures(
        "search", name, figures, basis=f"{len(quality.queries):,} queries{left}, seed {seed}", seed=seed, json=json,
        more=more, lines=shown, limits=[(quality.figures[0], min_ndcg, True)],
    )  # fmt: skip
