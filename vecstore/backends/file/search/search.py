"""`Backend.search`: choose a strategy, find candidates, score every hit in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Found, Generation, Search
from vecstore.metric import Metric

from ..index.coverage import Coverage
from ..metrics import METRICS, Doubles, Singles
from ..state.reader import Reader
from ..vectors.part import Part
from . import exact_batch, exact_codes, exact_float32
from .filter_cache import FilterMatches, ScanInput
from .graph_search import find_near
from .hits import read_hits
from .plan import Plan, Strategy, choose_plan
from .scoring import Scorer
from .top_k import Answer

_MANY = 8
"""From this many queries on, one matrix product for all is faster."""


@dataclass(frozen=True, slots=True, eq=False)
class SearchContext:
    """What one search reads.

    Attributes
    ----------
    reader : Reader
    metric : Metric
    search : Search
    matches : FilterMatches or None
        The rows that match the filter and have a vector; None without a filter.
    coverage : Coverage or None
        What the graph covers; None where there is none to search.
    """

    reader: Reader
    metric: Metric
    search: Search
    matches: FilterMatches | None
    coverage: Coverage | None

    def list_rids(self) -> NDArray[np.int64]:
        """Return the rids of all matching rows that have a vector."""
        snapshot = self.reader.snapshot
        if self.matches is not None:
            return snapshot.columns.rids[self.matches.keep]
        return np.concatenate([np.empty(0, np.int64), *(part.get_stored_rids() for part in snapshot.vectors.parts)])

    def read_ids(self, rids: NDArray[np.int64]) -> list[str]:
        """Return the ids of rows."""
        return [row[1] for row in self.reader.read_rows(rids.tolist(), whole=False)]

    def restrict(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Return parts with only the matching rows alive."""
        if self.matches is None:
            return parts
        rids = self.list_rids()
        return [some for part in parts if (some := part.restrict(rids)) is not None]


def find_nearest(reader: Reader, search: Search, generation: Generation) -> list[Found]:
    """Return the nearest records of each query; see `Backend.search`.

    ``generation`` says which index is wanted and with what effort, as the catalogue has it now.
    """
    queries, snapshot = search.queries, reader.snapshot
    if not len(queries):
        return []
    metric, index = generation.schema.metric, generation.schema.index
    matches = _match(reader, search)
    coverage = reader.opened.index_cache.find_coverage(snapshot.vectors, snapshot.ledger.index, index)
    matching = snapshot.ledger.vectors if matches is None else matches.count
    if search.exact or coverage is None:
        plan = choose_plan(k=search.k, ef=None, rows=matching, matching=matching, filtered=False)
    else:
        ef = generation.ef if search.ef is None else search.ef
        rows, matching = len(coverage.graph.rids), coverage.count if matches is None else min(matching, coverage.count)
        plan = choose_plan(k=search.k, ef=ef, rows=rows, matching=matching, filtered=matches is not None)
    context = SearchContext(reader, metric, search, matches, coverage)
    scorer = Scorer(METRICS[metric], snapshot.vectors)
    if plan.strategy is Strategy.GRAPH and coverage is not None:
        answers = _answer_by_graph(context, scorer, coverage, plan)
    elif plan.strategy is Strategy.CODES and len(queries) >= _MANY:
        answers = _answer_by_products(context, scorer)
    elif plan.strategy is Strategy.CODES:
        answers = _answer_by_codes(context, scorer, queries)
    elif plan.strategy is Strategy.DIRECT:
        rids = context.list_rids()
        answers = [_keep_best(rids, scorer.score(query, rids), search.k) for query in queries]
    else:
        answers = _answer_in_float32(context, queries, snapshot.vectors.parts)
    return read_hits(reader, search, answers, exact=plan.strategy is not Strategy.GRAPH)


def _match(reader: Reader, search: Search) -> FilterMatches | None:
    if search.where is None:
        return None
    view = reader.snapshot.columns
    known = view.filter_cache.find(search.where)
    return known or view.filter_cache.add(search.where, view.keep_searchable(reader.match_rows(search.where)))


def _answer_by_graph(context: SearchContext, scorer: Scorer, coverage: Coverage, plan: Plan) -> list[Answer]:
    """Answer queries along the graph and, exactly, among the rows that it lacks."""
    queries, k = context.search.queries, context.search.k
    graph, matches = coverage.graph, context.matches
    # Which rows of the graph may be hits, None where all may.
    counts, least = None, coverage.count
    if matches is not None:
        counts = matches.find_graph_rows(coverage, context.reader.snapshot.columns.columns)
        least = int(np.count_nonzero(counts))
    elif coverage.count < len(graph.rids):
        counts = coverage.stored
    near, tails = find_near(graph, queries, plan, k, counts), None
    if matches is None and len(queries) == 1 and coverage.few is not None:
        [(rids, found)] = near
        near = [(np.concatenate((rids, coverage.few)), found)]
    elif coverage.tail:
        tails = _answer_in_float32(context, queries, coverage.tail)
    answers: list[Answer] = []
    for number, ((rids, found), scores) in enumerate(zip(near, scorer.score_each(queries, near), strict=True)):
        if found < min(k, least):
            answers += _answer_by_codes(context, scorer, queries[number : number + 1])
            continue
        if tails:
            rids, scores = np.concatenate((rids, tails[number][0])), np.concatenate((scores, tails[number][1]))
        answers.append((rids, scores) if len(rids) <= k else _keep_best(rids, scores, k))
    return answers


def _answer_by_products(context: SearchContext, scorer: Scorer) -> list[Answer]:
    """Answer many queries by matrix products, and in float32 those for which these prove too little."""
    queries, parts = context.search.queries, context.reader.snapshot.vectors.parts
    found = exact_batch.find_nearest(
        context.metric, context.restrict(parts), queries, context.search.k, partial(scorer.score_pairs, queries)
    )
    return [
        answer or _answer_in_float32(context, query[None, :], parts)[0]
        for answer, query in zip(found, queries, strict=True)
    ]


def _answer_by_codes(context: SearchContext, scorer: Scorer, queries: Singles) -> list[Answer]:
    """Answer queries by codes, and in float32 where there are none or they prove too little."""
    k, answers = context.search.k, list[Answer]()
    for query in queries:
        rows, found = _collect_rows(context), None
        if rows.coded:
            uncoded = (np.empty(0, np.int64), np.empty(0))
            if rows.uncoded:
                uncoded = exact_float32.find_nearest(context.metric, rows.uncoded, query[None, :], k, context.read_ids)[
                    0
                ]
            found = exact_codes.find_nearest(rows.coded, query, k, partial(scorer.score, query), uncoded)
        if found is None:
            found = _answer_in_float32(context, query[None, :], context.reader.snapshot.vectors.parts)[0]
        answers.append(found)
    return answers


def _answer_in_float32(context: SearchContext, queries: Singles, parts: Sequence[Part]) -> list[Answer]:
    """Answer queries by float32 arithmetic over the matching rows of parts."""
    looked_at = context.restrict(parts)
    return exact_float32.find_nearest(context.metric, looked_at, queries, context.search.k, context.read_ids)


def _collect_rows(context: SearchContext) -> ScanInput:
    """Return the matching rows, as codes where there are codes."""
    matches, coverage, snapshot = context.matches, context.coverage, context.reader.snapshot
    if matches is not None and (known := matches.find_scan_input(coverage)) is not None:
        return known
    cache, keep = context.reader.opened.code_cache, None if matches is None else matches.keep
    coded, uncoded = cache.collect_codes(snapshot.vectors, coverage, snapshot.view, keep)
    if matches is None:
        if uncoded:
            cache.encode_segments(snapshot.vectors, uncoded)
        return ScanInput(coverage, coded, uncoded)
    found = ScanInput(coverage, coded, context.restrict(uncoded))
    # Whole segments that have no codes may have some later.
    if not any(part.segment for part in uncoded):
        matches.keep_scan_input(found)
    return found


def _keep_best(rids: NDArray[np.int64], scores: Doubles, k: int) -> Answer:
    """Return the k best rows and those that tie with the last of them."""
    if len(scores) <= k:
        return rids, scores
    best = scores >= np.partition(scores, -k)[-k]
    return rids[best], scores[best]
