"""A search as a command of the query engine, and its reply as what was found: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vecstore import metric
from vecstore.backend import Found, Rows, Search
from vecstore.schema import Schema

from .filters import EVERYTHING
from .metrics import METRICS, prepared
from .rows import EXTRA, TEXT, VECTOR, attribute, extras_of, fields_of, matrix, shown_attributes, texts_of

DISTANCE = "d"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a search has to know of a generation, as the server has it.

    Attributes
    ----------
    role : str
        ``active``, ``building`` or ``previous``; empty where there is no such generation.
    epoch : int
        How often the role has changed.
    index : str
        The name of its index.
    kind : str
        ``flat`` or ``hnsw``.
    ef : int or None
        The calibrated effort.
    """

    role: str
    epoch: int
    index: str
    kind: str
    ef: int | None

    ATTRIBUTES: ClassVar = ("role", "epoch", "index", "kind", "ef")

    @classmethod
    def of(cls, reply: Sequence[bytes | None]) -> Standing:
        """Read the values of `ATTRIBUTES`."""
        role, epoch, index, kind, ef = (None if each is None else each.decode() for each in reply)
        return cls(role or "", int(epoch or 0), index or "", kind or "", int(ef) if ef else None)

    @property
    def standby(self) -> bool:
        """Whether it is not the active one."""
        return self.role != "active"


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A search for one query, ready to be sent.

    Attributes
    ----------
    command : list
    exact : bool
        Whether the answer will be.
    factor : float
        By which the query was lengthened.
    """

    command: list[Any]
    exact: bool
    factor: float


def wish(
    search: Search,
    vector: NDArray[np.float32],
    where: str | None,
    standing: Standing,
    schema: Schema,
    k: int,
    milliseconds: int,
) -> Wish:
    """Return the command that finds the ``k`` records nearest to a vector, among those that match a query."""
    ef = search.ef or standing.ef
    exact = search.exact or standing.kind != "hnsw" or not ef
    packed, factor = prepared(schema.metric, schema.dtype, vector)
    text, how = where or "*", ""
    if exact and standing.kind == "hnsw":
        # With a filter the engine can compare each match; without one it always walks the graph.
        text, how = where or EVERYTHING, " HYBRID_POLICY ADHOC_BF"
    elif not exact:
        how = f" EF_RUNTIME {ef}"
    shown = [DISTANCE, *shown_attributes(schema, search.include)]
    command = [
        "FT.SEARCH", standing.index, f"({text})=>[KNN {k} @{VECTOR} $q{how} AS {DISTANCE}]",
        "PARAMS", 2, "q", packed, "RETURN", len(shown), *shown,
        "LIMIT", 0, k, "TIMEOUT", milliseconds, "DIALECT", 2,
    ]  # fmt: skip
    return Wish(command, exact, factor)


def counting(where: str, index: str, milliseconds: int) -> list[Any]:
    """Return the command that counts matches."""
    return ["FT.SEARCH", index, where, "NOCONTENT", "LIMIT", 0, 0, "TIMEOUT", milliseconds, "DIALECT", 2]


def counted(reply: Any) -> int | None:
    """Return what a count says, None where it is no answer."""
    if not isinstance(reply, dict) or reply.get(b"warning"):
        return None
    return int(reply[b"total_results"])


def found(
    replies: Sequence[Any], asked: Wish, search: Search, vector: NDArray[np.float32], schema: Schema, prefix: int
) -> Found:
    """Return what the replies of the parts of a filter hold; a record's id is its key without ``prefix`` bytes."""
    results = replies[0][b"results"]
    if len(replies) > 1:
        results = {each[b"id"]: each for reply in replies for each in reply[b"results"]}.values()
    ids = [each[b"id"][prefix:].decode() for each in results]
    values = [each[b"extra_attributes"] for each in results]
    rows = _rows(ids, values, search, schema)
    if schema.dtype == "float16":
        # The engine rounds a query to float16, too; the stored vectors tell exactly.
        vectors = matrix([each[b"vector"] for each in values], schema, ids)
        return Found(rows, metric.scores(schema.metric, vectors, vector), exact=asked.exact)
    distances = np.array([float(each[b"d"]) for each in values], np.float32)
    scores = METRICS[schema.metric].score(distances.astype(np.float64), asked.factor)
    return Found(rows, scores, exact=asked.exact)


def _rows(ids: list[str], values: Sequence[dict[bytes, bytes]], search: Search, schema: Schema) -> Rows:
    def column(name: str) -> list[bytes | None]:
        key = name.encode()
        return [each.get(key) for each in values]

    vectors, texts, fields, extras = None, None, None, None
    if "vector" in search.include:
        vectors = matrix([each[b"vector"] for each in values], schema, ids)
    if "text" in search.include:
        texts = texts_of(column(TEXT))
    if "metadata" in search.include:
        fields = fields_of({attribute(name): column(attribute(name)) for name in schema.fields}, schema, ids)
        extras = extras_of(column(EXTRA))
    return Rows(ids, vectors, texts, fields, extras)
