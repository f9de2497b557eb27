"""Building a graph over all rows, and adding rows to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecstore.index_options import HNSW
from vecstore.metric import Metric

from ..metrics import RoundingError, Singles
from ..search.codes import Codes, Coding, find_largest
from ..search.graph import Graph, assemble_graph, open_scanner
from .duplicates import DistinctCodes, Nodes
from .row_order import restore_order
from .stored_rows import Run

_CHUNK = 512
"""Rows that are encoded in one step; FAISS is fastest with many at once."""

Runs = Callable[[], Iterator[Run]]
"""Gives the same rows each time it is called."""
Report = Callable[[int], None]
"""Called with how many rows are in the graph."""


class TooLarge(Exception):
    """A row does not fit the coding of a graph, which has to be built again."""


@dataclass(frozen=True, slots=True, eq=False)
class Withheld:
    """Rows that a graph gets last, to be measured with before.

    Attributes
    ----------
    rids : ndarray of int64, shape (n,)
        Rising.
    measure : callable
        Called with the graph that lacks them and with those of their vectors that it has no copy of, shape (m, dim).
    """

    rids: NDArray[np.int64]
    measure: Callable[[Graph, Singles], None]


def build_graph(
    metric: Metric,
    dim: int,
    options: HNSW,
    runs: Runs,
    last: int,
    report: Report,
    count: int = 0,
    withheld: Withheld | None = None,
) -> Graph:
    """Build a graph over all rows up to ``last``, about ``count`` of them; ``options`` give every number."""
    import faiss

    coding = Coding.fit(metric, dim, 0.0)
    if not coding.is_normalised:
        coding = Coding.fit(metric, dim, max((find_largest(run.vectors) for run in runs()), default=0.0))
    index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_fp16, options.m, coding.faiss_metric)
    (ef_construction,) = options.list_ef_constructions()
    index.hnsw.efConstruction = ef_construction
    nothing = np.empty(0, np.int64)
    codes = Codes(coding, open_scanner(index), RoundingError())
    empty = Graph(index, codes, nothing, nothing.astype(np.int32), 0, options.m, ef_construction)
    return extend_graph(empty, runs, last, report, count, withheld)


def extend_graph(
    graph: Graph, runs: Runs, last: int, report: Report, count: int = 0, withheld: Withheld | None = None
) -> Graph:
    """Return a graph with about ``count`` further rows; the given one must not be used afterwards.

    Raises
    ------
    TooLarge
    """
    coding, scanner = graph.codes.coding, graph.codes.scanner
    if not (coding.is_normalised or all(coding.fits(run.vectors) for run in runs())):
        raise TooLarge
    # Keep neighbours that the heuristic drops while a list has free places. Without them, many rows of differing
    # norms cannot be reached: recall@10 of static word vectors ended at 0.96 under l2.
    graph.index.keep_max_size_level0 = not coding.is_normalised
    _reserve(graph, count)
    distinct = DistinctCodes(scanner)
    if withheld is None:
        return _add_runs(graph, distinct, runs(), last, report)
    graph = _add_runs(graph, distinct, _select_rows(runs(), withheld.rids, inside=False), last, report)
    some = list(_select_rows(runs(), withheld.rids, inside=True))
    vectors = np.concatenate([run.vectors for run in some])
    coded = scanner.sa_encode(coding.form(vectors, np.concatenate([run.norms for run in some])))
    withheld.measure(graph, vectors[distinct.find_new(coded)].astype(np.float32))
    return restore_order(_add_runs(graph, distinct, some, last, report))


def _select_rows(runs: Iterable[Run], rids: NDArray[np.int64], *, inside: bool) -> Iterator[Run]:
    """Yield the rows that are, or are not, among some rids."""
    for run in runs:
        chosen = np.isin(run.rids, rids, assume_unique=True, invert=not inside)
        if chosen.any():
            yield Run(run.rids[chosen], run.vectors[chosen], run.norms[chosen])


def _add_runs(graph: Graph, distinct: DistinctCodes, runs: Iterable[Run], last: int, report: Report) -> Graph:
    coding, error, scanner = graph.codes.coding, graph.codes.error, graph.codes.scanner
    rids, nodes = [graph.rids], [graph.nodes]
    done = len(graph)
    # FAISS keeps memory per thread: one thread for all runs, which ends with them.
    with ThreadPoolExecutor(1, "vecstore") as pool:
        for run in runs:
            placed, added = pool.submit(_add_run, graph, distinct, run).result()
            error |= added
            rids.append(run.rids)
            nodes.append(placed)
            done += len(run.rids)
            report(done)
    return assemble_graph(
        graph.index, Codes(coding, scanner, error), np.concatenate(rids), np.concatenate(nodes), last,
        graph.m, graph.ef_construction,
    )  # fmt: skip


def _reserve(graph: Graph, count: int) -> None:
    """Reserve memory for further rows; growing step by step would leave half as much again unused."""
    codes, links = graph.codes.scanner.codes, graph.index.hnsw.neighbors
    for vector, each in ((codes, int(graph.codes.scanner.code_size)), (links, 2 * graph.m + 2)):
        size = vector.size()
        vector.resize(size + count * each)
        vector.resize(size)


def _add_run(graph: Graph, distinct: DistinctCodes, run: Run) -> tuple[Nodes, RoundingError]:
    """Add the rows whose codes are new; return the nodes of all rows, and what encoding lost."""
    coding, scanner, error = graph.codes.coding, graph.codes.scanner, RoundingError()
    formed: Singles = np.empty(run.vectors.shape, np.float32)
    for start in range(0, len(formed), _CHUNK):
        some = slice(start, start + _CHUNK)
        formed[some] = coding.form(run.vectors[some], run.norms[some])
        error |= coding.measure_error(scanner, formed[some])
    placed, begins = distinct.assign_nodes(scanner.sa_encode(formed))
    graph.index.add(formed if len(begins) == len(formed) else formed[begins])
    return placed, error
