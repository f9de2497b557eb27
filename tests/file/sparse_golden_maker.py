"""Writes the directory of the second format, of row files that hold records without a vector, and what it holds.

``python -m tests.file.sparse_golden_maker`` replaces ``golden/format-2``: do that only while no release can read it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import vecstore
from tests.file import golden_maker
from tests.file.golden_maker import SCHEMAS, find_nearest, make_records
from tests.force_graph import MIN_ROWS, force_graph
from vecstore import F, Flat
from vecstore.backends.file.backend import FileBackend

GOLDEN = Path(__file__).with_name("golden") / "format-2"
PLACE, EXPECTED = GOLDEN / "kb", GOLDEN / "expected.json"

STORES = {
    "articles": replace(SCHEMAS["articles"], vectors="optional"),
    "halves": replace(SCHEMAS["halves"], vectors="optional", index=Flat()),
}


def make(place: Path) -> None:
    """Write gaps in segments and in the memtable, changes of both kinds, removed rows."""
    with vecstore.connect(f"file:{place}?{MIN_ROWS}") as db:
        for name, schema in STORES.items():
            store = db.create(name, schema)
            records = make_records(name, range(160), 1)
            store.upsert(replace(each, vector=None) if number % 3 == 0 else each for number, each in enumerate(records))
            store.delete(ids=[f"r{number}" for number in range(20, 30)])
            store.update(ids=["r3", "r9", "r12"], vector=[1.0] * schema.width)
            store.compact()
            store.update(where=F.id.in_(["r1", "r2", "r4"]), vector=None)
            store.upsert(replace(each, vector=None, text=None) for each in make_records(name, range(155, 175), 2))
            store.upsert(make_records(name, range(170, 180), 3))


def describe(backend: FileBackend) -> dict[str, Any]:
    """Return all that a directory holds, as plain JSON data."""
    found = {name: roles["active"] for name, roles in golden_maker.describe(backend).items()}
    for name, described in found.items():
        active = backend.find(name=name).active
        described["without vector"] = backend.find_without_vector(active, 1_000)
        described["format"] = backend.stats(active).details["format"]
    return found


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    with force_graph():
        make(PLACE)
    backend = FileBackend.connect(str(PLACE), {})
    data = describe(backend)
    for name, described in data.items():
        described["nearest"] = find_nearest(backend, backend.find(name=name).active, exact=True)
    backend.close()
    golden_maker.leave_as_cloned(PLACE)
    EXPECTED.write_text(json.dumps(data, separators=(",", ":"), ensure_ascii=True).replace('"r', '\n"r') + "\n")


if __name__ == "__main__":
    main()
