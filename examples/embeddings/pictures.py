"""The pictures of docs/gallery.md: maps by ``vecstore plot`` of what the examples embed.

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
from sklearn.datasets import load_digits

from examples.embeddings.graphs import embed_nodes
from examples.embeddings.sorting_texts import read_texts
from vecstore import Record, Schema, connect, fields
from vecstore.embedders import WordLlamaEmbedder


def fill_stores(url: str) -> dict[str, str]:
    """Fill a store for each picture; return the methods that draw them."""
    texts, packages = read_texts()
    digits = load_digits()
    club = nx.karate_club_graph()
    vectors = {
        "sorting_texts": (WordLlamaEmbedder().embed_documents(texts), packages),
        "anomalies": (digits.data.astype(np.float32), [f"{digit}" for digit in digits.target]),
        "graphs": (embed_nodes(club, 0), [club.nodes[node]["club"] for node in club]),
    }
    with connect(url) as database:
        for name, (rows, labels) in vectors.items():
            store = database.create(name, Schema(dim=rows.shape[1], fields={"label": fields.Keyword()}))
            store.upsert(
                Record(f"{place}", row, metadata={"label": label})
                for place, (row, label) in enumerate(zip(rows, labels, strict=True))
            )
    return {"sorting_texts": "tsne", "anomalies": "tsne", "graphs": "pca"}


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
    return 0


if __name__ == "__main__":
    sys.exit(main())
