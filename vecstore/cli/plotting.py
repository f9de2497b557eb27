"""`vecstore plot`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from .. import VectorStore, connect
from ..errors import DimensionMismatch, UnknownField
from ..evaluation import Sample, sweep_recall
from ..evaluation.drift import FEWEST as FEWEST_DRIFT
from ..evaluation.sampling import check_field
from ..evaluation.sweep import FEWEST as FEWEST_SWEEP
from ..hits import Hits
from ..query_texts import check_query_texts
from . import output, progress
from .embedder_choice import check_guess, load_embedder
from .evaluation.measuring import parse_other
from .evaluation.samples import DEFAULT_SIZE, Seed, check_records, take_sample
from .exits import Failure
from .options import EmbedderSpec, Json, Name, Url, Where, parse_where
from .plots.charts import Chart
from .plots.projection import METHODS

if TYPE_CHECKING:
    from ..embedders.base import Embedder

SHOWN = ("map", "recall", "drift")
FORMATS = ("html", "png", "svg")
FEWEST = 2


def plot(
    url: Url,
    name: Name,
    show: Annotated[str, typer.Option("--show", metavar="WHAT", help=f"{', '.join(SHOWN)}.")] = "map",
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="pca, or tsne and umap, which keep more neighbours.")
    ] = "pca",
    color: Annotated[
        str | None, typer.Option("--color", metavar="FIELD", help="The metadata field of colours.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="FIELD", help="The field that points show; by default the text.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", metavar="TEXT", help="Draw this text and its ten hits; repeatable.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A file .html, .png or .svg.")
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=2, max=200_000, help="At most so many records.")
    ] = DEFAULT_SIZE,
    where: Where = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="NAME", help="With --show drift: the later store.")
    ] = None,
    against_where: Annotated[
        str | None, typer.Option("--against-where", metavar="JSON", help="With --show drift: which records of it.")
    ] = None,
    seed: Seed = 0,
    embedder: EmbedderSpec = None,
    json: Json = False,
) -> None:
    """Draw records, recall against latency, or drift.

    Without -o the picture is drawn in the terminal. An HTML file holds all it needs and asks no host for anything;
    points show their label. Method, sample, seed and trustworthiness stand in the picture.

    For example:
      vecstore plot file:./kb articles --color lang
    """
    form = check_options(show, method, target, query, against, against_where)
    with ExitStack() as stack:
        database = stack.enter_context(connect(url))
        stack.enter_context(progress.show_wait("Drawing", quiet=json))
        store = database.open(name)
        for field in (color, label):
            _check_field(store, field)
        condition = parse_where(where)
        if show == "recall":
            chart = _draw_recall(store, condition, seed)
        elif show == "drift":
            later = database.open(against or name)
            chart = _draw_drift((store, later), (condition, parse_other(against_where)), sample, seed)
        else:
            model = None
            if query:
                check_query_texts(query)
                check_guess(store, embedder)
                model = load_embedder(embedder)
                database.open(name, embedder=model).check_embedder()
            chart = _draw_map(store, condition, sample, seed, method, color, label, query or [], model)
        if target is not None:
            write_chart(chart, target, form)
    _tell(chart, name, show, target, json=json)


def _tell(chart: Chart, name: str, show: str, target: Path | None, *, json: bool) -> None:
    if json:
        output.print_json({
            "store": name, "show": show, "points": chart.count(), "title": chart.title, "caption": chart.caption,
            "output": None if target is None else str(target),
            "series": [{"name": series.name, "points": len(series.x)} for series in chart.series],
        })  # fmt: skip
    elif target is None:
        from .plots.terminal import print_chart

        print_chart(chart)
    else:
        output.say(f"Wrote {chart.count():,} points to {output.escape_controls(str(target))}.")
        output.note(chart.caption)


def check_options(
    show: str, method: str, target: Path | None, query: list[str] | None, against: str | None, against_where: str | None
) -> str:
    """Check what needs no store, and return the format of the file.

    Raises
    ------
    Failure
    """
    if show not in SHOWN:
        raise Failure(f"--show is one of {', '.join(SHOWN)}, not {show[:60]!r}.")
    if method not in METHODS:
        raise Failure(f"--method is one of {', '.join(METHODS)}, not {method[:60]!r}.")
    if (against or against_where) and show != "drift":
        raise Failure("--against and --against-where need --show drift.")
    if show == "drift" and not (against or against_where):
        raise Failure("Name what to compare with: --against NAME or --against-where JSON.")
    if query and show != "map":
        raise Failure("--query needs --show map.")
    if target is None:
        return ""
    form = target.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise Failure(f"-o takes a file that ends in .html, .png or .svg, not {output.escape_controls(target.name)!r}.")
    if not target.parent.is_dir():
        raise Failure(f"There is no directory {output.escape_controls(str(target.parent))}.")
    return form


def _check_field(store: VectorStore, field: str | None) -> None:
    if field is None:
        return
    try:
        check_field(store, field)
    except UnknownField as error:
        raise Failure(str(error)) from error


def _draw_map(
    store: VectorStore, where: dict[str, Any] | None, size: int, seed: int, method: str, colour: str | None,
    label: str | None, queries: list[str], model: Embedder | None,
) -> Chart:  # fmt: skip
    from .plots.making import make_map

    drawn = take_sample(store, size, seed, where, least=FEWEST, texts=label is None)
    asked: list[tuple[str, Any, Hits]] = []
    if model is not None:
        asked, drawn = _ask(store, queries, model.embed_queries(queries), where, drawn)
    return make_map(store.name, drawn, method, store.schema.metric, colour=colour, label=label, queries=asked)


def _ask(
    store: VectorStore, queries: list[str], vectors: NDArray[np.float32], where: dict[str, Any] | None, drawn: Sample
) -> tuple[list[tuple[str, Any, Hits]], Sample]:
    """Return the queries with vectors and hits, and the sample together with hits that it lacks."""
    hits = store.search_many(vectors, 10, where=where, include=("text", "metadata", "vector"))
    known = set(drawn.ids)
    more = {hit.id: hit for each in hits for hit in each if hit.id not in known}
    added = Sample(
        [*drawn.ids, *more], np.concatenate([drawn.vectors, *(np.asarray(hit.vector)[None] for hit in more.values())]),
        [*drawn.texts, *(hit.text for hit in more.values())],
        [*drawn.metadata, *(hit.metadata or {} for hit in more.values())], drawn.total, drawn.seed,
    )  # fmt: skip
    return list(zip(queries, vectors, hits, strict=True)), added


def _draw_recall(store: VectorStore, where: dict[str, Any] | None, seed: int) -> Chart:
    from .plots.making import make_recall_chart

    check_records(store, where, FEWEST_SWEEP)
    return make_recall_chart(store.name, sweep_recall(store, where=where, seed=seed), seed)


def _draw_drift(stores: tuple[VectorStore, VectorStore], conditions: tuple[Any, Any], size: int, seed: int) -> Chart:
    from .plots.making import make_drift_chart

    first, second = stores
    if first.schema.dim != second.schema.dim:
        raise DimensionMismatch(f"{first.schema.dim} and {second.schema.dim} dimensions cannot be compared.")
    parts = [
        take_sample(store, size, seed, condition, least=FEWEST_DRIFT, texts=True)
        for store, condition in zip(stores, conditions, strict=True)
    ]
    titles = tuple(
        store.name if condition is None else f"{store.name} {output.dump_json(condition)}"
        for store, condition in zip(stores, conditions, strict=True)
    )
    return make_drift_chart((titles[0], titles[1]), (parts[0], parts[1]), first.schema.metric)


def write_chart(chart: Chart, target: Path, form: str) -> None:
    """Write a chart to a file, which appears whole or not at all."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if form == "html":
            from .plots.page import make_page

            part.write_text(make_page(chart), encoding="utf-8")
        else:
            from .plots.image import write_image

            write_image(chart, part, form)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
