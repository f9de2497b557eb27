"""What tests of long rebuilds share: texts, two models, pages of few records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ..backend import Backend, Entry, Superseded
from ..index_options import HNSW
from ..rebuild import catch_up, comparison, copy
from ..records import Record
from ..schema import Schema
from ..store import VectorStore
from .author import write_steps
from .backend_level import write_fenced
from .place import Place, Places
from .processes import TalkingProcess
from .sample_records import SCHEMA, read_contents
from .toy_embedder import ToyEmbedder

OLD = ToyEmbedder(8, seed=1, name="old")
TEXT_SCHEMA = Schema(metric="cosine", index=HNSW(), fields=SCHEMA.fields)
PAGE = 40
PAGES = 100
"""Records that take a rebuild three pages."""


def new_model() -> ToyEmbedder:
    """Return the embedder that the tests change to, with nothing in its book."""
    return ToyEmbedder(5, seed=2, name="new")


class SmallPages(Places):
    """Rebuilds that take several pages for few records."""

    @pytest.fixture(autouse=True)
    def pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a rebuild copy 40 records at a time."""
        monkeypatch.setattr(copy, "BATCH", PAGE)
        monkeypatch.setattr(catch_up, "BATCH", PAGE)
        monkeypatch.setattr(catch_up, "CALM", 8)
        monkeypatch.setattr(comparison, "PAGE", PAGE)


def make_texts(number: int) -> Iterator[Record]:
    """Yield records without vectors."""
    return (Record(f"text-{each:05}", text=f"text {each}", metadata={"year": each}) for each in range(number))


def check_texts(store: VectorStore, kept: dict[str, Record], embedder: ToyEmbedder) -> None:
    """Prove that a store holds these texts and metadata, with the vectors that the embedder makes of them."""
    found = read_contents(store)
    assert {id_: (each.text, dict(each.metadata)) for id_, each in found.items()} == {
        id_: (each.text, dict(each.metadata)) for id_, each in kept.items()
    }
    wanted = embedder.embed_documents([each.text or "" for each in found.values()])
    assert np.allclose([np.asarray(each.vector) for each in found.values()], wanted, atol=1e-6)


def start_author(place: Place, name: str, seed: int) -> TalkingProcess:
    """Start an author in a process of its own; it makes a step for each line that it gets."""
    return TalkingProcess(write_steps, place.url, "texts", name, seed)


def apply_to_active(backend: Backend, deed: Callable[[Entry], object]) -> None:
    """Do something to the active generation of the store, whichever it is."""
    while True:
        try:
            deed(backend.find(name="docs"))
        except Superseded:
            continue
        return


def write_fenced_to_active(backend: Backend, versions: list[tuple[str, int]]) -> None:
    """Write records with fences into the active generation."""
    apply_to_active(backend, lambda entry: write_fenced(backend, entry.active, versions))
