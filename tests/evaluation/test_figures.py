"""Figures over arrays: scikit-learn and scipy compute the same, and data without any structure give the baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import spatial, stats
from sklearn import metrics as sklearn_metrics
from sklearn import neighbors

from vecstore import InvalidArgument, Metric, MissingExtra, evaluation

RNG = np.random.default_rng(5)
BLOBS = np.concatenate([RNG.normal(size=(60, 8)) + 6 * RNG.normal(size=8) for _ in range(3)])
NAMES = ["red"] * 60 + ["green"] * 60 + ["blue"] * 60
NOISE = RNG.normal(size=(180, 8))


def draw_ties(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 6, 40).astype(float)
    return first, (first + rng.integers(0, 5, 40)).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_correlations_equal_scipys(seed: int) -> None:
    a, b = draw_ties(seed)
    assert evaluation.compute_pearson(a, b) == pytest.approx(stats.pearsonr(a, b).statistic)
    assert evaluation.compute_spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    spearman, pearson = evaluation.correlate(a, b, beside=-a, against="the opposite", rounds=200)
    assert spearman.baseline == pytest.approx(-spearman.value)
    assert (spearman.n, spearman.against, pearson.name) == (40, "the opposite", "Pearson")
    assert spearman.low is not None
    assert spearman.high is not None
    assert spearman.low < spearman.value < spearman.high


def test_the_overlap_of_texts_needs_no_model() -> None:
    found = evaluation.measure_overlap(["the Red car", "", "汽车红"], ["the red bike", "", "红汽"])
    assert found == pytest.approx([2 / 4, 0, 2 / 3])


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_curve_equals_scikit_learns(seed: int) -> None:
    scores, _ = draw_ties(seed)
    positive = np.random.default_rng(seed).random(40) < 0.3
    assert evaluation.compute_auc(scores, positive) == pytest.approx(sklearn_metrics.roc_auc_score(positive, scores))


@pytest.mark.parametrize("metric", list(Metric))
def test_neighbours_equal_those_of_all_pairs(metric: Metric) -> None:
    near, scores = evaluation.find_nearest(BLOBS, 4, metric)
    pairs = spatial.distance.cdist(BLOBS, BLOBS, "cosine" if metric is Metric.COSINE else "euclidean")
    if metric is Metric.IP:
        pairs = -(BLOBS @ BLOBS.T)
    np.fill_diagonal(pairs, np.inf)
    np.testing.assert_array_equal(near, np.argsort(pairs, axis=1)[:, :4])
    found = {Metric.COSINE: 1 - scores, Metric.L2: -scores, Metric.IP: -scores}[metric]
    np.testing.assert_allclose(found, np.sort(pairs, axis=1)[:, :4], atol=1e-6)


def test_labels_of_neighbours() -> None:
    precision, nearest = evaluation.measure_neighbours(BLOBS, NAMES, 5, metric="l2", rounds=50)
    model = neighbors.KNeighborsClassifier(1).fit(BLOBS, NAMES)
    _, places = model.kneighbors(n_neighbors=5)
    same = np.array(NAMES)[places] == np.array(NAMES)[:, None]
    assert (precision.name, precision.value, nearest.value) == ("P@5", same.mean(), same[:, 0].mean())
    assert precision.baseline == pytest.approx(59 / 179)
    assert nearest.baseline == pytest.approx(1 / 3)
    lost, _ = evaluation.measure_neighbours(NOISE, NAMES, 5, rounds=200)
    assert lost.low is not None
    assert lost.high is not None
    assert lost.low - 0.03 < lost.baseline < lost.high + 0.03


def test_analogies_by_hand() -> None:
    words = ["man", "king", "woman", "queen", "apple"]
    vectors = np.array([[1, 0, 0.1], [1, 1, 0.1], [-1, 0, 0.1], [-1, 1, 0.1], [0, 0, -1]])
    asked = {
        "royal": [("man", "king", "woman", "queen"), ("man", "king", "woman", "apple")],
        "none": [("a", "b", "c", "d")],
    }
    found = evaluation.solve_analogies(words, vectors, asked, rounds=20)
    assert [(figure.name, figure.value, figure.n) for figure in found.figures] == [("analogies, all", 0.5, 2)]
    assert (found.words, found.unknown) == (5, 1)


def test_probes_read_what_is_there_and_only_that() -> None:
    (accuracy, f1), left_out = evaluation.probe_labels(BLOBS, [*NAMES[:-1], "rare"], rounds=50)
    assert (accuracy.value, left_out) == (1.0, 1)
    assert accuracy.baseline == pytest.approx(60 / 179)
    assert f1.baseline == pytest.approx((2 * 60 / (60 + 179)) / 3)
    (lost, _), _ = evaluation.probe_labels(NOISE, NAMES, rounds=50)
    assert lost.value < 0.5
    numbers = BLOBS @ np.arange(8)
    explained, error = evaluation.probe_numbers(BLOBS, numbers, rounds=50)
    assert explained.value > 0.999
    assert explained.baseline < 0
    assert error.value < error.baseline / 20
    assert evaluation.probe_numbers(NOISE, numbers, rounds=50)[0].value < 0.1


@pytest.mark.parametrize("method", ["kmeans", "hdbscan", "dbscan"])
def test_clusters_that_are_there_are_found(method: str) -> None:
    found = evaluation.find_clusters(BLOBS, NAMES, method=method, metric="l2")
    silhouette, nmi, ari = found.figures
    assert len(found.sizes) == 3, found.sizes
    assert nmi.value > 0.8
    assert ari.value > 0.8
    assert abs(ari.baseline) < 0.05
    assert silhouette.value > 0.5
    expected = sklearn_metrics.silhouette_score(BLOBS[found.assigned >= 0], found.assigned[found.assigned >= 0])
    assert silhouette.value == pytest.approx(expected)
    assert sum(found.sizes) + found.noise == 180


def test_the_baseline_of_clusters_is_that_of_no_clusters() -> None:
    silhouette, nmi, _ = evaluation.find_clusters(NOISE, NAMES, k=3, metric="l2").figures
    assert silhouette.value == pytest.approx(silhouette.baseline, abs=0.05)
    assert nmi.value == pytest.approx(nmi.baseline, abs=0.05)


def test_drift_is_found_where_there_is_some() -> None:
    rng = np.random.default_rng(0)
    before, same, moved = rng.normal(size=(300, 6)), rng.normal(size=(250, 6)), rng.normal(size=(250, 6)) + 0.7
    still, drifted = evaluation.measure_drift(before, same), evaluation.measure_drift(before, moved)
    for found in (still, drifted):
        assert [figure.name.split()[0] for figure in found.figures] == ["JS", "KL", "MMD²", "classifier"]
        assert all(0 <= axis.js <= 1 for axis in found.axes)
    assert still.p > 0.05
    assert drifted.p == pytest.approx(1 / 201)
    js, kl, mmd, auc = drifted.figures
    assert js.value > 2 * js.baseline
    assert kl.value > 2 * kl.baseline
    assert mmd.value > 10 * abs(mmd.baseline)
    assert auc.value > 0.8
    assert still.figures[0].value < 1.5 * still.figures[0].baseline
    assert abs(still.figures[3].value - 0.5) < 0.1


def test_divergences_equal_scipys() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=(80, 1)), rng.normal(size=(60, 1)) + 1
    found = evaluation.measure_drift(before, after).axes[0]
    both = np.concatenate([before, after]) - np.concatenate([before, after]).mean()
    edges = np.linspace(both.min(), both.max(), 21)
    p, q = (np.histogram(part, edges)[0] + 0.5 for part in (both[:80], both[80:]))
    assert found.js == pytest.approx(spatial.distance.jensenshannon(p, q, base=2) ** 2, rel=1e-6)
    assert found.kl == pytest.approx(stats.entropy(q, p, base=2), rel=1e-6)


def test_mmd_equals_its_definition() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(12, 3)), rng.normal(size=(15, 3)) + 1
    both = np.concatenate([a, b])
    width = np.median(spatial.distance.pdist(both, "sqeuclidean"))

    def mean(x: NDArray[np.float64], y: NDArray[np.float64], *, own: bool) -> float:
        kernel = np.exp(-spatial.distance.cdist(x, y, "sqeuclidean") / width)
        return float((kernel.sum() - len(x)) / (len(x) * (len(x) - 1)) if own else kernel.mean())

    expected = mean(a, a, own=True) + mean(b, b, own=True) - 2 * mean(a, b, own=False)
    assert evaluation.measure_drift(a, b).figures[2].value == pytest.approx(expected)


def test_an_outlier_is_far_from_its_neighbours() -> None:
    vectors = np.concatenate([BLOBS, [[90.0] * 8]])
    far = evaluation.measure_isolation(vectors, 5, metric="l2")
    assert far.argmax() == 180
    figure = evaluation.measure_detection(far, np.arange(181) == 180, rounds=50)
    assert (figure.value, figure.baseline, figure.n) == (1.0, 0.5, 181)
    pairs, _ = neighbors.NearestNeighbors(n_neighbors=6).fit(vectors).kneighbors()
    np.testing.assert_allclose(far, neighbors.NearestNeighbors(n_neighbors=5).fit(vectors).kneighbors()[0].mean(axis=1))
    assert pairs.shape == (181, 6)


def test_the_health_of_vectors() -> None:
    rng = np.random.default_rng(0)
    plane = np.zeros((400, 20))
    plane[:, :2] = rng.normal(size=(400, 2))
    sick = np.concatenate([plane + [5.0] * 20, plane[:3] + [5.0] * 20, np.zeros((2, 20))])
    found = evaluation.measure_health(sick, metric="l2")
    assert (found.zeros, found.duplicates) == (2, 4)
    cosine, hubs, _, dimension = found.figures
    assert cosine.value > 0.9
    assert abs(cosine.baseline) < 0.05
    assert 1.6 < dimension.value < 2.4
    assert dimension.baseline > 8
    counts = np.bincount(evaluation.find_nearest(sick, 10, "l2")[0].ravel(), minlength=len(sick))
    assert hubs.value == pytest.approx(stats.skew(counts))
    random = evaluation.measure_health(rng.normal(size=(400, 20)))
    for figure in random.figures:
        assert figure.value == pytest.approx(figure.baseline, rel=0.25, abs=0.05), figure.name


REFUSED: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (evaluation.measure_neighbours, ([[1.0]], ["a"]), "too few"),
    (evaluation.measure_neighbours, (BLOBS, ["a"] * 180), "Different labels"),
    (evaluation.measure_neighbours, (BLOBS, ["a", "b"]), "one label for each"),
    (evaluation.measure_neighbours, ([[np.nan, 1.0]] * 5, list("ababa")), "NaN"),
    (evaluation.find_clusters, (BLOBS[:3],), "too few"),
    (evaluation.measure_drift, (BLOBS, BLOBS[:9]), "after: 9 are too few"),
    (evaluation.measure_drift, (BLOBS, BLOBS[:, :3]), "dimensions"),
    (evaluation.measure_health, (BLOBS[:5],), "too few"),
    (evaluation.probe_labels, (BLOBS[:12], list("abcdefghijkl")), "Labels of at least 5"),
    (evaluation.probe_numbers, (BLOBS, [1.0] * 180), "Different numbers"),
    (evaluation.correlate, ([1, 2], [1, 2]), "too few"),
    (evaluation.correlate, ([1, 1, 1], [1, 2, 3]), "equal"),
    (evaluation.correlate, ([1, 2, 3], [1, 2]), "judgement for each"),
    (evaluation.measure_detection, ([1.0, 2.0], [False, False]), "Known outliers"),
    (evaluation.solve_analogies, (list("abcd"), np.eye(4), {"s": [("x", "y", "z", "w")]}), "Questions"),
    (evaluation.solve_analogies, (list("aacd"), np.eye(4), {}), "different words"),
]


@pytest.mark.parametrize("measure, arguments, names", REFUSED)
def test_what_means_nothing_is_refused(measure: Callable[..., Any], arguments: tuple[Any, ...], names: str) -> None:
    with pytest.raises(InvalidArgument, match=names):
        measure(*arguments)


def test_wrong_options_of_clusters_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="kmeans, hdbscan, dbscan"):
        evaluation.find_clusters(BLOBS, method="magic")
    with pytest.raises(InvalidArgument, match="finds the number"):
        evaluation.find_clusters(BLOBS, method="hdbscan", k=3)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.cluster", None)
    with pytest.raises(MissingExtra, match=r"scikit-learn is not installed.*vecstore-db\[evaluation\]"):
        evaluation.find_clusters(BLOBS, k=3)


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second, third = (evaluation.measure_drift(BLOBS, NOISE, seed=seed) for seed in (1, 1, 2))
    assert first == second
    assert first != third


def test_a_figure_is_plain_data() -> None:
    figure = evaluation.Figure("x", float("nan"), 3, 0.5, "chance")
    assert figure.to_dict() == {
        "name": "x", "value": None, "low": None, "high": None, "baseline": 0.5, "against": "chance", "n": 3,
    }  # fmt: skip
