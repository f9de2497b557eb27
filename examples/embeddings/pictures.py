"""The pictures of docs/gallery.md: maps by ``vecstore plot`` of what the examples embed, and hits of search by picture.

``python -m examples.embeddings.pictures FOLDER`` writes them there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import networkx as nx
import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from examples.embeddings.cities import learn_airports, read_airports, read_routes
from examples.embeddings.graphs import embed_nodes
from examples.embeddings.molecules import read_molecules
from examples.embeddings.photos import read_pieces
from examples.embeddings.sorting_texts import read_texts
from vecstore import Record, Schema, connect, fields
from vecstore.embedders import MorganEmbedder, WordLlamaEmbedder, load_efficientnet

# Free of any rights, so that the picture can be a part of the repository.
ASKED = ("chelsea.png", "rocket.jpg", "coffee.png", "astronaut.png", "retina.jpg")
SIDE, GAP, SHOWN = 96, 8, 4
SCREENED = 900
"""Molecules beside the active ones in the picture of them."""


def fill_stores(url: str) -> dict[str, str]:
    """Fill a store for each picture; return the methods that draw them."""
    texts, packages = read_texts()
    digits = load_digits()
    club = nx.karate_club_graph()
    airports = read_airports()
    nodes, codes = learn_airports(read_routes())
    known, others = read_molecules()
    vectors = {
        "sorting_texts": (WordLlamaEmbedder().embed_documents(texts), packages),
        "anomalies": (digits.data.astype(np.float32), [f"{digit}" for digit in digits.target]),
        "graphs": (embed_nodes(club, 0), [club.nodes[node]["club"] for node in club]),
        "cities": (nodes.embed_documents(codes), [name_zone(airports[code][2]) for code in codes]),
        "molecules": (
            MorganEmbedder().embed_documents([*known, *others[:SCREENED]]),
            ["active"] * len(known) + ["screened"] * SCREENED,
        ),
    }
    with connect(url) as database:
        for name, (rows, labels) in vectors.items():
            store = database.create(name, Schema(dim=rows.shape[1], fields={"label": fields.Keyword()}))
            store.upsert(
                Record(f"{place}", row, metadata={"label": label})
                for place, (row, label) in enumerate(zip(rows, labels, strict=True))
            )
    return {"sorting_texts": "tsne", "anomalies": "tsne", "graphs": "pca", "cities": "tsne", "molecules": "tsne"}


def name_zone(longitude: float) -> str:
    """Return the time zone that a longitude would have if countries had none."""
    return f"UTC{round(longitude / 15):+03d}"


def draw_hits(target: Path) -> None:
    """Draw a mirrored piece of a photograph in each row, and beside it what it finds."""
    pieces, network = read_pieces(), load_efficientnet()
    sheet = Image.new("RGB", ((SIDE + GAP) * (SHOWN + 1), (SIDE + GAP) * len(ASKED) - GAP), "white")
    with connect("memory:") as database:
        store = database.create("pieces", Schema(dim=network.dim), embedder=network)
        store.upsert(Record(name, item=piece) for name, piece in pieces.items())
        for row, file in enumerate(ASKED):
            asked = ImageOps.mirror(next(piece for name, piece in pieces.items() if name.startswith(file)))
            shown = [asked, *(pieces[hit.id] for hit in store.search(item=asked, k=SHOWN))]
            for column, piece in enumerate(shown):
                left = column * (SIDE + GAP) + (GAP if column else 0)
                sheet.paste(piece.resize((SIDE, SIDE)), (left, row * (SIDE + GAP)))
    sheet.save(target, quality=85)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the pictures; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.embeddings.pictures", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    with tempfile.TemporaryDirectory() as place:
        url = f"file:{place}"
        for name, method in fill_stores(url).items():
            target = folder / f"{name}.png"
            command = [sys.executable, "-m", "vecstore", "plot", url, name, "--color", "label", "--method", method]
            subprocess.run([*command, "-o", str(target)], check=True)  # noqa: S603 - own names
    draw_hits(folder / "image_search.jpg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
