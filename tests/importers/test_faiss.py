"""Files of FAISS's indexes, written by FAISS, with records beside them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Run
from vecstore import Database, InvalidArgument, Metric, SchemaMismatch
from vecstore.importers import FaissIndex, import_records

from .answers import check_nearest, check_records, refusing
from .records import COUNT, DIM, IDS, NEAREST, QUERY_VECTORS, TEXTS, VECTORS, make_metadata, make_nested

MATRIX = np.asarray(VECTORS, np.float32)
METADATA = [{**make_metadata(number), **make_nested(number)} for number in range(COUNT)]
RECORDS = [{"id": IDS[number], "text": TEXTS[number], **METADATA[number]} for number in range(COUNT)]


def write_index(path: Path, kind: str, numbers: Any = None) -> str:
    index = faiss.index_factory(DIM, kind, faiss.METRIC_INNER_PRODUCT if "ip" in path.name else faiss.METRIC_L2)
    if numbers is None:
        index.add(MATRIX)
    else:
        index.add_with_ids(MATRIX, np.asarray(numbers, np.int64))
    faiss.write_index(index, str(path))
    return str(path)


def write_lines(path: Path, records: Any) -> str:
    path.write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    return str(path)


def find_nearest(path: str, ids: list[str]) -> list[list[str]]:
    index = faiss.read_index(path)
    _, found = index.search(np.asarray(QUERY_VECTORS, np.float32), NEAREST)
    return [[ids[place] for place in row] for row in found]


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_an_index_and_its_records(tmp_path: Path, db: Database, metric: str, ending: str) -> None:
    index = write_index(tmp_path / f"{metric}.faiss", "Flat")
    path = tmp_path / f"records.{ending}"
    if ending == "jsonl":
        write_lines(path, RECORDS)
    elif ending == "json":
        path.write_text(json.dumps(RECORDS), "utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(RECORDS), path)
    done = import_records(db, "docs", FaissIndex(Path(index), path))
    assert (done.records, done.metric, done.left_out, done.notes) == (COUNT, Metric(metric), (), ())
    check_records(db.open("docs"), METADATA)
    check_nearest(db.open("docs"), find_nearest(index, IDS))


def test_an_index_alone(tmp_path: Path, db: Database) -> None:
    index = write_index(tmp_path / "l2.faiss", "Flat")
    done = import_records(db, "docs", FaissIndex(index), metric="cosine")
    assert (done.records, done.metric) == (COUNT, Metric.COSINE)
    assert "is searched by l2; the store compares by cosine" in done.notes[0]
    store = db.open("docs")
    numbers = [str(number) for number in range(COUNT)]
    found = np.asarray([record.vector for record in store.get(numbers) if record])
    assert np.array_equal(found, MATRIX)


@pytest.mark.parametrize("kind", ["IDMap,Flat", "IDMap2,Flat", "IDMap,HNSW32"])
def test_numbers_of_an_id_map(tmp_path: Path, db: Database, kind: str) -> None:
    numbers = [7 + 3 * (COUNT - number) for number in range(COUNT)]
    index = write_index(tmp_path / "l2.faiss", kind, numbers)
    shuffled = [{**RECORDS[place], "n": numbers[place]} for place in np.random.default_rng(3).permutation(COUNT)]
    records = write_lines(tmp_path / "records.jsonl", [*shuffled, {"id": "without", "n": 5}, {"id": "none"}])
    done = import_records(db, "docs", FaissIndex(index, records, number="n"))
    assert (done.records, done.left_out[0].ids) == (COUNT, ("without", "none"))
    check_records(db.open("docs"), METADATA)
    if "HNSW" not in kind:
        check_nearest(db.open("docs"), find_nearest(index, dict(zip(numbers, IDS, strict=True))))  # type: ignore[arg-type]
    bare = import_records(db, "bare", FaissIndex(index))
    assert bare.records == COUNT
    assert [each.id for each in db.open("bare").scan(limit=2)] == sorted(map(str, numbers))[:2]


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("exploded"),)


def test_a_pickle_is_never_read(tmp_path: Path, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    index = write_index(tmp_path / "l2.faiss", "Flat")
    for name in ("index.pkl", "records.jsonl"):
        Path(name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(InvalidArgument):
            import_records(db, "docs", FaissIndex(index, name))
    assert not Path("exploded").exists()
    assert db.names() == []


def test_refusals(tmp_path: Path, db: Database) -> None:
    index = write_index(tmp_path / "l2.faiss", "Flat")
    few = write_lines(tmp_path / "few.jsonl", RECORDS[:3])
    odd = write_lines(tmp_path / "odd.jsonl", [*RECORDS[:-1], 5])
    (tmp_path / "damaged.faiss").write_bytes(Path(index).read_bytes()[:100])
    for source, message in (
        (FaissIndex(str(tmp_path / "none")), "There is no file"),
        (FaissIndex(index, str(tmp_path / "none.jsonl")), "There is no file"),
        (FaissIndex(index, str(tmp_path / "none.txt")), "'none.txt' is no file of records"),
        (FaissIndex(index, "index.pkl"), "A pickle can run a program"),
        (FaissIndex(index, few), "has 150 vectors, and 'few.jsonl' has 3 records. Name the key"),
        (FaissIndex(index, odd), "Line 150 of 'odd.jsonl' is no JSON object"),
        (FaissIndex(index, number="n"), "Give records='…' (--records) too"),
        (FaissIndex(str(tmp_path / "damaged.faiss")), "cannot be read by FAISS"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            import_records(db, "docs", source)
        assert message in str(caught.value)
    coded = faiss.index_factory(DIM, "SQ8")
    coded.train(MATRIX)
    coded.add(MATRIX)
    faiss.write_index(coded, str(tmp_path / "sq.faiss"))
    with refusing(InvalidArgument, "IndexScalarQuantizer, which does not keep vectors as they were"):
        import_records(db, "docs", FaissIndex(str(tmp_path / "sq.faiss")))
    assert db.names() == []


def test_on_the_command_line(tmp_path: Path, url: str, run: Run) -> None:
    index = write_index(tmp_path / "ip.faiss", "Flat")
    records = write_lines(tmp_path / "records.jsonl", RECORDS)
    command = ("import", url, "docs", index, "--from", "faiss", "--records", records)
    done = run(*command, "--field", "year:int", "--metric", "cosine", "--json")
    assert (done.code, done.json["records"], done.json["metric"]) == (0, COUNT, "cosine")
    assert run("count", url, "docs", "--where", '{"year": 2001}').out == "6\n"
    assert run(*command, "--metric", "cosine").code == 0
    assert "or give metric='cosine'" in run(*command).err


def test_schema_mismatch_names_the_metric(tmp_path: Path, db: Database) -> None:
    index = write_index(tmp_path / "l2.faiss", "Flat")
    import_records(db, "docs", FaissIndex(index))
    with refusing(SchemaMismatch, "exists with metric l2"):
        import_records(db, "docs", FaissIndex(write_index(tmp_path / "ip.faiss", "Flat")))
