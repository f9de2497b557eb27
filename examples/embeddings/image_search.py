"""Search by picture: pieces of photographs are found by mirrored and cropped copies, and by other pieces of the same.

The pieces are embedded by EfficientNet-Lite0, a network that learned to name a thousand kinds of things. The baseline
compares pixels, which know blurred and darkened copies without fail. So these are printed and not checked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from examples.embeddings.checks import Check, run_example
from examples.embeddings.photos import read_pieces
from vecstore import Record, Schema, connect
from vecstore.embedders import load_efficientnet
from vecstore.evaluation import Figure, measure_neighbours

CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "cropped": lambda piece: ImageOps.crop(piece, piece.width // 10),
    "blurred": lambda piece: piece.filter(ImageFilter.GaussianBlur(2)),
    "darkened": lambda piece: ImageEnhance.Brightness(piece).enhance(0.4),
}
CHECKED = ("mirrored", "cropped")
SIDE = 24
"""Pixels of the baseline."""


def scale_pixels(pieces: list[Image.Image]) -> NDArray[np.float32]:
    """Return the pixels of small copies as vectors of length 1."""
    rows = np.stack([np.asarray(piece.resize((SIDE, SIDE)), np.float32).ravel() for piece in pieces])
    rows -= rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def measure() -> list[Check]:
    """Search with every copy, and look at the neighbours of every piece."""
    pieces = read_pieces()
    pixels = scale_pixels(list(pieces.values()))
    network = load_efficientnet()
    shares = {}
    with connect("memory:") as database:
        store = database.create("pieces", Schema(dim=network.dim), embedder=network)
        store.upsert(Record(name, item=piece) for name, piece in pieces.items())
        for kind, change in CHANGES.items():
            copies = [change(piece) for piece in pieces.values()]
            found = [hits[0].id for hits in store.search_many(items=copies, k=1)]
            nearest = (scale_pixels(copies) @ pixels.T).argmax(axis=1)
            right = [name == hit for name, hit in zip(pieces, found, strict=True)]
            shares[kind] = float(np.mean(right)), float(np.mean(nearest == np.arange(len(pieces))))
            print(f"{kind}: found first {shares[kind][0]:.3f} by the network, {shares[kind][1]:.3f} by pixels")
        vectors = np.array([record.vector for record in store.get(pieces) if record])
    photos = [name.partition(" ")[0] for name in pieces]
    same, beside = (measure_neighbours(rows, photos, 3)[0] for rows in (vectors, pixels))
    value, baseline = (float(np.mean([shares[kind][place] for kind in CHECKED])) for place in (0, 1))
    return [
        Check(Figure("found first, mirrored or cropped", value, len(CHECKED) * len(pieces), baseline, "pixels"), 0.9),
        Check(replace(same, name="P@3, same photograph", baseline=beside.value, against="pixels"), 0.85),
    ]


if __name__ == "__main__":
    sys.exit(run_example(measure))
