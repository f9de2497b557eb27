"""Sounds by MFCC: arrays and WAV files, what is refused, and librosa's figures as the oracle."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecstore import Record, Schema, connect
from vecstore.embedders import Cached, Embedder, MfccEmbedder, Retrying
from vecstore.embedders.wave_files import read_wave
from vecstore.errors import EmbedderMismatch, InvalidArgument, InvalidMetadata, InvalidVector
from vecstore.metric import Metric
from vecstore.testing import EmbedderSuite

RATE = 16_000


def tone(pitch: float, seconds: float = 0.5, rate: int = RATE) -> NDArray[np.float32]:
    """Return a tone with overtones, such as an instrument has."""
    times = np.arange(round(seconds * rate)) / rate
    strengths = 1 / np.arange(1, 8)
    waves = [strength * np.sin(2 * np.pi * pitch * (n + 1) * times) for n, strength in enumerate(strengths)]
    return np.asarray(0.3 * np.sum(waves, axis=0) * np.hanning(len(times)), np.float32)


def write(path: Path, samples: Any, *, rate: int = RATE, width: int = 2, channels: int = 1) -> Path:
    whole = np.asarray(samples, np.float64) * (2 ** (8 * width - 1) - 1)
    data = whole.round().astype("<i4").reshape(-1, 1).view(np.uint8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes((data ^ 0x80 if width == 1 else data).tobytes())
    return path


class TestContract(EmbedderSuite):
    items = (tone(200), tone(440, 0.9), tone(880, 0.2), tone(330).astype(np.float64))

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: MfccEmbedder(batch_size=size)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_file_of_any_width_has_its_samples(tmp_path: Path, width: int) -> None:
    sound = np.append(tone(300), [-1, 1, 0])
    samples, rate = read_wave(write(tmp_path / "a.wav", sound, width=width))
    assert rate == RATE
    np.testing.assert_allclose(samples, sound, atol=max(2 / 2 ** (8 * width - 1), 1e-6))
    file, array = MfccEmbedder().embed_documents([tmp_path / "a.wav", samples])
    np.testing.assert_allclose(file, array, atol=1e-6)


def test_channels_are_mixed_and_loudness_changes_nothing(tmp_path: Path) -> None:
    left, right = tone(300), tone(500)
    stereo = write(tmp_path / "a.wav", np.stack([left, right], axis=1), channels=2)
    embedder = MfccEmbedder()
    vectors = embedder.embed_documents([stereo, (left + right) / 2, (left + right) * np.float32(1e-9)])
    np.testing.assert_allclose(vectors[1:], vectors[:1].repeat(2, axis=0), atol=1e-3)


def test_a_file_of_another_rate_is_heard_the_same(tmp_path: Path) -> None:
    embedder = MfccEmbedder()
    same, other = embedder.embed_documents([tone(300), tone(700)])
    (file,) = embedder.embed_documents([write(tmp_path / "a.wav", tone(300, rate=44_100), rate=44_100)])
    assert file @ same > 0.99 > file @ other
    with pytest.raises(InvalidMetadata, match=r"MfccEmbedder\(rate=8000\)"):
        embedder.embed_documents([write(tmp_path / "b.wav", tone(300, rate=8000), rate=8000)])


def test_a_store_finds_a_sound_by_its_middle(tmp_path: Path) -> None:
    embedder = MfccEmbedder()
    with connect("memory:") as db:
        store = db.create("sounds", Schema(dim=embedder.dim), embedder=embedder)
        pitches = [150, 220, 330, 500, 740]
        store.upsert(Record(str(pitch), item=tone(pitch), metadata={"source": f"{pitch}.wav"}) for pitch in pitches)
        for pitch in pitches:
            assert store.search(item=tone(pitch)[2000:6000], k=1)[0].metadata == {"source": f"{pitch}.wav"}


@pytest.mark.parametrize(
    "item, match",
    [
        (np.zeros(9000), "silent"), (np.full(9000, 0.5), "silent"), (np.ones(9000, np.int16), "int16"),
        (np.ones((2, 9000)), "channels"), (np.ones(100), "shortest sound has 512"), (np.ones(0), "0 samples"),
        (np.append(tone(9), np.nan), "NaN"),
    ],
)  # fmt: skip
def test_a_sound_that_cannot_be_heard_is_named(item: Any, match: str) -> None:
    with pytest.raises(InvalidMetadata, match=match) as caught:
        MfccEmbedder().embed_documents([tone(300), item])
    assert str(caught.value).startswith("documents[1] ")


def test_a_sound_that_cannot_be_heard_is_named_through_wrappers(tmp_path: Path) -> None:
    embedder = Cached(Retrying(MfccEmbedder(batch_size=1)), tmp_path)
    expected = MfccEmbedder().embed_documents([tone(300), tone(500)])
    for _ in range(2):
        np.testing.assert_allclose(embedder.embed_documents([tone(300), tone(500)]), expected, atol=1e-6)
    with pytest.raises(InvalidMetadata, match=r"^documents\[2\] is silent"):
        embedder.embed_documents([tone(300), tone(500), np.zeros(9000)])


def test_a_sound_beside_every_window_is_a_vector_of_zeros() -> None:
    late = np.zeros(519)
    late[-1] = 1
    with pytest.raises(InvalidVector, match=r"documents\[0\]"):
        MfccEmbedder().embed_documents([late])


@pytest.mark.parametrize("item", ["cat.wav", b"x", None, [0.1, 0.2]])
def test_what_is_no_sound_is_refused(item: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"documents\[0\]"):
        MfccEmbedder().embed_documents([item])


def test_files_that_are_missing_damaged_or_cut_off_are_refused(tmp_path: Path) -> None:
    embedder = MfccEmbedder()
    whole = write(tmp_path / "whole.wav", tone(300)).read_bytes()
    rng = np.random.default_rng(1)
    with pytest.raises(InvalidMetadata, match=r"missing\.wav"):
        embedder.embed_documents([tmp_path / "missing.wav"])
    with pytest.raises(InvalidMetadata, match="IsADirectory"):
        embedder.embed_documents([tmp_path])
    for size in [0, 3, 11, 20, 40, 44, 45, 700, len(whole) - 1]:
        (tmp_path / "cut.wav").write_bytes(whole[:size])
        with pytest.raises(InvalidMetadata, match=r"cut\.wav"):
            embedder.embed_documents([tmp_path / "cut.wav"])
    refused = 0
    for _ in range(100):
        damaged = bytearray(whole[:1500])
        damaged[rng.integers(44)] ^= 1 << rng.integers(8)
        (tmp_path / "odd.wav").write_bytes(damaged)
        try:
            embedder.embed_documents([tmp_path / "odd.wav"])
        except (InvalidMetadata, InvalidVector):
            refused += 1
    assert refused == 100  # cut off as well, so nothing is taken


def test_what_changes_vectors_is_the_identity() -> None:
    assert MfccEmbedder().identity.check(MfccEmbedder(batch_size=2), Metric.COSINE) is None
    for other in (MfccEmbedder(8000), MfccEmbedder(coefficients=12)):
        with pytest.raises(EmbedderMismatch):
            MfccEmbedder().identity.check(other, Metric.COSINE)


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": 16e3}, {"coefficients": 0}, {"coefficients": 40}])
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        MfccEmbedder(**options)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # librosa's own
def test_librosa_finds_the_same_coefficients() -> None:
    import librosa

    rng = np.random.default_rng(3)
    chirp = np.sin(np.linspace(0, 300, 30_000) ** 1.5)
    for rate in (8000, 16_000, 22_050, 44_100):
        for sound in (tone(300, 2, rate), rng.normal(size=rate), chirp, chirp * rng.random(30_000)):
            window, hop = round(0.032 * rate), round(0.010 * rate)
            mel = librosa.feature.melspectrogram(
                y=np.asarray(sound, np.float64), sr=rate, n_fft=window, hop_length=hop, n_mels=40, center=False
            )
            theirs = librosa.feature.mfcc(
                S=np.maximum(librosa.power_to_db(mel, ref=np.max, amin=1e-30, top_db=None), -80), n_mfcc=21
            )[1:]
            weights = np.tile(1 + 11 * np.sin(np.pi * np.arange(1, 21) / 22), 2)
            expected = np.concatenate([theirs.mean(axis=1), theirs.std(axis=1)]) * weights
            ours = MfccEmbedder(rate, normalize=False).embed_documents([sound])[0]
            np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=0.05)
