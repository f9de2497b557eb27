"""A store with a record of each kind, and its export, for the tests of exports."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import vecstore
from vecstore import Database, VectorStore
from vecstore.testing.digest_truth import EXAMPLES, WIDE

SEED = int(os.environ.get("VECSTORE_SEED") or secrets.randbelow(2**32))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with vecstore.connect(f"file:{tmp_path}/kb") as db:
        yield db


@pytest.fixture
def store(db: Database) -> VectorStore:
    store = db.create("docs", WIDE)
    chosen = {name: record for name, (schema, record) in EXAMPLES.items() if "lang" not in schema.fields}
    store.insert(replace(record, id=name) for name, record in chosen.items())
    return store


@pytest.fixture
def file(store: VectorStore, tmp_path: Path) -> Path:
    store.export(tmp_path / "docs.parquet")
    return tmp_path / "docs.parquet"
