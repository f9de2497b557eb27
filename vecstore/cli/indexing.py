"""`vecstore reindex`, `calibrate` and `recall`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .. import IndexStatus, MilvusIndex, connect
from . import output, progress
from .declarations import name_index, parse_index
from .exits import NEGATIVE
from .options import IndexKind, Json, Name, Url, Where, parse_where


def reindex(
    url: Url,
    name: Name,
    index: IndexKind = None,
    m: Annotated[int | None, typer.Option(metavar="N", help="hnsw: neighbours of a record.")] = None,
    ef_construction: Annotated[int | None, typer.Option(metavar="N", help="hnsw: effort while building.")] = None,
    target_recall: Annotated[
        float | None, typer.Option(metavar="R", help="hnsw: the recall that searches are calibrated to.")
    ] = None,
    json: Json = False,
) -> None:
    """Build the index again, with new options if given.

    The new index is calibrated. The store can be used meanwhile.

    For example:
      vecstore reindex file:./kb articles
      vecstore reindex file:./kb articles --index hnsw --m 32
      vecstore reindex "postgresql://localhost/app?vectors=milvus://localhost:19530" articles --index ivf_flat,nlist=128
    """
    wanted = parse_index(index, m, ef_construction, target_recall)
    with connect(url) as database:
        store = database.open(name)
        with progress.meter("Indexing", quiet=json) as meter:
            store.reindex(wanted, on_progress=meter)
        status, kind = store.index_status(), name_index(store.schema.index)
    if json:
        output.print_json({"store": name, "index": store.schema.to_dict()["index"], "index_status": asdict(status)})
    elif status.state == "none":
        output.say(f"{name} has no graph: every search over its {status.rows:,} records is exact. {status.reason}")
    else:
        effort = f"search effort {describe_effort(status)}.{_explain(status)}"
        output.say(f"{name}: {describe_index(status, kind)}; {effort}")


def _explain(status: IndexStatus) -> str:
    """Say why an index that was built is not used yet, and what ends that."""
    if status.state == "ready" or status.reason is None:
        return ""
    is_awaited = status.state == "building" and status.kind == MilvusIndex.kind and status.ef is None
    return f" {status.reason}{' `vecstore follow --once` waits for it and measures it.' if is_awaited else ''}"


def calibrate(url: Url, name: Name, json: Json = False) -> None:
    """Measure which search effort reaches the target recall.

    `reindex` does this too. Run it when newly added data differ from the old.

    For example:
      vecstore calibrate file:./kb articles
    """
    with connect(url) as database:
        store = database.open(name)
        with progress.meter("Calibrating", quiet=json) as meter:
            store.calibrate(on_progress=meter)
        status = store.index_status()
    if json:
        output.print_json({"store": name, "index_status": asdict(status)})
    elif status.state == "none":
        output.say(f"{name} has no graph to calibrate: every search is exact. {status.reason}")
    else:
        output.say(f"{name}: search effort {describe_effort(status)}.")


def recall(
    url: Url,
    name: Name,
    queries: Annotated[int, typer.Option(metavar="N", min=1, help="How many stored vectors to use as queries.")] = 200,
    k: Annotated[
        int, typer.Option("-k", "--limit", metavar="N", min=1, max=1_000, help="How many records each search finds.")
    ] = 10,
    where: Where = None,
    min_recall: Annotated[
        float | None, typer.Option(metavar="N", min=0, max=1, help="Exit code 1 when the mean is lower.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure how many of the nearest records a search finds.

    Searches for stored vectors, once with the index and once exactly; 1 is perfect.

    For example:
      vecstore recall file:./kb articles --min-recall 0.95
    """
    with connect(url) as database, progress.show_wait("Measuring", quiet=json):
        found = database.open(name).measure_recall(queries, k, where=parse_where(where))
    enough = min_recall is None or found.mean >= min_recall
    if json:
        output.print_json({"store": name, **asdict(found), "enough": enough})
    else:
        output.say(
            f"recall@{found.k} {found.mean:.4f} (5th percentile {found.p5:.4f}, worst {found.minimum:.4f}) "
            f"over {found.queries:,} queries"
        )
    if not enough:
        raise typer.Exit(NEGATIVE)


def describe_index(status: IndexStatus, kind: str) -> str:
    """Describe what an index of some kind covers."""
    if status.state == "none":
        return f"{kind} (every search is exact)"
    vectors = status.rows - status.without_vector
    return f"{kind}, {status.state}, {status.indexed:,} of {vectors:,} records in it"


def describe_effort(status: IndexStatus) -> str:
    """Describe the calibrated search effort."""
    return "none: searches are exact" if status.ef is None else f"{status.ef} for recall {status.target_recall:g}"
