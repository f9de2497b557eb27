"""The libraries themselves, each in an environment of its own: filled, imported and compared."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.sources import ROOT
from vecstore import Database
from vecstore.importers import ImportSource, LangchainPostgres, RedisIndex, VecsCollection, import_records

from .answers import check_nearest
from .records import COUNT
from .redis_with_json import run_server_with_json

pytestmark = pytest.mark.long

Nearest = Mapping[str, Sequence[Sequence[str]]]


def run_in(environment: str, *arguments: object) -> str:
    """Run a module with the Python of another environment, which ``make test-long`` makes."""
    python = Path(os.environ.get("VECSTORE_TEST_PEERS", ROOT)) / environment / "bin" / "python"
    assert python.exists(), f"Run make test-long, which makes {environment}."
    command = [str(python), "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def check_import(db: Database, source: ImportSource, metric: str | None, nearest: Sequence[Sequence[str]]) -> None:
    done = import_records(db, "docs", source, metric=metric)
    assert (done.records, done.left_out) == (COUNT, ())
    check_nearest(db.open("docs"), nearest)
    db.drop("docs")


@pytest.mark.parametrize("name", ["chroma", "lancedb", "qdrant"])
def test_a_library_that_alone_reads_its_files(name: str, tmp_path: Path, note: Callable[[str], None]) -> None:
    note(f"imported from {run_in('.venv-peers', 'tests.importers.live', name, tmp_path)}")


def test_langchain_postgres(peer_url: str, db: Database) -> None:
    nearest: Nearest = json.loads(
        run_in(".venv-peers-servers", "tests.importers.samples.make_postgres", "langchain", peer_url)
    )
    for name, metric in (("articles", "cosine"), ("by distance", "l2"), ("Pages", "cosine")):
        check_import(db, LangchainPostgres(peer_url, name), metric, nearest[name])


def test_vecs(peer_url: str, db: Database) -> None:
    nearest: Nearest = json.loads(
        run_in(".venv-peers-servers", "tests.importers.samples.make_postgres", "vecs", peer_url)
    )
    check_import(db, VecsCollection(peer_url, "docs", text="text"), "cosine", nearest["docs"])
    check_import(db, VecsCollection(peer_url, "by_product"), None, nearest["by_product"])


def test_redisvl_and_langchain_redis(db: Database) -> None:
    with run_server_with_json() as server:
        nearest: Nearest = json.loads(run_in(".venv-peers-servers", "tests.importers.samples.make_redis", server.url))
        for name in ("hashes", "documents", "langchain"):
            check_import(db, RedisIndex(server.url, name), None, nearest[name])
