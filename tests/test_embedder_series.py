"""Series by their shape: what changes nothing, what is refused, and that the same shape is found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecstore import Record, Schema, connect
from vecstore.embedders import Embedder, SeriesEmbedder, cut_windows
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata, InvalidVector
from vecstore.metric import Metric
from vecstore.testing import EmbedderSuite

TIMES = np.linspace(0, 1, 400)
SHAPES = {
    "rise": TIMES,
    "wave": np.sin(9 * TIMES),
    "step": np.tanh(40 * (TIMES - 0.6)),
    "shake": np.sin(200 * TIMES**3),
}


class TestContract(EmbedderSuite):
    items = (*SHAPES.values(), TIMES[:50].astype(np.float32))

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: SeriesEmbedder(batch_size=size)


def test_values_worked_out_by_hand() -> None:
    series = np.array([0.0, 2, 2, 2, -2, -2, -2, 0])
    scores = (series - series.mean()) / series.std()
    (row,) = SeriesEmbedder(2, normalize=False).embed_documents([series])
    times = np.array([-1, -1 / 3, 1 / 3, 1])
    slopes = [part @ times / (times @ times) for part in (scores[:4], scores[4:])]
    expected = [scores[:4].mean(), scores[4:].mean(), scores[:4].std(), scores[4:].std(), *slopes]
    np.testing.assert_allclose(row, expected, rtol=1e-5)


@pytest.mark.parametrize("scale, level", [(1e-300, 0), (1e300, 0), (1.5e308, 0), (-1e-9, 0), (3.0, -1000), (1e-3, 5.0)])
def test_level_and_scale_change_nothing(scale: float, level: float) -> None:
    embedder = SeriesEmbedder()
    rows = embedder.embed_documents([*SHAPES.values()])
    others = embedder.embed_documents([abs(scale) * each + level for each in SHAPES.values()])
    np.testing.assert_allclose(others, rows, atol=1e-4)


def test_a_store_finds_the_shape_under_noise_and_at_another_density() -> None:
    embedder = SeriesEmbedder()
    rng = np.random.default_rng(2)
    with connect("memory:") as db:
        store = db.create("series", Schema(dim=embedder.dim), embedder=embedder)
        store.upsert(Record(name, item=series) for name, series in SHAPES.items())
        for name, series in SHAPES.items():
            noisy = 100 + 7 * (series[::2] + rng.normal(size=200) * 0.1)
            assert store.search(item=noisy, k=1)[0].id == name


def test_windows_are_those_of_a_loop() -> None:
    series = np.arange(11.0)
    expected = [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert cut_windows(series, 4, step=3).tolist() == expected
    assert cut_windows(series, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(SeriesEmbedder(2).embed_documents(cut_windows(np.sin(series), 4, step=1))) == 8
    assert np.shares_memory(cut_windows(series, 4), series)
    options: Any
    for options in ({"size": 0}, {"size": 12}, {"size": 2, "step": 0}, {"size": 2.0}):
        with pytest.raises(InvalidArgument):
            cut_windows(series, **options)
    with pytest.raises(InvalidVector):
        cut_windows(np.ones((2, 2)), 1)


@pytest.mark.parametrize(
    "item, match",
    [(np.ones(64), "constant"), (np.zeros(64), "constant"), (np.ones(64, int), "int64"), (np.ones((8, 8)), "shape"),
     (np.ones(31), "31 numbers"), (np.ones(0), "0 numbers"), (np.append(TIMES, np.nan), "NaN")],
)  # fmt: skip
def test_a_series_without_a_shape_is_named(item: NDArray[Any], match: str) -> None:
    with pytest.raises(InvalidMetadata, match=match) as caught:
        SeriesEmbedder().embed_documents([TIMES, item])
    assert str(caught.value).startswith("documents[1] ")


@pytest.mark.parametrize("item", ["1,2,3", [1.0] * 64, None])
def test_what_is_no_array_is_refused(item: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"documents\[0\]"):
        SeriesEmbedder().embed_documents([item])


def test_what_changes_vectors_is_the_identity() -> None:
    assert SeriesEmbedder().identity.check(SeriesEmbedder(batch_size=2), Metric.COSINE) is None
    with pytest.raises(EmbedderMismatch):
        SeriesEmbedder().identity.check(SeriesEmbedder(8), Metric.COSINE)
    with pytest.raises(InvalidArgument, match="windows"):
        SeriesEmbedder(0)
