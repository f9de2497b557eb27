"""Writes the directory of this format that later versions must be able to read, and what it holds.

``python -m tests.file.golden_maker`` replaces ``golden/format-1``: do that only while no release can read the format.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

import vecstore
from tests.file.samples import find_sorted, read_contents
from tests.force_graph import MIN_ROWS, force_graph
from vecstore import HNSW, Database, F, Flat, Record, Schema, fields
from vecstore.backend import Generation, Rows, Search
from vecstore.backends.file.backend import FileBackend

GOLDEN = Path(__file__).with_name("golden") / "format-1"
PLACE, EXPECTED = GOLDEN / "kb", GOLDEN / "expected.json"

_GRAPH = HNSW(m=4, ef_construction=16)
_KINDS = {
    "lang": fields.Keyword(), "tags": fields.Keywords(), "number": fields.Int(), "price": fields.Float(),
    "open": fields.Bool(), "at": fields.DateTime(),
}  # fmt: skip
SCHEMAS = {
    "articles": Schema(dim=8, metric="cosine", index=_GRAPH, fields=_KINDS),
    "halves": Schema(dim=5, metric="l2", dtype="float16", index=_GRAPH, fields={"number": fields.Int()}),
    "products": Schema(dim=3, metric="ip", index=Flat(), fields={"number": fields.Int()}),
}
_ODD = (
    " ", "é", "e\u0301", "É", "🦊", "\u202etfel", "a\nb\tc\r", "\x01", "'; DROP TABLE rows; --", "%_*?[]", "../../g",
    "C:\\x", "NULL", "0", "-1", "x" * 512, "ü" * 256, "\ufeff",
)  # fmt: skip
_NUMBERS = (0, -1, 2**53, -(2**53))
_PRICES = (0.0, -0.0, 5e-324, -1.7976931348623157e308, 0.1, 7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = (_EPOCH, _EPOCH - timedelta(microseconds=2**53), _EPOCH + timedelta(microseconds=2**53))


def vectors(name: str, count: int, stamp: int) -> Any:
    """Return vectors of few significant bits, the same on every machine."""
    draws = np.random.Generator(np.random.PCG64(stamp)).integers(-1_000, 1_000, (count, SCHEMAS[name].width))
    return (draws * 2 + 1).astype(np.float32) / 64


def make_records(name: str, numbers: range, stamp: int) -> list[Record]:
    """Return records of which every fifth lacks something."""
    return [
        Record(
            f"r{number}",
            vector,
            None if number % 5 == 0 else f"text {stamp}/{number}",
            make_metadata(name, number, stamp),
        )
        for number, vector in zip(numbers, vectors(name, len(numbers), stamp), strict=True)
    ]


def make_metadata(name: str, number: int, stamp: int) -> dict[str, Any]:
    """Return a value of every kind, common ones and those at the ends of what is possible."""
    if name != "articles":
        return {"number": number, "stamp": stamp} if number % 3 else {}
    values: dict[str, Any] = {
        "lang": ("en", "de", "", "é")[number % 4],
        "tags": [f"t{tag}" for tag in range(number % 4)] * (1 + number % 2),
        "number": _NUMBERS[number] if number < len(_NUMBERS) else stamp * 1_000 + number,
        "price": _PRICES[number] if number < len(_PRICES) else number / 8,
        "open": number % 2 == 0,
        "at": _TIMES[number] if number < len(_TIMES) else _EPOCH + timedelta(days=number, microseconds=number),
        "note": {"deep": [stamp, None, True, 1e300, {"é": "🦊"}]},
    }
    return {key: value for place, (key, value) in enumerate(values.items()) if (number + place) % 9}


def make(place: Path) -> None:
    """Write every kind of file and row that there is."""
    with vecstore.connect(f"file:{place}?{MIN_ROWS}") as db:
        for name, schema in SCHEMAS.items():
            db.create(name, schema).upsert(make_records(name, range(110), 1))
        articles = db.open("articles")
        articles.delete(ids=[f"r{number}" for number in range(20, 40)])
        articles.update(where=F.lang == "de", metadata={"price": 2.5, "note": None})
        articles.compact()
        articles.upsert(make_records("articles", range(100, 170), 2))
        articles.delete(ids=["r5", "r101"])
        odd = zip(_ODD, vectors("articles", len(_ODD), 3), strict=True)
        articles.upsert([Record(id_, vector, f"{id_}\n{'long ' * 9}", {"lang": id_}) for id_, vector in odd])
        halves = db.open("halves")
        halves.update(ids=["r1", "r2"], metadata={"number": 7})
        halves.delete(where=F.number < 30)
        halves.reindex()
        _fence(db, "halves")
        db.rebuild("products", schema=Schema(dim=3, metric="l2", index=_GRAPH, fields={"stamp": fields.Int()}))
        products = db.open("products")
        products.upsert(make_records("products", range(105, 115), 4))
        products.delete(ids=["r0", "r1"])
        _fence(db, "products")


def _fence(db: Database, name: str) -> None:
    """Write versions, and tombstones."""
    backend, active = db._backend, db._backend.find(name=name).active
    fields_ = {key: [None, 3] for key in active.schema.fields}
    rows = Rows(["fenced", "gone"], vectors(name, 2, 5), ["a", None], fields_, ["{}", "{}"])
    backend.write(active, rows, insert=False, fence=[5, 6])
    backend.delete(active, ["gone", "never"], [7, 8])


def describe(backend: FileBackend) -> dict[str, Any]:
    """Return all that a directory holds, as plain JSON data."""
    stores = {name: backend.find(name=name) for name in backend.names()}
    data = {
        name: {
            role: _describe_generation(backend, each)
            for role in ("active", "building", "previous")
            if (each := getattr(entry, role))
        }
        for name, entry in stores.items()
    }
    plain: dict[str, Any] = json.loads(json.dumps(data, default=_encode_plain))
    return plain


def _describe_generation(backend: FileBackend, where: Generation) -> dict[str, Any]:
    records = read_contents(backend, where, limit=1_000)
    state = backend.index_state(where)
    return {
        "schema": where.schema.to_dict(),
        "ef": where.ef,
        "index": [state.state, state.rows, state.indexed],
        "records": {
            id_: [kept.version, kept.text, kept.vector.hex(), kept.fields, kept.extra] for id_, kept in records.items()
        },
        "tombstones": dict(backend.tombstones(where, None, 1_000)),
        "changes": [change.id for change in backend.changes(where, (), 1_000)],
    }


def find_nearest(backend: FileBackend, where: Generation, *, exact: bool) -> list[Any]:
    """Return what a few searches find."""
    queries = np.repeat(np.array([[1], [-3]], np.float32), where.schema.width, axis=1)
    return find_sorted(backend, where, Search(queries, 5, exact=exact, ef=1_000))


def _encode_plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value))


def leave_as_cloned(place: Path) -> None:
    """Do to a directory what version control does: it keeps no empty directories, and one mode of files."""
    for path in sorted(place.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        else:
            path.chmod(0o755 if path.is_dir() else 0o644)


def main() -> None:
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir(parents=True)
    # So that efforts are calibrated.
    with force_graph():
        make(PLACE)
    backend = FileBackend.connect(str(PLACE), {})
    data = describe(backend)
    for name, roles in data.items():
        for role in roles:
            where = getattr(backend.find(name=name), role)
            roles[role]["nearest"] = find_nearest(backend, where, exact=True)
    backend.close()
    leave_as_cloned(PLACE)
    EXPECTED.write_text(
        json.dumps(data, indent=None, separators=(",", ":"), ensure_ascii=True).replace('"r', '\n"r') + "\n"
    )


if __name__ == "__main__":
    main()
