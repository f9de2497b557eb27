"""What `Backend.search` reads: a way is chosen, candidates are found, and every hit is scored in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Found, Generation, Rows, Search
from vecstore.rows.vectors import row_norms

from ..filters import mask
from ..index.coverage import Coverage
from ..state.columns import View
from ..state.fields import Mask
from ..state.open_generation import Volume
from ..state.reads import assembled, fetched, looked_up, steadily
from ..state.rows import Values
from ..state.snapshot import Snapshot
from ..storage.connections import Link
from ..vectors.vectors import Part
from . import exact_batch, exact_codes, exact_float32
from .bounds import METRICS, Doubles
from .codes import Singles
from .faiss_threads import cores, together
from .filter_cache import Choice, Split
from .plan import Plan, Way, planned
from .walk import places_near

_MANY = 8
"""So many queries are worth a matrix product."""

_IDS = 2_000
_PAIRS = 512
"""So many pairs are scored in one step: what it needs stays near the processor."""

Answer = tuple[NDArray[np.int64], Doubles]
"""Rids and scores, the k best among them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What one search looks at.

    Attributes
    ----------
    choice : Choice or None
        What the filter chooses.
    coverage : Coverage or None
    matching : int
        How many rows match.
    """

    volume: Volume
    link: Link
    snapshot: Snapshot
    wanted: Search
    choice: Choice | None
    coverage: Coverage | None
    matching: int

    @property
    def keep(self) -> Mask | None:
        """Which rows of the snapshot's view match the filter."""
        return None if self.choice is None else self.choice.keep

    def score(self, query: Singles, rids: NDArray[np.int64]) -> Doubles:
        """Score rows against one query."""
        if len(rids) > _PAIRS:
            return self.score_pairs(query[None, :], rids, np.zeros(len(rids), np.int64))
        vectors = self.snapshot.vectors.gather(rids).astype(np.float64)
        asked = query.astype(np.float64)[None, :]
        return METRICS[self.volume.schema.metric].scores(vectors, asked, row_norms(vectors), row_norms(asked))

    def score_pairs(self, queries: Singles, rids: NDArray[np.int64], owners: NDArray[np.int64]) -> Doubles:
        """Score rows against the queries of those numbers."""
        asked = queries.astype(np.float64)
        norms = row_norms(asked)
        scoring = METRICS[self.volume.schema.metric]

        def scored(some: slice) -> Doubles:
            vectors = self.snapshot.vectors.gather(rids[some]).astype(np.float64)
            whose = owners[some]
            return scoring.scores(vectors, asked[whose], row_norms(vectors), norms[whose])

        parts = [slice(start, start + _PAIRS) for start in range(0, len(rids), _PAIRS)]
        if len(parts) <= 1:
            return scored(slice(None))
        hands = together([partial(_each, scored, parts[hand :: cores()]) for hand in range(cores())])
        result = np.empty(len(rids))
        for hand, found in enumerate(hands):
            for some, scores in zip(parts[hand :: cores()], found, strict=True):
                result[some] = scores
        return result

    def rids(self) -> NDArray[np.int64]:
        """Return the rids of all matching rows."""
        if self.keep is not None:
            return self.snapshot.columns.rids[self.keep]
        return np.concatenate([np.empty(0, np.int64), *(part.stored_rids() for part in self.snapshot.vectors.parts)])

    def ids_of(self, rids: NDArray[np.int64]) -> list[str]:
        """Return the ids of rows."""
        return [row[1] for row in fetched(self.volume, self.link, rids, whole=False)]

    def restricted(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Return parts with only the matching rows alive."""
        if self.keep is None:
            return parts
        rids = self.rids()
        return [some for part in parts if (some := part.restricted(rids)) is not None]


def _each(scored: Callable[[slice], Doubles], parts: Sequence[slice]) -> list[Doubles]:
    return [scored(part) for part in parts]


def search(volume: Volume, wanted: Search, generation: Generation) -> list[Found]:
    """Return the nearest records of each query; see `Backend.search`.

    ``generation`` says which index is wanted and with what effort, as the catalogue has it now.
    """
    if not len(wanted.queries):
        return []

    def read(link: Link, snapshot: Snapshot) -> list[Found]:
        scene = _scene(volume, link, snapshot, wanted, generation)
        answers, exact = _answers(scene, _plan(scene, generation))
        return _founds(scene, answers, exact=exact)

    # For very many hits, it is worth knowing all ids.
    return steadily(volume, read, view=wanted.where is not None or len(wanted.queries) * wanted.k > _IDS)


def _scene(volume: Volume, link: Link, snapshot: Snapshot, wanted: Search, generation: Generation) -> _Scene:
    choice = None
    if wanted.where is not None:
        view = snapshot.columns
        choice = view.choices.of(wanted.where, partial(mask, wanted.where, view))
    matching = snapshot.ledger.tables["rows"].count if choice is None else choice.count
    coverage = volume.shelf.coverage(snapshot.vectors, snapshot.ledger.index, generation.schema.index)
    return _Scene(volume, link, snapshot, wanted, choice, coverage, matching)


def _plan(scene: _Scene, generation: Generation) -> Plan:
    wanted, coverage = scene.wanted, scene.coverage
    if wanted.exact or coverage is None:
        return planned(k=wanted.k, ef=None, rows=scene.matching, matching=scene.matching, filtered=False)
    ef = generation.ef if wanted.ef is None else wanted.ef
    filtered = scene.keep is not None
    matching = min(scene.matching, coverage.count) if filtered else coverage.count
    return planned(k=wanted.k, ef=ef, rows=len(coverage.graph), matching=matching, filtered=filtered)


def _answers(scene: _Scene, plan: Plan) -> tuple[list[Answer], bool]:
    """Return an answer to each query, and whether they are exact."""
    queries = scene.wanted.queries
    if plan.way is Way.GRAPH and scene.coverage is not None:
        return _by_graph(scene, scene.coverage, plan), False
    if plan.way is Way.DIRECT:
        rids = scene.rids()
        return [_best(rids, scene.score(query, rids), scene.wanted.k) for query in queries], True
    if plan.way is Way.CODES:
        if len(queries) < _MANY:
            return [_by_codes(scene, query) for query in queries], True
        found = exact_batch.nearest(
            scene.volume.schema.metric, scene.restricted(scene.snapshot.vectors.parts), queries, scene.wanted.k,
            partial(scene.score_pairs, queries),
        )  # fmt: skip
        return [
            answer or _plainly(scene, query[None, :])[0] for answer, query in zip(found, queries, strict=True)
        ], True
    return _plainly(scene, queries), True


def _plainly(scene: _Scene, queries: Singles, parts: Sequence[Part] | None = None) -> list[Answer]:
    """Answer queries by float32 arithmetic over rows, all of them where no parts are given."""
    looked_at = scene.restricted(scene.snapshot.vectors.parts if parts is None else parts)
    return exact_float32.nearest(scene.volume.schema.metric, looked_at, queries, scene.wanted.k, scene.ids_of)


def _by_codes(scene: _Scene, query: Singles) -> Answer:
    """Answer a query by codes, and by plain arithmetic where there are none or they prove too little."""
    split = _split(scene)
    if not split.sheets:
        return _plainly(scene, query[None, :])[0]
    beside = (np.empty(0, np.int64), np.empty(0))
    if split.rest:
        beside = exact_float32.nearest(
            scene.volume.schema.metric, split.rest, query[None, :], scene.wanted.k, scene.ids_of
        )[0]
    found = exact_codes.nearest(split.sheets, query, scene.wanted.k, partial(scene.score, query), beside)
    return found or _plainly(scene, query[None, :])[0]


def _split(scene: _Scene) -> Split:
    """Return what there is as codes and what is not, of the matching rows only."""
    shelf, vectors, choice = scene.volume.shelf, scene.snapshot.vectors, scene.choice
    if choice and choice.split and choice.split.of is scene.coverage:
        return choice.narrowed(choice.split)
    sheets, rest = shelf.sheets(vectors, scene.coverage, scene.snapshot.view, scene.keep)
    if choice is None:
        if rest:
            shelf.learn(vectors, rest)
        return Split(scene.coverage, sheets, rest)
    split = Split(scene.coverage, sheets, scene.restricted(rest))
    # Segments that have no codes may have some later.
    lasting = {id(segment.vectors) for segment in vectors.segments}
    if not any(id(part.vectors) in lasting for part in rest):
        choice.split = split
    return split


def _by_graph(scene: _Scene, coverage: Coverage, plan: Plan) -> list[Answer]:
    """Answer queries along the graph and, exactly, among the rows that it lacks."""
    graph, k = coverage.graph, scene.wanted.k
    counts = _counts(scene, coverage)
    least = min(k, coverage.count if counts is None else int(np.count_nonzero(counts)))
    answers: list[Answer] = []
    tails = _plainly(scene, scene.wanted.queries, coverage.tail) if coverage.tail else None
    for number, query in enumerate(scene.wanted.queries):
        places, found = places_near(graph, query, plan, k, counts)
        if found < least:
            answers.append(_by_codes(scene, query))
            continue
        rids = graph.rids[places]
        scores = scene.score(query, rids)
        if tails:
            rids, scores = np.concatenate((rids, tails[number][0])), np.concatenate((scores, tails[number][1]))
        answers.append(_best(rids, scores, k))
    return answers


def _counts(scene: _Scene, coverage: Coverage) -> Mask | None:
    """Return which rows of the graph may be hits, None where all may."""
    choice = scene.choice
    if choice is not None:
        if choice.nodes is None or choice.nodes[0] is not coverage:
            choice.nodes = coverage, coverage.matching(choice.keep, scene.snapshot.columns.columns)
            choice.size += len(choice.nodes[1])
        return choice.nodes[1]
    return None if coverage.count == len(coverage.graph) else coverage.stored


def _best(rids: NDArray[np.int64], scores: Doubles, k: int) -> Answer:
    """Return the k best rows and those that tie with the last of them."""
    if len(scores) <= k:
        return rids, scores
    best = scores >= np.partition(scores, -k)[-k]
    return rids[best], scores[best]


def _founds(scene: _Scene, answers: Sequence[Answer], *, exact: bool) -> list[Found]:
    # With a least score, hits may be missing that the graph did not come to.
    complete = exact or scene.wanted.min_score is None
    if scene.snapshot.view and not scene.wanted.include:
        bare = _bare(scene.snapshot.view, [rids for rids, _ in answers])
        return [Found(some, scores, exact, complete) for some, (_, scores) in zip(bare, answers, strict=True)]
    together = answers[0][0] if len(answers) == 1 else np.unique(np.concatenate([rids for rids, _ in answers]))
    whole = bool({"text", "metadata"} & scene.wanted.include)
    rows = looked_up(scene.volume, scene.link, together.tolist(), whole=whole)
    if len(answers) == 1:
        return [_found(scene, rows, answers[0], exact=exact, complete=complete)]
    known = dict(zip(together.tolist(), rows, strict=True))
    return [
        _found(scene, [known[rid] for rid in answer[0].tolist()], answer, exact=exact, complete=complete)
        for answer in answers
    ]


def _found(scene: _Scene, rows: Sequence[Values], answer: Answer, *, exact: bool, complete: bool) -> Found:
    rids, scores = answer
    return Found(assembled(scene.volume, scene.snapshot, rows, rids, scene.wanted.include), scores, exact, complete)


def _bare(view: View, rids: Sequence[NDArray[np.int64]]) -> list[Rows]:
    """Return stored rows of which nothing but their ids is wanted, those of each query."""
    places = np.searchsorted(view.rids, np.concatenate(rids))
    ids, versions = view.ids(places), view.versions[places].tolist()
    ends = list(accumulate(map(len, rids), initial=0))
    return [Rows(ids[start:end], None, None, None, None, versions[start:end]) for start, end in pairwise(ends)]
