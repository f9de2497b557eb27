"""Series of numbers by a recurrent network that learned to draw them again from its last state: an autoencoder.

The network reads a series number by number; what it then knows is the vector. It is a GRU (Cho et al., 2014) or an LSTM
(Hochreiter and Schmidhuber, 1997), trained as by Srivastava, Mansimov and Salakhutdinov (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, ModelDamaged
from ..base import Role, check_whole
from ..series_shape import Series, find_series_fault, scale_series
from .logistic import squash
from .recurrent_training import GATES, learn_weights
from .saved_model import Arrays, SavedModel
from .vectorizer import Vectorizer, check_dim

_MOST_STEPS = 4096
_SHORTEST = 2
_DECIMALS = 6
"""Of canaries, which stand in the description of a saved model."""


class SeriesAutoencoder(Vectorizer[Series]):
    """Embed a series as the last state of a recurrent network that learned series such as these.

    Items are arrays of float, shape (n,), of any length from 2 on. Level and scale of a series change nothing, nor does
    how densely it was measured. `fit` takes torch (extra ``series``); to embed takes numpy alone.

    Parameters
    ----------
    dim : int
        Numbers of the state.
    cell : {"gru", "lstm"}
    steps : int
        Every series is brought to that many numbers, which the network reads one by one.
    epochs : int
        Passes over the series.
    learning_rate : float
    name : str
    normalize : bool
    batch_size : int
    """

    kind = "series-autoencoder"
    libraries = ("numpy", "torch")
    modality = "series"

    def __init__(
        self,
        dim: int = 32,
        *,
        cell: str = "gru",
        steps: int = 64,
        epochs: int = 40,
        learning_rate: float = 0.01,
        name: str = "own",
        normalize: bool = True,
        batch_size: int = 256,
    ) -> None:
        super().__init__(name=name, normalize=normalize, batch_size=batch_size)
        check_dim(check_whole("dim", dim, 2), "dimensions in dim=")
        if cell not in GATES:
            raise InvalidArgument(f"cell must be 'gru' or 'lstm', not {cell!r}.")
        if check_whole("steps", steps, _SHORTEST) > _MOST_STEPS:
            raise InvalidArgument(f"steps must be at most {_MOST_STEPS}, not {steps}.")
        if isinstance(learning_rate, bool) or not isinstance(learning_rate, int | float) or not 0 < learning_rate < 1:
            raise InvalidArgument(f"learning_rate must be a number between 0 and 1, not {learning_rate!r}.")
        self._cell = cell
        self._steps = steps
        self._epochs = check_whole("epochs", epochs)
        self._learning_rate = float(learning_rate)
        self._width = dim
        self._weights: dict[str, NDArray[np.float32]] = {}

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that it takes."""
        return (np.ndarray,)

    def _find_fault(self, item: Series) -> str | None:
        return find_series_fault(item, _SHORTEST, "a series has at least")

    def _params(self) -> dict[str, Any]:
        return {
            "dim": self._width,
            "cell": self._cell,
            "steps": self._steps,
            "epochs": self._epochs,
            "learning_rate": self._learning_rate,
            "name": self._model,
            "normalize": self._normalize,
        }

    def _fit(self, items: list[Series], seed: int) -> None:
        self._weights = learn_weights(
            self._prepare(items), self._width, self._cell, epochs=self._epochs, rate=self._learning_rate, seed=seed
        )
        self._native_dim = self._width

    def _prepare(self, items: list[Series]) -> NDArray[np.float32]:
        """Return series with one number of steps, in standard scores, as rows."""
        rows = np.empty((len(items), self._steps), np.float64)
        places = np.linspace(0, 1, self._steps)
        for row, item in zip(rows, items, strict=True):
            series = scale_series(item)
            row[:] = np.interp(places, np.linspace(0, 1, len(series)), series)
        spread = rows.std(axis=1, keepdims=True)
        # A peak between two steps may be all that there was.
        return np.asarray((rows - rows.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1), np.float32)

    def _encode(self, items: list[Series], role: Role, /) -> NDArray[np.float32]:
        inputs, bias = self._weights["inputs"], self._weights["input_bias"]
        recurrent, state_bias = self._weights["recurrent"].T, self._weights["recurrent_bias"]
        step = _step_gru if self._cell == "gru" else _step_lstm
        state = memory = np.zeros((len(items), self._width), np.float32)
        for column in self._prepare(items).T:
            given = column[:, np.newaxis] * inputs + bias
            state, memory = step(given, state @ recurrent + state_bias, state, memory)
        return state

    def _choose_canaries(self) -> Sequence[list[float]]:
        times = np.linspace(0, 1, 64)
        drawn = [times, np.sin(20 * times), (times > 0.5).astype(np.float64), times * np.cos(50 * times)]
        return [np.round(each, _DECIMALS).tolist() for each in drawn]

    def _canaries(self) -> Sequence[Series]:
        return [np.array(each, np.float64) for each in super()._canaries()]

    def _take_apart(self) -> tuple[Sequence[Any], Arrays]:
        return [], self._weights

    def _put_together(self, model: SavedModel) -> None:
        if model.vocabulary:
            raise ModelDamaged("An autoencoder of series has no vocabulary, and one is there.")
        rows = GATES[self._cell] * self._width
        shapes: dict[str, tuple[int | None, ...]] = {
            "inputs": (rows,), "input_bias": (rows,), "recurrent": (rows, self._width), "recurrent_bias": (rows,),
        }  # fmt: skip
        self._weights = dict(zip(shapes, model.take(shapes), strict=True))
        self._native_dim = self._width


_Rows = NDArray[np.float32]


def _step_gru(given: _Rows, known: _Rows, state: _Rows, memory: _Rows) -> tuple[_Rows, _Rows]:
    """Return the next state of a GRU; the gates are reset, update and new, as torch orders them."""
    reset, update, new = np.split(given, 3, axis=1)
    known_reset, known_update, known_new = np.split(known, 3, axis=1)
    keep = squash(update + known_update)
    proposed = np.tanh(new + squash(reset + known_reset) * known_new)
    return (1 - keep) * proposed + keep * state, memory


def _step_lstm(given: _Rows, known: _Rows, state: _Rows, memory: _Rows) -> tuple[_Rows, _Rows]:
    """Return the next state and memory of an LSTM; the gates are input, forget, cell and output."""
    take, keep, new, show = np.split(given + known, 4, axis=1)
    memory = squash(keep) * memory + squash(take) * np.tanh(new)
    return squash(show) * np.tanh(memory), memory
