"""Hits: reading the ids, texts, metadata and vectors of the rows that a search found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Found, Rows, Search

from ..state.columns import View
from ..state.reader import Reader
from .top_k import Answer

_IDS = 2_000
"""For more hits than this, of which nothing but the ids is wanted, loading all ids is faster than reading rows."""


def needs_view(search: Search) -> bool:
    """Say whether a search needs the ids and fields of all rows."""
    return search.where is not None or (not search.include and len(search.queries) * search.k > _IDS)


def read_hits(reader: Reader, search: Search, answers: Sequence[Answer], *, exact: bool) -> list[Found]:
    """Return the answers with the columns that are asked for."""
    include = search.include
    # Under a least score, hits may be missing that the graph search did not find.
    complete = exact or search.min_score is None
    if reader.snapshot.view and not include:
        bare = _list_ids(reader.snapshot.view, [rids for rids, _ in answers])
        return [Found(some, scores, exact, complete) for some, (_, scores) in zip(bare, answers, strict=True)]
    cache, whole = reader.opened.row_cache, bool({"text", "metadata"} & include)
    if len(answers) == 1:
        each = [cache.read(reader, answers[0][0].tolist(), whole=whole)]
    else:
        every = np.unique(np.concatenate([rids for rids, _ in answers])).tolist()
        known = dict(zip(every, cache.read(reader, every, whole=whole), strict=True))
        each = [[known[rid] for rid in rids.tolist()] for rids, _ in answers]
    hits = []
    for rows, (rids, scores) in zip(each, answers, strict=True):
        vectors = reader.gather_vectors(rows, rids) if "vector" in include else None
        hits.append(Found(reader.opened.row_format.assemble(rows, include, vectors), scores, exact, complete))
    return hits


def _list_ids(view: View, rids: Sequence[NDArray[np.int64]]) -> list[Rows]:
    """Return rows of which nothing but their ids is wanted, those of each query."""
    places = np.searchsorted(view.rids, np.concatenate(rids))
    ids, versions = view.get_ids(places), view.versions[places].tolist()
    ends = list(accumulate(map(len, rids), initial=0))
    return [Rows(ids[start:end], None, None, None, None, versions[start:end]) for start, end in pairwise(ends)]
