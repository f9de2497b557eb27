"""The training of a recurrent autoencoder, by torch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingExtra

GATES: Mapping[str, int] = MappingProxyType({"gru": 3, "lstm": 4})
"""How many gates the cell of a network has."""
_BATCH = 64
_LARGEST_STEP = 1.0
"""Gradients are shortened to that, or a single odd series would throw the network off."""
_TRAINING = threading.Lock()


def learn_weights(
    rows: NDArray[np.float32], dim: int, cell: str, *, epochs: int, rate: float, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Return the weights of the half that reads. The other half, which draws, is only needed to train it.

    Parameters
    ----------
    rows : ndarray, shape (n, steps)
        Series in standard scores.
    dim : int
    cell : {"gru", "lstm"}
    epochs : int
    rate : float
    seed : int
        The same rows and the same seed give the same weights, on one machine with one version of torch.

    Raises
    ------
    MissingExtra
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "series") from error

    with _settle(torch, seed):
        network = torch.nn.GRU if cell == "gru" else torch.nn.LSTM
        reader: Any = network(1, dim, batch_first=True)
        writer: Any = network(dim, dim, batch_first=True)
        pen = torch.nn.Linear(dim, 1)
        learned = [*reader.parameters(), *writer.parameters(), *pen.parameters()]
        optimizer = torch.optim.Adam(learned, lr=rate)
        series: Any = torch.from_numpy(rows)
        for _ in range(epochs):
            for places in torch.split(torch.randperm(len(series)), _BATCH):
                batch = series[places]
                state = reader(batch.unsqueeze(2))[1]
                code = (state if cell == "gru" else state[0])[0]
                drawn = pen(writer(code.unsqueeze(1).expand(-1, batch.shape[1], -1))[0]).squeeze(2)
                # Backwards, because what was read last is fresh.
                loss: Any = torch.nn.functional.mse_loss(drawn, batch.flip(1))
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(learned, _LARGEST_STEP)
                optimizer.step()
        names = {
            "inputs": "weight_ih_l0", "input_bias": "bias_ih_l0", "recurrent": "weight_hh_l0",
            "recurrent_bias": "bias_hh_l0",
        }  # fmt: skip
        found = {name: np.array(getattr(reader, theirs).detach().numpy(), np.float32) for name, theirs in names.items()}
    return {**found, "inputs": found["inputs"][:, 0]}


@contextmanager
def _settle(torch: Any, seed: int) -> Iterator[None]:
    """Train with random numbers and a number of threads that nothing else changes, and leave both as they were."""
    with _TRAINING, torch.random.fork_rng(devices=[]):
        threads = torch.get_num_threads()
        torch.manual_seed(seed)
        torch.set_num_threads(1)  # the order of sums depends on it
        try:
            yield
        finally:
            torch.set_num_threads(threads)
