"""Where single vectors are read from: the map of a small store, the file of a large one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.file.compactions import read_newest
from tests.file.samples import Store, make_busy_store
from vecstore.backends.file.vectors import vectors as vectors_of_a_commit
from vecstore.backends.file.vectors.vectors import Vectors
from vecstore.errors import StoreCorrupt


@pytest.fixture(params=["small", "large"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "large":
        monkeypatch.setattr(vectors_of_a_commit, "_MAPPED", 0)
    return make_busy_store(tmp_path)


def gather_stored(vectors: Vectors) -> np.ndarray:
    return np.concatenate([part.get_stored_rids() for part in vectors.parts])


def test_few_and_many_are_the_same_vectors(store: Store) -> None:
    vectors = read_newest(store).vectors
    rids = gather_stored(vectors)
    assert len(vectors.segments) > 1
    many = vectors.gather(np.tile(rids, 1 + 400 // len(rids)))[: len(rids)]
    assert vectors.gather(rids).tobytes() == many.tobytes()
    assert b"".join(vectors.gather(rids[[place]]).tobytes() for place in range(len(rids))) == many.tobytes()


def test_pages_that_were_let_go_are_there_again(store: Store) -> None:
    vectors = read_newest(store).vectors
    for _ in range(2):
        for part in vectors.parts:
            part.touch(0, len(part.vectors))
            places = np.flatnonzero(part.alive)
            assert part.vectors[places].tobytes() == vectors.gather(part.get_rids(places)).tobytes()
    for segment in vectors.segments:
        segment.release()
        assert segment.check() == []


def test_a_file_that_ends_early_is_damage_and_no_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_of_a_commit, "_MAPPED", 0)
    vectors = read_newest(make_busy_store(tmp_path)).vectors
    segment = vectors.segments[0]
    rids = gather_stored(vectors)[:3]
    vectors.gather(rids)
    os.truncate(segment.path, 100)
    with pytest.raises(StoreCorrupt, match="its size"):
        vectors.gather(rids)
