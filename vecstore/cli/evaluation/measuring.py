"""`vecstore eval drift`, `outliers`, `health` and `dedup`: what vectors are like."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ... import connect
from ...errors import DimensionMismatch
from ...evaluation import (
    Figure,
    find_duplicates,
    find_outliers,
    measure_detection,
    measure_drift,
    measure_health,
)
from ...evaluation import drift as drifts
from ...evaluation import health as healths
from .. import output, progress
from ..exits import Failure
from ..options import Json, Name, Url, Where, parse_json, parse_where
from .answers import print_figures, show
from .samples import DEFAULT_SIZE, Seed, Size, describe_sample, take_sample

_LISTED = 20
_GROUPS, _MEMBERS = 10, 5


def drift(
    url: Url,
    name: Name,
    where: Where = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="NAME", help="The later store; by default the same one.")
    ] = None,
    against_url: Annotated[
        str | None, typer.Option("--against-url", metavar="URL", help="Where that store is, if elsewhere.")
    ] = None,
    against_where: Annotated[
        str | None, typer.Option("--against-where", metavar="JSON", help="Which of its records.")
    ] = None,
    sample: Size = 2_000,
    max_auc: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when a classifier tells them apart.")
    ] = None,
    max_js: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when mean JS is higher.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Compare two sets of vectors: two stores, or two parts of one.

    JS and KL along principal axes, MMD² with its p, and a classifier that tries to tell the sets apart. The baseline is
    a random division of the same records. Takes the extra `evaluation`.

    For example:
      vecstore eval drift file:./kb words --where '{"kind": "a"}' --against-where '{"kind": "b"}' --json
    """
    if against is None and against_url is None and against_where is None:
        raise Failure("Name what to compare with: --against NAME, --against-url URL or --against-where JSON.")
    first, second = parse_where(where), parse_other(against_where)
    other = against or name
    with ExitStack() as stack:
        before = stack.enter_context(connect(url))
        after = stack.enter_context(connect(against_url)) if against_url is not None else before
        stack.enter_context(progress.show_wait("Comparing", quiet=json))
        stores = [before.open(name), after.open(other)]
        dims = [store.schema.dim for store in stores]
        if dims[0] != dims[1]:
            raise DimensionMismatch(f"Vectors of {dims[0]} and of {dims[1]} dimensions cannot be compared.")
        parts = [
            take_sample(store, sample, seed, condition, least=drifts.FEWEST)
            for store, condition in zip(stores, (first, second), strict=True)
        ]
        found = measure_drift(parts[0].vectors, parts[1].vectors, seed=seed)
    axes = ", ".join(f"{axis.js:.3f}" for axis in found.axes)
    more = {"against": other, "p": found.p, "axes": [asdict(axis) for axis in found.axes]}
    basis = " against ".join(describe_sample(part) for part in parts)
    print_figures(
        "drift", name, found.figures, basis=f"{basis}; MMD² of at most {drifts.MMD_ROWS:,} each", seed=seed, json=json,
        more=more | {"samples": [len(part) for part in parts]},
        lines=[f"MMD²: p = {found.p:.3f}, of 200 permutations", f"JS of each axis: {axes}"],
        limits=[(found.figures[3], max_auc, False), (found.figures[0], max_js, False)],
    )  # fmt: skip


def parse_other(text: str | None) -> dict[str, Any] | None:
    """Return the filter that ``--against-where`` holds, in its dict form."""
    if text is None:
        return None
    value = parse_json(text, "--against-where", "'{\"year\": 2024}'")
    if not isinstance(value, dict) or not value:
        raise Failure("--against-where is not a JSON object with a condition. Write it like '{\"year\": 2024}'.")
    return value


def outliers(
    url: Url,
    name: Name,
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, max=1_000, help="How many neighbours count.")] = 10,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many records to list.")] = _LISTED,
    known: Annotated[
        str | None, typer.Option("--known", metavar="JSON", help="A filter for known outliers: measure detection.")
    ] = None,
    where: Where = None,
    sample: Size = DEFAULT_SIZE,
    min_auc: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="With --known: exit code 1 when the AUC is lower.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """List the records that are farthest from their nearest neighbours in the store.

    For example:
      vecstore eval outliers file:./kb words --top 3
    """
    if min_auc is not None and known is None:
        raise Failure("--min-auc needs --known.")
    condition, odd = parse_where(where), parse_where(known)
    with connect(url) as database, progress.show_wait("Searching", quiet=json):
        store = database.open(name)
        drawn = take_sample(store, sample, seed, condition, least=3)
        marked = {record.id for record in store.scan(odd, include=())} if odd is not None else set[str]()
        found = find_outliers(store, drawn, k, where=condition)
    figures, limits = [found.figure], list[tuple[Figure, float | None, bool]]()
    if odd is not None:
        figures.append(measure_detection(found.distances, [id_ in marked for id_ in found.ids], seed=seed))
        limits.append((figures[1], min_auc, True))
    listed = list(zip(found.ids[:top], found.distances[:top].tolist(), strict=True))
    print_figures(
        "outliers", name, figures, basis=describe_sample(drawn), seed=seed, json=json, limits=limits,
        more={"outliers": [{"id": id_, "distance": far} for id_, far in listed], "sample": len(drawn)},
        lines=[f"{show(far)}  {output.escape_controls(id_)}" for id_, far in listed],
    )  # fmt: skip


def health(
    url: Url,
    name: Name,
    where: Where = None,
    sample: Size = DEFAULT_SIZE,
    max_hubness: Annotated[float | None, typer.Option(metavar="R", help="Exit code 1 when hubs are worse.")] = None,
    max_anisotropy: Annotated[
        float | None, typer.Option(metavar="R", min=-1, max=1, help="Exit code 1 when the mean cosine is higher.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Look at lengths, zeros, copies, direction, hubs and intrinsic dimension.

    The baseline is as many random directions in as many dimensions.

    For example:
      vecstore eval health file:./kb words
    """
    condition = parse_where(where)
    with connect(url) as database, progress.show_wait("Measuring", quiet=json):
        store = database.open(name)
        drawn = take_sample(store, sample, seed, condition, least=healths.FEWEST)
        found = measure_health(drawn.vectors, metric=store.schema.metric, seed=seed)
    low, p5, middle, p95, high = map(show, found.norms)
    print_figures(
        "health", name, found.figures, basis=describe_sample(drawn), seed=seed, json=json,
        more={"norms": found.norms, "zeros": found.zeros, "duplicates": found.duplicates, "sample": len(drawn)},
        lines=[
            f"length: {low} to {high}, median {middle}, 90 % from {p5} to {p95}",
            f"zero vectors: {found.zeros:,}; copies of an earlier vector: {found.duplicates:,}",
        ],
        limits=[(found.figures[1], max_hubness, False), (found.figures[0], max_anisotropy, False)],
    )  # fmt: skip


def dedup(
    url: Url,
    name: Name,
    threshold: Annotated[
        float, typer.Option("--threshold", metavar="SCORE", help="Records with this score or a higher one are alike.")
    ] = 0.95,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every record, without the index.")] = False,
    where: Where = None,
    sample: Size = DEFAULT_SIZE,
    max_share: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="Exit code 1 when more records have a twin.")
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Group records that are nearly the same.

    For example:
      vecstore eval dedup file:./kb words --threshold 0.99
    """
    condition = parse_where(where)
    with connect(url) as database, progress.show_wait("Searching", quiet=json):
        store = database.open(name)
        drawn = take_sample(store, sample, seed, condition, least=2)
        found = find_duplicates(store, drawn, threshold, where=condition, exact=exact)
    sizes = Counter(map(len, found.groups))
    shown = [
        ", ".join(map(output.escape_controls, group[:_MEMBERS]))
        + (f" and {len(group) - _MEMBERS:,} more" if len(group) > _MEMBERS else "")
        for group in found.groups[:_GROUPS]
    ]
    missed = "" if found.exact else "; the index may have missed some, --exact does not"
    print_figures(
        "dedup", name, [found.figure], basis=describe_sample(drawn) + missed, seed=seed, json=json,
        more={"groups": found.groups, "exact": found.exact, "threshold": threshold, "sample": len(drawn)},
        lines=[f"{len(found.groups):,} groups, the largest of {max(sizes, default=0):,}", *shown],
        limits=[(found.figure, max_share, False)],
    )  # fmt: skip
