from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from vecstore import Database, Flat, Record, Schema
from vecstore.backend import Found, Generation, Rows, Search
from vecstore.backends.memory import MemoryBackend
from vecstore.calibration.calibrate import K
from vecstore.calibration.effort import LADDER, SECONDS, Clock, Effort, Outcome, find_smallest_ef
from vecstore.calibration.held_out import cut_parts, make_ask
from vecstore.calibration.probes import Probes
from vecstore.calibration.recall import Answer, Recall, compute_recall, summarize_recall
from vecstore.calibration.rotation import NEIGHBOUR


class Index:
    """Answers queries with the recall that an effort has, and takes its time on a clock of its own."""

    def __init__(self, recall: Callable[[int], float], *, exact_seconds: float = 0, seconds: float = 0) -> None:
        self.recall = recall
        self.exact_seconds, self.seconds = exact_seconds, seconds
        self.now = 100.0
        self.efforts: list[int] = []
        self.asked = {"exact": 0, "graph": 0}
        self.says_exact = False

    def __call__(self, part: slice, /, *, ef: int | None = None, exact: bool = False) -> list[Answer]:
        queries = range(part.start, part.stop)
        self.asked["exact" if exact else "graph"] += len(queries)
        self.now += (self.exact_seconds if exact else self.seconds) * len(queries)
        if ef is None:
            return [answer(range(K)) for _ in queries]
        if ef not in self.efforts:
            self.efforts.append(ef)
        # Whole hits: of a recall of 0.985 over 200 queries three in twenty miss one.
        return [
            answer(range(K - round(K * self.recall(ef) * (query + 1)) + round(K * self.recall(ef) * query), K + 10),
                   exact=self.says_exact)
            for query in queries
        ]  # fmt: skip

    def smallest(self, target: float, queries: int = 200, between: int = 0) -> int | None:
        parts = [slice(start, start + 25) for start in range(0, queries, 25)]
        return find_smallest_ef(self, parts, target, Clock(read=lambda: self.now), between=between).ef


def answer(places: range, *, exact: bool = True) -> Answer:
    chosen = list(places)[:K]
    return Answer([str(place) for place in chosen], np.array([-float(place) for place in chosen]), exact)


def test_the_smallest_effort_that_reaches_the_target() -> None:
    index = Index(lambda ef: min(1.0, 0.9 + ef / 1_000))
    assert index.smallest(0.98) == 96
    assert index.efforts == [16, 24, 32, 48, 64, 96]


@pytest.mark.parametrize(
    "enough, found, tried", [(65, 72, [80, 72]), (75, 80, [80, 72]), (85, 88, [80, 88]), (96, 96, [80, 88])]
)
def test_two_efforts_between_the_rungs_are_tried(enough: int, found: int, tried: list[int]) -> None:
    index = Index(lambda ef: 1.0 if ef >= enough else 0.9)
    assert index.smallest(0.98, between=2) == found
    assert index.efforts == [16, 24, 32, 48, 64, 96, *tried]


def test_an_effort_between_the_rungs_counts_only_if_all_queries_show_it() -> None:
    index = Index(lambda ef: 0.9 if ef < 65 else 1.0, seconds=0.012)
    assert index.smallest(0.98, between=2) == 96
    assert index.efforts[-1] == 80
    assert index.asked["graph"] < 5 * 100 + 2 * 200


def test_the_first_rung_is_enough() -> None:
    index = Index(lambda ef: 1.0)
    assert index.smallest(1.0, between=2) == LADDER[0]
    assert index.asked == {"exact": 200, "graph": 200}


def test_a_mean_that_just_reaches_the_target_may_be_luck() -> None:
    index = Index(lambda ef: 0.981 if ef < 64 else 0.99)
    assert index.smallest(0.98) == 64


def test_where_nothing_is_surely_enough_the_most_effort_that_reached_it_is_kept() -> None:
    assert Index(lambda ef: 0.981 if 64 <= ef <= 512 else 0.9).smallest(0.98) == 512


def test_no_effort_is_enough() -> None:
    index = Index(lambda ef: 0.95)
    assert index.smallest(0.98) is None
    assert index.efforts == list(LADDER)


def test_exact_answers_say_nothing_about_the_index() -> None:
    index = Index(lambda ef: 1.0)
    index.says_exact = True
    assert index.smallest(0.98) is None


def test_without_queries_there_is_no_effort() -> None:
    assert find_smallest_ef(Index(lambda ef: 1.0), [], 0.98) == Effort(Outcome.UNFINISHED)


@pytest.mark.parametrize("exact_seconds, asked", [(0.001, 200), (0.08, 50), (0.15, 25), (10, 25)])
def test_a_slow_store_is_asked_fewer_queries(exact_seconds: float, asked: int) -> None:
    index = Index(lambda ef: 1.0, exact_seconds=exact_seconds)
    ef = index.smallest(0.98)
    assert index.asked["exact"] == asked
    assert ef == LADDER[0], "the ladder has time of its own"


def test_the_ladder_ends_with_the_time() -> None:
    index = Index(lambda ef: 0.9, exact_seconds=0.01, seconds=0.01)
    assert index.smallest(0.98) is None
    assert index.now - 100 < SECONDS + 0.3
    assert 2 < len(index.efforts) < len(LADDER)


def test_a_rung_that_time_cut_short_counts_for_what_it_has() -> None:
    index = Index(lambda ef: 0.9 if ef < 64 else 1.0, seconds=0.019)
    assert index.smallest(0.98) == 64
    assert index.asked["graph"] == 550  # 100 on each of four rungs, which are clearly too low, and 150 of the fifth


def answers(ids: str, scores: list[float]) -> Answer:
    return Answer(list(ids), np.array(scores), exact=True)


@pytest.mark.parametrize(
    "ids, scores, expected",
    [
        ("abc", [3, 2, 1], 1),
        ("abx", [3, 2, 0.5], 2 / 3),
        ("abx", [3, 2, 1], 1),  # as near as the last true one
        ("abx", [3, 2, 1 - 1e-7], 1),
        ("abx", [3, 2, 1 - 1e-5], 2 / 3),
        ("abc", [3, 2, 1 - 1e-5], 1),  # the true one, whatever another arithmetic makes of its score
        ("xyz", [0, 0, 0], 0),
        ("", [], 0),
        ("a", [3], 1 / 3),
    ],
)
@pytest.mark.parametrize("scale", [1, 1e-12, 1e12])
def test_recall_of_an_answer(ids: str, scores: list[float], expected: float, scale: float) -> None:
    truth = answers("abc", [3 * scale, 2 * scale, scale])
    assert compute_recall(answers(ids, [score * scale for score in scores]), truth) == pytest.approx(expected)


def test_where_nothing_is_true_nothing_is_missed() -> None:
    assert compute_recall(answers("", []), answers("", [])) == 1


def test_summary() -> None:
    assert summarize_recall([], 10) == Recall(1.0, 1.0, 1.0, 0, 10)
    found = summarize_recall([1.0] * 18 + [0.5, 0.7], 5)
    assert found.mean == pytest.approx(0.96)
    assert (found.minimum, found.queries, found.k) == (0.5, 20, 5)
    assert found.p5 == pytest.approx(0.69)


def turned(kind: str, metric: str, vectors: ArrayLike) -> NDArray[np.float32]:
    backend, rows = MemoryBackend(), np.asarray(vectors)
    store = Database(backend).create("docs", Schema(rows.shape[1], metric, index=Flat()))
    store.insert(Record(f"r{number:03}", row) for number, row in enumerate(rows))
    return Probes.draw(backend, backend.find(name="docs").active, len(rows), K).turn(kind).vectors


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
@pytest.mark.parametrize("scale", [1e-13, 1, 1e13])
def test_probes_turn_and_keep_their_length(metric: str, scale: float, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(80, 8)) * rng.uniform(0.1, 3, size=(80, 1)) * scale
    scores = {
        "cosine": unit(rows) @ unit(rows).T,
        "ip": rows @ rows.T,
        "l2": -np.linalg.norm(rows[:, None] - rows[None, :], axis=2),
    }[metric]
    np.fill_diagonal(scores, -np.inf)
    neighbours = rows[np.argsort(-scores, axis=1)[:, NEIGHBOUR - 1]]
    for kind, others, share in (("far probes", np.roll(rows, 40, axis=0), 2 / 5), ("near probes", neighbours, -1)):
        probes = turned(kind, metric, rows).astype(np.float64)
        assert np.linalg.norm(probes, axis=1) == pytest.approx(np.linalg.norm(rows, axis=1), rel=1e-5)
        # A mix of directions, however long either vector is.
        expected = unit(unit(rows) + share * (unit(others) - unit(rows)))
        assert (unit(probes) * expected).sum(1) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("kind", ["near probes", "far probes"])
@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_zero_vectors_are_probes_too(metric: str, kind: str) -> None:
    assert turned(kind, metric, [[0, 0], [0, 0]]).tolist() == [[0, 0], [0, 0]]
    assert turned(kind, metric, [[0, 0], [0, 5]])[0].tolist() == [0, 0]


def test_a_probe_cannot_turn_by_its_opposite_or_itself() -> None:
    for kind in ("near probes", "far probes"):
        assert turned(kind, "l2", [[3, 4], [-3, -4]]) == pytest.approx(np.array([[3, 4], [-3, -4]]))
        assert turned(kind, "cosine", [[3, 4]]) == pytest.approx(np.array([[3, 4]]))


def test_finding_neighbours_takes_a_quarter_of_the_time() -> None:
    now = 0.0

    class Slow(MemoryBackend):
        def search(self, generation: Generation, search: Search) -> list[Found]:
            nonlocal now
            now += 2.0
            return super().search(generation, search)

    backend = Slow()
    Database(backend).create("docs", Schema(dim=2)).insert(Record(str(n), [n, 1]) for n in range(100))
    probes = Probes.draw(backend, backend.find(name="docs").active, 100, K)
    told = list[tuple[int, int | None]]()
    clock = Clock(lambda _, done, total: told.append((done, total)), 10.0, lambda: now)
    assert len(probes.turn("near probes", clock)) == 50
    assert told == [(25, 100), (50, 100)]  # so that whoever wants to stop need not wait for all of them
    assert len(probes.turn("near probes")) == 100


def test_without_probes_nothing_is_asked() -> None:
    nothing: Any = None
    empty = Probes(nothing, nothing, [], np.empty((0, 2), np.float32), K)
    assert empty.pace() is empty


class Many:
    """Held-out records, in a graph that reaches 0.9 and from an effort of 64 on everything."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: dict[int | None, int] = {}

    def __len__(self) -> int:
        return self.count

    def find(self, part: slice, k: int, ef: int | None) -> list[Found]:
        self.asked[ef] = self.asked.get(ef, 0) + part.stop - part.start
        places = range(k) if ef is None or ef >= 64 else range(1, k + 1)
        ids = [str(place) for place in reversed(places)]
        scores = -np.array(list(reversed(places)), np.float64)
        rows = Rows(ids, None, None, None, None)
        return [Found(rows, scores, exact=ef is None) for _ in range(part.start, part.stop)]


def test_a_small_effort_is_given_up_before_all_held_out_records_were_asked() -> None:
    many = Many(950)
    effort = find_smallest_ef(make_ask(many, K), cut_parts(len(many)), 0.98)
    assert effort == Effort(Outcome.FOUND, 64, 1.0)
    assert many.asked == {None: 950, 16: 100, 24: 100, 32: 100, 48: 100, 64: 950}
