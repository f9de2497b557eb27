"""The bars that vecstore has to meet, checked against the figures of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .subjects import GROUPS, ON_SERVERS
from .truth import K

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """A ratio of two figures of one run, or one figure in milliseconds, and its limit.

    Attributes
    ----------
    what : str
    ours, peer : str
        Paths into the results: subject, then keys. Without a peer, the limit is one of milliseconds.
    others : tuple of str
        More peers. The best one counts; if some reach `floor` too, the best of those.
    at_most, at_least : float, optional
        One of them. ``at_most`` bounds ours / peer, ``at_least`` peer / ours for times, so that it is a speed.
    recall : str, optional
        Path of our recall, which has to reach `floor`.
    same_ids : bool
        All answers have to be those of ``IndexFlatIP``.
    index : str, optional
        Path of the state of our index, which has to be ``"ready"``.
    hits : str, optional
        Path of the number of hits in our shortest answer, which has to be k.
    """

    what: str
    ours: str
    peer: str = ""
    others: tuple[str, ...] = ()
    at_most: float | None = None
    at_least: float | None = None
    recall: str | None = None
    floor: float = 0.985
    same_ids: bool = False
    index: str | None = None
    hits: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A bar and its measured ratio; None if a figure is missing."""

    bar: Bar
    ratio: float | None
    met: bool
    reason: str = ""

    @property
    def limit(self) -> str:
        """The limit with its direction."""
        unit = self.unit
        return f"≤ {self.bar.at_most:g} {unit}" if self.bar.at_most is not None else f"≥ {self.bar.at_least:g} {unit}"

    @property
    def unit(self) -> str:
        """What the figure is counted in."""
        return "×" if self.bar.peer else "ms"

    @property
    def outcome(self) -> str:
        """One word, or the reason why the bar is not met."""
        if self.ratio is None:
            return "not measured"
        return "met" if self.met else self.reason or "MISSED"


_SEARCH, _RECALL, _INDEX = "vecstore.search.median_ms", "vecstore.search.recall", "vecstore.remarks.index"
_BATCH, _BATCH_RECALL, _THREADS = "vecstore.batch.each_ms", "vecstore.batch.recall", "vecstore.threads"
_STAYS = 0.95
"""Speeds that differ by less are the same."""
_SECTION, _SIZE = "vecstore.filters.games", "vecstore.filters.large"
BARS = (
    Bar("HNSW search / chromadb", _SEARCH, "chromadb.search.median_ms", at_most=0.25, recall=_RECALL, index=_INDEX),
    Bar("HNSW search / lancedb", _SEARCH, "lancedb.search.median_ms", at_most=0.09, recall=_RECALL, index=_INDEX),
    Bar(
        "HNSW search / raw faiss HNSWSQ",
        _SEARCH, "faiss-hnsw-sq.search.median_ms", at_most=2.2, recall=_RECALL, index=_INDEX,
    ),
    Bar(
        "HNSW search / the faster of zvec, qdrant-edge",
        _SEARCH, "zvec.search.median_ms", ("qdrant-edge.search.median_ms",), at_most=1.0, recall=_RECALL, index=_INDEX,
    ),
    Bar("HNSW build speed / hnswlib", "vecstore.build_s", "hnswlib.build_s", at_least=1.7, recall=_RECALL),
    Bar("HNSW search, 1,000 at once, each", _BATCH, at_most=0.29, recall=_BATCH_RECALL, index=_INDEX),
    Bar(
        "HNSW search, 1,000 at once / the fastest peer that returns texts",
        _BATCH, "chromadb.batch.each_ms", ("lancedb.batch.each_ms", "qdrant-edge.batch.each_ms"), at_most=1.0,
        recall=_BATCH_RECALL, index=_INDEX,
    ),
    *(
        Bar(
            f"HNSW search, speed of {threads} threads / {fewer}",
            f"{_THREADS}.{threads}.wall_ms", f"{_THREADS}.{fewer}.wall_ms", at_least=least, index=_INDEX,
        )
        for threads, fewer, least in ((2, 1, 1.6), (4, 2, _STAYS), (8, 4, _STAYS))
    ),
    Bar(
        "exact search, one query / faiss IndexFlatIP",
        "vecstore-exact.search.median_ms", "faiss-flat.search.median_ms", at_most=0.55, same_ids=True,
    ),
    Bar(
        "exact search, 1,000 at once, speed / faiss IndexFlatIP",
        "vecstore-exact.batch.median_s", "faiss-flat.batch.median_s", at_least=0.9, same_ids=True,
    ),
    Bar(
        "filter of 1.7 % / chromadb",
        f"{_SECTION}.median_ms", "chromadb.filters.games.median_ms", at_most=0.03,
        recall=f"{_SECTION}.recall", floor=0.99,
    ),
    Bar(
        "filter of 4.6 % / chromadb",
        f"{_SIZE}.median_ms", "chromadb.filters.large.median_ms", at_most=0.03,
        recall=f"{_SIZE}.recall", floor=0.99,
    ),
    Bar(
        "filter of 1.7 % / lancedb",
        f"{_SECTION}.median_ms", "lancedb.filters.games.median_ms", at_most=0.15,
        recall=f"{_SECTION}.recall", floor=0.99,
    ),
    Bar(
        "filter of 4.6 % / lancedb",
        f"{_SIZE}.median_ms", "lancedb.filters.large.median_ms", at_most=0.15,
        recall=f"{_SIZE}.recall", floor=0.99,
    ),
    Bar("load of columns without index, speed / lancedb", "vecstore-exact.load_s", "lancedb.load_s", at_least=0.9),
    Bar("one upsert / chromadb", "vecstore.upsert.median_ms", "chromadb.upsert.median_ms", at_most=0.2),
    Bar(
        "reopening and first answer / chromadb",
        "vecstore.reopen.median_ms", "chromadb.reopen.median_ms", at_most=0.3,
    ),
    Bar("peak memory / chromadb", "vecstore.peak_mib", "chromadb.peak_mib", at_most=0.7),
    Bar("import vecstore / import numpy", "vecstore.imports.vecstore_ms", "vecstore.imports.numpy_ms", at_most=1.3),
)  # fmt: skip
_OURS, _PEER = "vecstore-postgres", "langchain-postgres"
_SHARES = (("games", "1.7 %"), ("large", "4.6 %"))
POSTGRES_BARS = (
    Bar(
        "HNSW search / by hand",
        f"{_OURS}.duel.search.vecstore.median_ms", f"{_OURS}.duel.search.by-hand.median_ms", at_most=1.15,
        recall=f"{_OURS}.duel.search.vecstore.recall", index=f"{_OURS}.remarks.index",
        hits=f"{_OURS}.duel.search.vecstore.fewest_hits",
    ),
    *(
        Bar(
            f"filter of {share} / by hand",
            f"{_OURS}.duel.{name}.vecstore.median_ms", f"{_OURS}.duel.{name}.by-hand.median_ms", at_most=1.15,
            recall=f"{_OURS}.duel.{name}.vecstore.recall", floor=0.99,
            hits=f"{_OURS}.duel.{name}.vecstore.fewest_hits",
        )
        for name, share in _SHARES
    ),
    Bar(
        "HNSW search, using() / by hand",
        f"{_OURS}.duel.search.using.median_ms", f"{_OURS}.duel.search.by-hand beside using.median_ms", at_most=1.2,
        recall=f"{_OURS}.duel.search.using.recall", index=f"{_OURS}.remarks.index",
        hits=f"{_OURS}.duel.search.using.fewest_hits",
    ),
    Bar(
        "insert, speed / bare COPY",
        f"{_OURS}.duel.load.insert.median_s", f"{_OURS}.duel.load.copy.median_s", at_least=0.7,
    ),
    Bar(
        "upsert, speed / bare COPY",
        f"{_OURS}.duel.load.upsert.median_s", f"{_OURS}.duel.load.copy.median_s", at_least=0.4,
    ),
    Bar(
        "insert of columns, speed / bare COPY",
        f"{_OURS}.duel.load.insert of columns.median_s", f"{_OURS}.duel.load.copy.median_s", at_least=0.9,
    ),
    Bar("load / langchain-postgres", f"{_OURS}.load_s", f"{_PEER}.load_s", at_most=1.0),
    Bar(
        "HNSW search / langchain-postgres",
        f"{_OURS}.search.median_ms", f"{_PEER}.search.median_ms", at_most=1.0,
        recall=f"{_OURS}.search.recall", index=f"{_OURS}.remarks.index",
    ),
    *(
        Bar(
            f"filter of {share} / langchain-postgres",
            f"{_OURS}.filters.{name}.median_ms", f"{_PEER}.filters.{name}.median_ms", at_most=1.0,
            recall=f"{_OURS}.filters.{name}.recall", floor=0.99, hits=f"{_OURS}.filters.{name}.fewest_hits",
        )
        for name, share in _SHARES
    ),
)  # fmt: skip
_REDIS = "vecstore-redis"
_PIPELINES = tuple(f"{_REDIS}.duel.load.pipelines of {batch}.median_s" for batch in ("500", "1,000", "5,000"))
REDIS_BARS = (
    Bar(
        "HNSW search / by hand",
        f"{_REDIS}.duel.search.vecstore.median_ms", f"{_REDIS}.duel.search.by-hand.median_ms", at_most=1.15,
        recall=f"{_REDIS}.duel.search.vecstore.recall", index=f"{_REDIS}.remarks.index",
        hits=f"{_REDIS}.duel.search.vecstore.fewest_hits",
    ),
    *(
        Bar(
            f"filter of {share} / by hand",
            f"{_REDIS}.duel.{name}.vecstore.median_ms", f"{_REDIS}.duel.{name}.by-hand.median_ms", at_most=1.2,
            recall=f"{_REDIS}.duel.{name}.vecstore.recall", floor=0.99,
            hits=f"{_REDIS}.duel.{name}.vecstore.fewest_hits",
        )
        for name, share in _SHARES
    ),
    Bar(
        "insert, speed / the best of the pipelines",
        f"{_REDIS}.duel.load.insert.median_s", _PIPELINES[0], _PIPELINES[1:], at_least=0.8,
    ),
    Bar(
        "insert of columns, speed / the best of the pipelines",
        f"{_REDIS}.duel.load.insert of columns.median_s", _PIPELINES[0], _PIPELINES[1:], at_least=0.9,
    ),
    Bar(
        "load / the better of redisvl, langchain-redis",
        f"{_REDIS}.load_s", "redisvl.load_s", ("langchain-redis.load_s",), at_most=1.1,
    ),
    Bar(
        "HNSW search / the better of redisvl, langchain-redis",
        f"{_REDIS}.search.median_ms", "redisvl.search.median_ms", ("langchain-redis.search.median_ms",), at_most=1.1,
        recall=f"{_REDIS}.search.recall", index=f"{_REDIS}.remarks.index",
    ),
    *(
        Bar(
            f"filter of {share} / the better of redisvl, langchain-redis",
            f"{_REDIS}.filters.{name}.median_ms",
            f"redisvl.filters.{name}.median_ms", (f"langchain-redis.filters.{name}.median_ms",), at_most=1.1,
            recall=f"{_REDIS}.filters.{name}.recall", floor=0.99, hits=f"{_REDIS}.filters.{name}.fewest_hits",
        )
        for name, share in _SHARES
    ),
)  # fmt: skip
_SERVER_BARS: Mapping[str, Sequence[Bar]] = {"postgres": POSTGRES_BARS, "redis": REDIS_BARS}


def judge(run: Figures) -> list[Verdict]:
    """Check every bar for which something was measured."""
    measured = set(run["subjects"])
    bars = [*(BARS if measured & set(GROUPS["all"]) else ())]
    for kind, members in ON_SERVERS.items():
        bars += _SERVER_BARS[kind] if measured & set(members) else ()
    return [_judge_bar(bar, run["subjects"], run.get("agreement")) for bar in bars]


def find_figure(results: Figures, path: str) -> Any:
    """Return the figure at a dotted path, or None."""
    found: Any = results
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _judge_bar(bar: Bar, results: Figures, agreement: Figures | None) -> Verdict:
    ours, peer = find_figure(results, bar.ours), _best_peer(bar, results) if bar.peer else 1.0
    if not ours or not peer:
        return Verdict(bar, None, met=False)
    if bar.at_most is not None:
        ratio, within = ours / peer, ours / peer <= bar.at_most
    else:
        ratio, within = peer / ours, peer / ours >= (bar.at_least or 0.0)
    reason = _disqualified(bar, results, agreement)
    return Verdict(bar, ratio, met=within and not reason, reason=reason)


def _best_peer(bar: Bar, results: Figures) -> Any:
    """Return the smallest figure among peers with enough recall, or among all if there is none."""
    figures = {path: found for path in (bar.peer, *bar.others) if (found := find_figure(results, path))}
    if bar.others:
        recalls = {path: find_figure(results, f"{path.rpartition('.')[0]}.recall") for path in figures}
        enough = {path: found for path, found in figures.items() if recalls[path] is None or recalls[path] >= bar.floor}
        figures = enough or figures
    return min(figures.values(), default=None)


def _disqualified(bar: Bar, results: Figures, agreement: Figures | None) -> str:
    """Return why the ratio does not count, or an empty string."""
    reached = find_figure(results, bar.recall) if bar.recall else None
    if reached is not None and reached < bar.floor:
        return f"MISSED: recall {reached:.3f} < {bar.floor:g}"
    if bar.same_ids and (agreement is None or agreement["same"] < agreement["queries"]):
        return "MISSED: other ids"
    if bar.hits and (find_figure(results, bar.hits) or 0) < K:
        return "MISSED: short answers"
    if bar.index and find_figure(results, bar.index) != "ready":
        return "MISSED: there is no index"
    return ""
