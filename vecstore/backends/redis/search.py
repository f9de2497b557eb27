"""A search as a command of the query engine, and hits from its reply: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore import metric
from vecstore.backend import Found, Search
from vecstore.schema import Schema

from ..shared.recheck import LOOKED_AT
from .filters import EVERYTHING, WITH_VECTOR
from .generation_guard import GenerationState
from .keys import PREFIX_PARTS
from .metrics import METRICS, encode_query
from .rows import VECTOR, decode_shown, decode_vectors, list_shown_attributes

DISTANCE = "d"


@dataclass(frozen=True, slots=True, eq=False)
class SearchCommand:
    """A search for one query vector, ready to be sent.

    Attributes
    ----------
    words : list
    exact : bool
        Whether its hits are certain to be the nearest.
    factor : float
        By which the query was lengthened.
    """

    words: list[Any]
    exact: bool
    factor: float


def make_search_commands(
    search: Search, filters: Sequence[str | None], state: GenerationState, schema: Schema, milliseconds: int
) -> list[SearchCommand]:
    """Return the commands of a search: for each query vector one command for each part of the filter."""
    return [
        _make_search_command(search, vector, where, state, schema, milliseconds)
        for vector in search.queries
        for where in filters
    ]


def _make_search_command(
    search: Search,
    vector: NDArray[np.float32],
    where: str | None,
    state: GenerationState,
    schema: Schema,
    milliseconds: int,
) -> SearchCommand:
    k = max(search.k, LOOKED_AT)
    ef = search.ef or state.ef
    exact = search.exact or state.kind != "hnsw" or not ef
    packed, factor = encode_query(schema.metric, schema.dtype, vector)
    text, how = where or "*", ""
    if exact and state.kind == "hnsw":
        # The engine can compare each match of a filter; without a filter it always searches the graph.
        everything = WITH_VECTOR if schema.has_optional_vectors else EVERYTHING
        text, how = where or everything, " HYBRID_POLICY ADHOC_BF"
    elif not exact:
        how = f" EF_RUNTIME {ef}"
    shown = [DISTANCE, *list_shown_attributes(schema, search.include)]
    words = [
        "FT.SEARCH", state.index, f"({text})=>[KNN {k} @{VECTOR} $q{how} AS {DISTANCE}]",
        "PARAMS", 2, "q", packed, "RETURN", len(shown), *shown,
        "LIMIT", 0, k, "TIMEOUT", milliseconds, "DIALECT", 2,
    ]  # fmt: skip
    return SearchCommand(words, exact, factor)


def make_count_command(where: str, index: str, milliseconds: int) -> list[Any]:
    """Return the command that counts matches."""
    return ["FT.SEARCH", index, where, "NOCONTENT", "LIMIT", 0, 0, "TIMEOUT", milliseconds, "DIALECT", 2]


def read_count(reply: Any) -> int | None:
    """Return the count in a reply, or None if it is an error or may be partial."""
    if not isinstance(reply, dict) or reply.get(b"warning"):
        return None
    return int(reply[b"total_results"])


def read_answers(
    replies: Sequence[Any], commands: Sequence[SearchCommand], search: Search, schema: Schema
) -> list[Found]:
    """Return the hits for each query vector, from the replies to the commands of a search."""
    width = len(replies) // len(search.queries)
    return [
        _read_found(replies[start : start + width], commands[start], search, vector, schema)
        for start, vector in zip(range(0, len(replies), width), search.queries, strict=True)
    ]


def _read_found(
    replies: Sequence[Any], command: SearchCommand, search: Search, vector: NDArray[np.float32], schema: Schema
) -> Found:
    results = replies[0][b"results"]
    if len(replies) > 1:
        results = {each[b"id"]: each for reply in replies for each in reply[b"results"]}.values()
    ids = [each[b"id"].split(b":", PREFIX_PARTS)[-1].decode() for each in results]
    hashes = [each[b"extra_attributes"] for each in results]
    if schema.dtype == "float16":
        # The engine rounds the query to float16 too. The stored vectors give exact scores.
        vectors = decode_vectors([each[b"vector"] for each in hashes], schema, ids)
        scores = metric.score_rows(schema.metric, vectors, vector)
    else:
        distances = np.array([float(each[b"d"]) for each in hashes], np.float32)
        scores = METRICS[schema.metric].score(distances.astype(np.float64), command.factor)
    return Found(decode_shown(ids, hashes, search.include, schema), scores, exact=command.exact)
