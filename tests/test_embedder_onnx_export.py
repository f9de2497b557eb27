"""The export of a model for ONNX Runtime: what it writes, what it measures, what it refuses, what it leaves behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.embedder_makers import MINILM, made, tiny_model
from vecstore.embedders import FidelityTooLow, SentenceTransformersEmbedder, TruncatedText, export_onnx
from vecstore.embedders.fidelity import SAMPLE_TEXTS, Fidelity, measure_fidelity
from vecstore.embedders.staged_folder import stage_folder
from vecstore.errors import InvalidArgument


class TestExport:
    def test_says_how_much_is_left(self, tmp_path: Path) -> None:
        steps: list[str] = []
        pairs = [("tea", "water", 1.0), ("tea", "a cat", 0.2), ("rain", "snow", 0.7)]
        done = export_onnx(tiny_model(), tmp_path / "m", texts=SAMPLE_TEXTS, pairs=pairs, on_step=steps.append)
        found = done.fidelity
        assert (found.texts, found.pairs, found.overlap) == (len(SAMPLE_TEXTS), 3, 1.0)
        assert found.cosine_min > 0.9999
        assert found.sts_before == found.sts_after
        assert json.loads((tmp_path / "m" / "vecstore.json").read_text())["fidelity"] == found.to_json()
        assert done.size == (tmp_path / "m" / "model.onnx").stat().st_size
        assert steps[0] == "Loading the model"
        assert steps[-1] == "Comparing with the model"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]

    def test_too_little_is_refused_and_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from vecstore.embedders import onnx_export

        low = Fidelity(texts=12, cosine_mean=0.98, cosine_min=0.9, overlap=0.5, rank_correlation=0.9)
        monkeypatch.setattr(onnx_export, "measure_fidelity", lambda *_: low)
        with pytest.raises(FidelityTooLow, match=r"0\.9800") as caught:
            export_onnx(tiny_model(), tmp_path / "m")
        assert caught.value.fidelity is low
        assert list(tmp_path.iterdir()) == []

    def test_what_exists_is_not_touched(self, tmp_path: Path) -> None:
        (tmp_path / "m").mkdir()
        with pytest.raises(InvalidArgument, match="exists"):
            export_onnx(tiny_model(), tmp_path / "m")
        with pytest.raises(InvalidArgument, match="no directory"):
            export_onnx(tiny_model(), tmp_path / "a" / "m")

    @pytest.mark.parametrize(
        "before, after, mean, enough",
        [
            (None, None, 0.991, True),
            (None, None, 0.989, False),
            (0.5, 0.496, 0.999, True),
            (0.5, 0.49, 0.999, False),
            (-0.5, -0.5, 1.0, True),
        ],
    )
    def test_enough_is_99_percent(
        self, *, before: float | None, after: float | None, mean: float, enough: bool
    ) -> None:
        found = Fidelity(20, mean, 0.9, 1.0, 1.0, 0 if before is None else 9, before, after)
        assert found.is_enough is enough

    def test_too_few_texts_or_pairs_say_nothing(self) -> None:
        with pytest.raises(InvalidArgument, match="11 different texts"):
            measure_fidelity(made("onnx"), made("onnx"), [*map(str, range(11)), "0"])
        with pytest.raises(InvalidArgument, match="2 pairs"):
            measure_fidelity(made("onnx"), made("onnx"), pairs=[("a", "b", 1.0)] * 2)

    def test_other_models_have_other_figures(self) -> None:
        found = measure_fidelity(made("minilm"), SentenceTransformersEmbedder(MINILM, prompts={"document": "x y z "}))
        assert found.cosine_mean < 0.95
        assert found.overlap < 1
        assert found.rank_correlation < 0.99


class TestStagedFolder:
    def test_a_killed_process_leaves_no_folder_and_the_next_call_clears_up(self, tmp_path: Path) -> None:
        program = (
            "import os, signal, sys\nfrom vecstore.embedders.staged_folder import stage_folder\n"
            f"with stage_folder({str(tmp_path / 'm')!r}) as part:\n"
            "    (part / 'half').write_text('x')\n    os.kill(os.getpid(), signal.SIGKILL)"
        )
        subprocess.run([sys.executable, "-c", program], check=False)
        assert not (tmp_path / "m").exists()
        assert len(list(tmp_path.iterdir())) == 1
        with stage_folder(tmp_path / "m") as part:
            (part / "whole").write_text("x")
            assert not (tmp_path / "m").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["m"]
        assert [path.name for path in (tmp_path / "m").iterdir()] == ["whole"]

    def test_a_folder_that_another_call_fills_stays(self, tmp_path: Path) -> None:
        with stage_folder(tmp_path / "m") as first:
            with stage_folder(tmp_path / "m") as second:
                assert first.exists()
                assert second.exists()
            with pytest.raises(InvalidArgument, match="exists"), stage_folder(tmp_path / "m"):
                pass
            shutil.rmtree(tmp_path / "m")
        assert (tmp_path / "m").is_dir()

    def test_a_folder_of_a_user_stays(self, tmp_path: Path) -> None:
        for name in ("m.original.part", "m.0123abcd.part", "m.vecstore-part"):
            (tmp_path / name).mkdir()
        with stage_folder(tmp_path / "m"):
            pass
        assert len(list(tmp_path.iterdir())) == 4

    def test_an_error_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(KeyError), stage_folder(tmp_path / "m"):
            raise KeyError
        assert list(tmp_path.iterdir()) == []


@pytest.mark.long
class TestMiniLM:
    """The model that people use, with judgements of people: `pytest -m long tests/test_embedder_onnx.py`."""

    @pytest.mark.parametrize("int8", [False, True])
    def test_keeps_99_percent_of_its_correlation_with_people(self, tmp_path: Path, *, int8: bool) -> None:
        import gensim

        data = Path(gensim.__file__).parent / "test" / "test_data"
        lines = (data / "wordsim353.tsv").read_text("utf-8").splitlines()
        pairs = [(a, b, float(c)) for a, b, c in (line.split("\t")[:3] for line in lines if line[:1] != "#")]
        documents = (data / "lee.cor").read_text("latin-1").splitlines()
        scores = np.loadtxt(data / "similarities0-1.txt")
        pairs += [(documents[i], documents[j], float(scores[i, j])) for i in range(0, 50, 5) for j in range(i)]
        texts = [*documents, *(word for a, b, _ in pairs[:200] for word in (a, b))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TruncatedText)
            done = export_onnx(SentenceTransformersEmbedder(MINILM, device="cpu"), tmp_path / "m", int8=int8,
                               texts=texts, pairs=pairs)  # fmt: skip
        found = done.fidelity
        assert found.sts_before is not None
        assert found.sts_after is not None
        assert found.sts_after >= 0.99 * found.sts_before
        assert found.cosine_mean >= 0.99 if int8 else found.cosine_mean > 0.99999
        assert done.size < 25e6 if int8 else done.size < 95e6


class TestCommand:
    def test_writes_a_folder_that_a_store_is_filled_with(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from vecstore.cli.app import run

        small = tiny_model().load_model()
        small.save(str(tmp_path / "small"))
        (tmp_path / "texts.txt").write_text("\n".join(["", *SAMPLE_TEXTS, SAMPLE_TEXTS[0]]), "utf-8")
        (tmp_path / "pairs.tsv").write_text("tea\twater\t1\n\ntea\tcat\t.1\nrain\tsnow\t0.5\n")
        monkeypatch.chdir(tmp_path)
        options = ["--texts", "texts.txt", "--pairs", "pairs.tsv", "--json"]
        capsys.readouterr()
        assert run(["model", "export", "sentence-transformers:./small", "-o", "out", *options]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["folder"] == "out"
        assert answer["fidelity"]["texts"] == len(SAMPLE_TEXTS)
        assert answer["fidelity"]["sts_before"] == answer["fidelity"]["sts_after"]
        (tmp_path / "note.txt").write_text("A cat lies on the mat.")
        assert run(["add", "memory:", "notes", "note.txt", "--embedder", "onnx:./out"]) == 2  # memory: would forget
        assert run(["add", "file:./kb", "notes", "note.txt", "--embedder", "onnx:./out"]) == 0
        assert run(["search", "file:./kb", "notes", "cat", "--embedder", "onnx:./out"]) == 0

    @pytest.mark.parametrize(
        "arguments, match",
        [
            (["wordllama"], "sentence-transformers:PATH"),
            (["sentence-transformers:"], "sentence-transformers:PATH"),
            (["sentence-transformers:./nowhere"], "no directory"),
            (["sentence-transformers:x", "--pairs", "bad.tsv"], "line 2"),
            (["sentence-transformers:x", "--texts", "latin.txt"], "not UTF-8"),
            (["sentence-transformers:x", "--texts", "none.txt"], "none.txt"),
        ],
    )
    def test_says_what_is_wrong(
        self,
        arguments: list[str],
        match: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        from vecstore.cli.app import run

        (tmp_path / "bad.tsv").write_text("a\tb\t1\na\tb\n")
        (tmp_path / "latin.txt").write_bytes(b"K\xf6ln")
        monkeypatch.chdir(tmp_path)
        assert run(["model", "export", *arguments, "-o", "out"]) != 0
        assert match in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
