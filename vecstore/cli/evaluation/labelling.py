"""`vecstore eval retrieve`, `probe` and `cluster`: whether vectors know a label."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import typer

from ... import connect
from ...errors import InvalidArgument
from ...evaluation import Figure, Sample, find_clusters, measure_neighbours, probe_labels, probe_numbers
from ...evaluation import clustering as clusters
from ...evaluation.labels import FEWEST
from ...evaluation.probing import FOLDS
from ...evaluation.sampling import choose_labelled
from .. import progress
from ..exits import Failure
from ..options import Json, Name, Url, Where, parse_where
from .answers import print_figures
from .samples import DEFAULT_SIZE, Depth, Label, Seed, Size, describe_sample, take_sample

_LISTED = 20


def retrieve(
    url: Url,
    name: Name,
    label: Label,
    k: Depth = 10,
    where: Where = None,
    sample: Size = DEFAULT_SIZE,
    min_precision: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when P@k is lower.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure how many neighbours of a record have its label, and how often the nearest one has it.

    For example:
      vecstore eval retrieve file:./kb articles --label lang -k 1
    """
    condition = parse_where(where)
    with connect(url) as database, progress.show_wait("Measuring", quiet=json):
        store = database.open(name)
        drawn = take_sample(store, sample, seed, condition, least=FEWEST, label=label)
        chosen, labels = choose_labelled(drawn, label)
        figures = measure_neighbours(chosen.vectors, labels, k, metric=store.schema.metric, seed=seed)
    more = {"label": label, "labels": len(set(labels)), "sample": len(chosen), "records": drawn.total}
    print_figures(
        "retrieve", name, figures, basis=f"{describe_sample(chosen)}, {more['labels']:,} labels", seed=seed, json=json,
        more=more, limits=[(figures[0], min_precision, True)],
    )  # fmt: skip


def probe(
    url: Url,
    name: Name,
    label: Label,
    regress: Annotated[bool, typer.Option("--regress", help="The field holds numbers to predict.")] = False,
    where: Where = None,
    sample: Size = 2_000,
    min_value: Annotated[
        float | None, typer.Option("--min", metavar="R", help="Exit code 1 when accuracy, or R², is lower.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure how well a linear model reads a label, or a number, off the vectors: five folds.

    The baseline is to always say the most frequent label, or the mean. Takes the extra `evaluation`.

    For example:
      vecstore eval probe file:./kb words --label kind
    """
    condition = parse_where(where)
    with connect(url) as database, progress.show_wait("Fitting", quiet=json):
        store = database.open(name)
        drawn = take_sample(store, sample, seed, condition, least=2 * FOLDS, label=label)
        left_out = 0
        figures: tuple[Figure, ...]
        if regress:
            rows, numbers = _choose_numbers(drawn, label)
            figures = probe_numbers(rows.vectors, numbers, seed=seed)
        else:
            rows, labels = choose_labelled(drawn, label)
            figures, left_out = probe_labels(rows.vectors, labels, seed=seed)
    rare = f", {left_out:,} with a label of fewer than {FOLDS} records left out" if left_out else ""
    more = {"label": label, "sample": len(rows), "records": drawn.total, "left_out": left_out}
    print_figures(
        "probe", name, figures, basis=describe_sample(rows) + rare, seed=seed, json=json, more=more,
        limits=[(figures[0], min_value, True)],
    )  # fmt: skip


def _choose_numbers(sample: Sample, field: str) -> tuple[Sample, list[float]]:
    values = sample.pick(field)
    rows = [row for row, each in enumerate(values) if isinstance(each, int | float) and not isinstance(each, bool)]
    if not rows:
        raise InvalidArgument(f"None of the {len(sample):,} records has a number in {field!r}. Leave out --regress.")
    return sample.keep(np.array(rows, np.intp)), [float(values[row]) for row in rows]


def cluster(
    url: Url,
    name: Name,
    label: Annotated[
        str | None, typer.Option("--label", metavar="FIELD", help="Compare clusters with this metadata field.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help=f"{', '.join(clusters.METHODS)}.")
    ] = "kmeans",
    k: Annotated[
        int | None, typer.Option("-k", "--clusters", metavar="N", min=2, help="kmeans: how many; by default the best.")
    ] = None,
    where: Where = None,
    sample: Size = DEFAULT_SIZE,
    min_silhouette: Annotated[
        float | None, typer.Option(metavar="R", min=-1, max=1, help="Exit code 1 when the silhouette is lower.")
    ] = None,
    min_nmi: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when NMI is lower.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Divide records into clusters, and measure how separate they are and how they agree with labels.

    The baseline of the silhouette is the same method on shuffled columns, that of NMI and ARI labels in random order.
    Takes the extra `evaluation`.

    For example:
      vecstore eval cluster file:./kb words -k 2 --label kind
    """
    if method not in clusters.METHODS:
        raise Failure(f"--method is one of {', '.join(clusters.METHODS)}, not {method[:60]!r}.")
    if min_nmi is not None and label is None:
        raise Failure("--min-nmi needs --label.")
    condition = parse_where(where)
    with connect(url) as database, progress.show_wait("Clustering", quiet=json):
        store = database.open(name)
        drawn = take_sample(store, sample, seed, condition, least=clusters.FEWEST, label=label)
        labels: list[str] | None = None
        if label is not None:
            drawn, labels = choose_labelled(drawn, label)
        found = find_clusters(drawn.vectors, labels, method=method, k=k, metric=store.schema.metric, seed=seed)
    shown = ", ".join(f"{size:,}" for size in found.sizes[:_LISTED]) + (" …" if len(found.sizes) > _LISTED else "")
    noise = f", and {found.noise:,} records of noise" if found.noise else ""
    more: dict[str, Any] = {"method": method, "sizes": found.sizes, "noise": found.noise, "sample": len(drawn)}
    limits = [(found.figures[0], min_silhouette, True)]
    limits += [(found.figures[1], min_nmi, True)] if labels is not None else []
    print_figures(
        "cluster", name, found.figures, basis=f"{describe_sample(drawn)}, {method}", seed=seed, json=json,
        more=more | {"records": drawn.total}, lines=[f"{len(found.sizes):,} clusters of {shown} records{noise}"],
        limits=limits,
    )  # fmt: skip
