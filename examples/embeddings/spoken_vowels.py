"""Voices, generated: harmonics of a pitch, shaped by the resonances of a throat, say rows of vowels.

A speaker has a pitch, a length of throat, which moves all resonances, and an amount of breath. What is said, how high
and how loud, and the room and its noise are new in every recording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FRAME = 160
VOWELS = np.array(
    [(730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240)], float
)  # a, e, i, o, u: means of 33 men, Peterson and Barney, 1952
WIDTHS = np.array([80, 100, 140])
"""How wide the resonances are, in Hz."""


@dataclass(frozen=True)
class Speaker:
    """What makes a voice: pitch in Hz, resonances in shares of the usual, and the loudness of breath."""

    pitch: float
    resonance: float
    breath: float


def draw_speakers(count: int, rng: np.random.Generator) -> list[Speaker]:
    """Return speakers, whose pitch and throat are drawn on their own."""
    return [
        Speaker(float(rng.uniform(100, 220)), float(rng.uniform(0.85, 1.2)), float(rng.uniform(0, 0.05)))
        for _ in range(count)
    ]


def speak(speaker: Speaker, rng: np.random.Generator, *, vowels: int = 16, seconds: float = 3.2) -> NDArray[np.float32]:
    """Return a recording of random vowels."""
    frames = int(seconds * RATE / FRAME)
    said = VOWELS[rng.integers(len(VOWELS), size=vowels)] * speaker.resonance
    steps = np.linspace(0, vowels - 1, frames)
    resonances = np.stack([np.interp(steps, np.arange(vowels), column) for column in said.T], axis=1)
    melody = np.interp(steps, np.arange(vowels), rng.uniform(0.9, 1.1, vowels))
    pitch = speaker.pitch * melody
    times, samples = np.arange(frames) * FRAME, np.arange(frames * FRAME)
    phase = 2 * np.pi * np.cumsum(np.interp(samples, times, pitch)) / RATE
    sound = np.zeros(len(samples))
    for harmonic in range(1, int(RATE / 2 / pitch.max())):
        sound += np.interp(samples, times, weigh(harmonic * pitch, resonances) / harmonic) * np.sin(harmonic * phase)
    sound = sound / sound.std() + speaker.breath * rng.normal(size=len(sound))
    return record(sound, rng)


def weigh(frequencies: NDArray[np.float64], resonances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how loud frequencies come through resonances, frame by frame."""
    ratio = frequencies[:, None] / resonances
    return np.asarray((1 / np.hypot(1 - ratio**2, ratio * WIDTHS / resonances)).prod(axis=1), float)


def record(sound: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a sound as a microphone hears it in some room: high tones louder or softer, with noise."""
    spectrum = np.fft.rfft(sound) * np.linspace(1, rng.uniform(0.6, 1.6), len(sound) // 2 + 1)
    heard = np.fft.irfft(spectrum, len(sound))
    heard = heard / heard.std() + rng.uniform(0.02, 0.1) * rng.normal(size=len(sound))
    return np.asarray(heard * rng.uniform(0.01, 0.1), np.float32)
