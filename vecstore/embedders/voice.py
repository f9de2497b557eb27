"""Voices: who speaks, by the encoder of Resemblyzer, in plain torch.

Wan et al., Generalized end-to-end loss for speaker verification, 2018. The network has three layers of LSTM over mel
spectra of 1.6 seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .base import check_whole
from .mel_spectrum import measure_bands
from .sounds import find_fault, make_sounds, open_sound
from .torch_module import TorchEmbedder
from .torch_weights import find_weights, put_in, read_weights
from .vector_checks import Float32Array

if TYPE_CHECKING:
    import torch

_RATE = 16_000
_WINDOW, _HOP = 0.025, 0.010
_BANDS, _HIDDEN = 40, 256
_FRAMES = 160
_LOUDNESS = 10 ** (-30 / 20)
"""Root mean square of a sound that is as loud as those of the training: -30 dB."""


class VoiceEmbedder(TorchEmbedder):
    """Embed a recording of speech by whose voice it is.

    Items are arrays of float, shape (n,), at 16,000 samples a second, and ``pathlib.Path`` of WAV files of PCM of any
    rate. The weights are those of the package Resemblyzer, whose code is neither needed nor run.

    Parameters
    ----------
    weights : Path, optional
        Its file ``pretrained.pt``. Default: that of the package, if it is installed.
    passages : int
        How many passages of 1.6 seconds are listened to, evenly spread.
    device : str
    batch_size : int

    Raises
    ------
    InvalidArgument, MissingExtra
        There are no weights, or no torch.
    ModelDamaged
    """

    def __init__(
        self, weights: Path | None = None, *, passages: int = 4, device: str = "cpu", batch_size: int = 8
    ) -> None:
        self._passages = check_whole("passages", passages)
        file = find_weights(weights, "resemblyzer", "pretrained.pt", "--no-deps Resemblyzer")
        super().__init__(
            _build_network(file),
            self._prepare_sound,
            name="resemblyzer",
            item_types=(np.ndarray, Path),
            canaries=make_sounds(_RATE),
            modality="audio",
            device=device,
            batch_size=batch_size,
        )

    def _find_fault(self, item: Any) -> str | None:
        return find_fault(item, _RATE, _WINDOW)

    def _prepare_sound(self, item: Any) -> torch.Tensor:
        import torch

        samples, rate = open_sound(item, _RATE, _WINDOW)
        return torch.from_numpy(self._cut_passages(_measure(samples, rate)))

    def _cut_passages(self, powers: Float32Array) -> Float32Array:
        padded = np.pad(powers, ((0, max(0, _FRAMES - len(powers))), (0, 0)))
        starts = np.linspace(0, len(padded) - _FRAMES, self._passages).round().astype(int)
        return np.stack([padded[start : start + _FRAMES] for start in starts])

    def _details(self) -> Mapping[str, Any]:
        return {**super()._details(), "passages": self._passages}


def _measure(samples: Float32Array, rate: int) -> Float32Array:
    """Return the mel spectrum as the training had it: of power, with the sound at the same loudness."""
    window = round(_WINDOW * rate)
    level = _LOUDNESS / np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    powers = measure_bands(
        np.pad(samples, window // 2), rate, window=window, hop=round(_HOP * rate), bands=_BANDS, top=_RATE / 2
    )
    # A window of another rate sums up another number of samples.
    return np.asarray(powers * (level * _WINDOW * _RATE / window) ** 2, np.float32)


def _build_network(file: Path) -> torch.nn.Module:
    weights = read_weights(file)

    import torch

    class VoiceEncoder(torch.nn.Module):
        """The mean of the vectors of passages."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(_BANDS, _HIDDEN, 3, batch_first=True)
            self.linear = torch.nn.Linear(_HIDDEN, _HIDDEN)

        def forward(self, passages: torch.Tensor) -> torch.Tensor:
            """Return a row for each sound of a tensor of shape (sounds, passages, frames, bands)."""
            _, (hidden, _) = self.lstm(passages.flatten(0, 1))
            rows = torch.nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)
            return rows.view(*passages.shape[:2], -1).mean(dim=1)

    network = VoiceEncoder()
    state = weights.get("model_state", weights)
    put_in(network, {name: value for name, value in state.items() if not name.startswith("similarity_")}, file)
    return network
