"""Series by a recurrent autoencoder: torch's own cells as the oracle, and that training teaches something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecstore import Record, Schema, connect
from vecstore.embedders import Cached, SeriesAutoencoder
from vecstore.embedders.vectorizers.recurrent_series import _step_gru, _step_lstm
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata, MissingExtra, NotFitted
from vecstore.metric import Metric

Array = NDArray[Any]


def draw(count: int, seed: int = 0) -> tuple[list[Array], Array]:
    """Return noisy series of three kinds, and which kind each is."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(3, size=count)
    found = []
    for kind in kinds:
        times = np.linspace(0, 1, int(rng.integers(40, 90)))
        shapes = (np.sin(7 * times), np.abs(times - 0.5), np.tanh(30 * (times - 0.4)))
        found.append(rng.normal() + rng.uniform(1, 9) * (shapes[kind] + 0.1 * rng.normal(size=len(times))))
    return found, kinds


@pytest.fixture(scope="module")
def learned() -> SeriesAutoencoder:
    return SeriesAutoencoder(8, steps=24, epochs=25).fit(draw(96)[0], seed=1)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_states_are_those_of_torch(cell: str) -> None:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(4)
        network: Any = (torch.nn.GRU if cell == "gru" else torch.nn.LSTM)(1, 5, batch_first=True)
    rows = np.random.default_rng(1).normal(size=(7, 11)).astype(np.float32) * 4
    with torch.inference_mode():
        state = network(torch.from_numpy(rows).unsqueeze(2))[1]
    expected = (state if cell == "gru" else state[0])[0].numpy()
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    step = _step_gru if cell == "gru" else _step_lstm
    found = memory = np.zeros((7, 5), np.float32)
    for column in rows.T:
        given = column[:, np.newaxis] * weights["weight_ih_l0"][:, 0] + weights["bias_ih_l0"]
        found, memory = step(given, found @ weights["weight_hh_l0"].T + weights["bias_hh_l0"], found, memory)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_series_of_one_kind_are_near(learned: SeriesAutoencoder) -> None:
    known, kinds = draw(96)
    new, expected = draw(60, seed=9)
    with connect("memory:") as database:
        store = database.create("series", Schema(dim=learned.dim), embedder=learned)
        store.upsert(Record(str(number), item=series) for number, series in enumerate(known))
        found = [kinds[int(store.search(item=series, k=1)[0].id)] for series in new]
    assert (np.array(found) == expected).mean() > 0.9  # chance is 1/3


def test_training_teaches() -> None:
    """The state tells more of a series, read linearly, than that of a network that never learned."""
    series = draw(200, seed=5)[0]
    learned = SeriesAutoencoder(8, steps=24, epochs=25, cell="lstm").fit(draw(96)[0], seed=1)
    untaught = SeriesAutoencoder(8, steps=24, epochs=1, learning_rate=1e-9, cell="lstm").fit(draw(96)[0], seed=1)
    wanted = learned._prepare(series)
    left = []
    for model in (learned, untaught):
        states = np.c_[np.asarray(model._encode(series, "document")), np.ones(len(series))]
        drawn = states @ np.linalg.lstsq(states[:100], wanted[:100], rcond=None)[0]
        left.append(float(((drawn - wanted)[100:] ** 2).mean()))
    assert left[0] < 0.6 * left[1]  # 0.41 when this was written


def test_level_scale_and_density_change_little(learned: SeriesAutoencoder) -> None:
    times = np.linspace(0, 1, 400)
    series = np.sin(9 * times) + 0.3 * np.cos(31 * times)
    rows = learned.embed_documents([series, 1e6 * series - 5e7, series.astype(np.float32), 1e-200 * series])
    np.testing.assert_allclose(rows[1:], rows[:1].repeat(3, axis=0), atol=1e-3)
    assert learned.embed_documents([series[::4]])[0] @ rows[0] > 0.99


def test_a_saved_model_needs_no_torch(learned: SeriesAutoencoder, tmp_path: Path) -> None:
    learned.save(tmp_path / "m")
    series = np.sin(np.arange(50.0))
    expected = learned.embed_documents([series])
    assert np.array_equal(SeriesAutoencoder.load(tmp_path / "m").embed_documents([series]), expected)
    program = (
        "import sys\nsys.modules['torch'] = None\nimport numpy as np\nfrom vecstore.embedders import Vectorizer\n"
        f"model = Vectorizer.load({str(tmp_path / 'm')!r})\n"
        "print(model.embed_documents([np.sin(np.arange(50.0))]).tobytes().hex())"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == expected.tobytes().hex()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_seed_gives_one_model_and_leaves_torch_as_it_was(cell: str) -> None:
    import torch

    options: Any = {"dim": 4, "steps": 8, "epochs": 2, "cell": cell}
    series = draw(20)[0]
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = SeriesAutoencoder(**options).fit(series, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    torch.rand(3)
    assert SeriesAutoencoder(**options).fit(series, seed=1).revision == first.revision
    other = SeriesAutoencoder(**options).fit(series, seed=2)
    with pytest.raises(EmbedderMismatch):
        first.identity.check(other, Metric.COSINE)


@pytest.mark.parametrize(
    "item, match",
    [(np.ones(9), "constant"), (np.arange(9), "int64"), (np.ones((3, 3)), "shape"), (np.array([1.0]), "at least 2"),
     (np.array([1.0, np.nan]), "NaN")],
)  # fmt: skip
def test_what_is_no_series_is_named(learned: SeriesAutoencoder, item: Array, match: str) -> None:
    with pytest.raises(InvalidMetadata, match=match) as caught:
        learned.embed_documents([np.sin(np.arange(9.0)), item])
    assert str(caught.value).startswith("documents[1] ")
    with pytest.raises(InvalidMetadata, match=match) as caught:
        SeriesAutoencoder().fit([np.sin(np.arange(9.0)), item])
    assert str(caught.value).startswith("items[1] ")


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"dim": 1}, {"cell": "rnn"}, {"steps": 1}, {"steps": 5000}, {"epochs": 0}, {"learning_rate": 0}):
        with pytest.raises(InvalidArgument):
            SeriesAutoencoder(**options)
    for embedder in (SeriesAutoencoder(), Cached(SeriesAutoencoder(), tmp_path)):
        with pytest.raises(NotFitted):
            embedder.embed_documents([np.sin(np.arange(9.0))])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"torch.*series"):
        SeriesAutoencoder().fit(draw(3)[0])
