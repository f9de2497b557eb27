"""Sound: who is speaking, by cepstral coefficients and by a network that was trained on voices.

Each speaker has a few recordings, and the nearest other recording should be by the same one. Voices are generated, as
no package ships recordings of many speakers: the figures say that the embedders hear what makes these voices, and
nothing about people. The baseline is the mean spectrum of a recording.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from examples.embeddings.checks import Check, run_example
from examples.embeddings.spoken_vowels import FRAME, RATE, draw_speakers, speak
from vecstore.embedders import MfccEmbedder, VoiceEmbedder
from vecstore.evaluation import measure_neighbours

SPEAKERS, RECORDINGS = 20, 6
BANDS = 40


def average_spectrum(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how loud each of a few bands of equal width is."""
    powers = np.abs(np.fft.rfft(sound.reshape(-1, 2 * FRAME))) ** 2
    return np.array([band.mean() for band in np.array_split(powers.mean(axis=0), BANDS)])


def measure() -> list[Check]:
    """Compare every recording with the others."""
    rng = np.random.default_rng(0)
    speakers = draw_speakers(SPEAKERS, rng)
    names = [f"speaker {number}" for number in range(SPEAKERS) for _ in range(RECORDINGS)]
    sounds = [speak(speaker, rng) for speaker in speakers for _ in range(RECORDINGS)]
    spectrum, mfcc, network = (
        measure_neighbours(vectors, names, RECORDINGS - 1)
        for vectors in (
            np.stack([average_spectrum(sound) for sound in sounds]),
            MfccEmbedder(RATE).embed_documents(sounds),
            VoiceEmbedder(passages=2).embed_documents(sounds),
        )
    )
    for name, (precision, nearest) in {"spectrum": spectrum, "MFCC": mfcc, "network": network}.items():
        print(f"{name:8}  {precision.name} {precision.value:.3f}, 1-NN {nearest.value:.3f}")
    return [
        Check(replace(mfcc[1], name="1-NN, MFCC", baseline=spectrum[1].value, against="mean spectrum"), 0.35),
        Check(replace(network[1], name="1-NN, network", baseline=mfcc[1].value, against="MFCC"), 0.5),
    ]


if __name__ == "__main__":
    sys.exit(run_example(measure))
