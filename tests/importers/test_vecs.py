"""Collections that vecs wrote."""

from __future__ import annotations

import psycopg
import pytest

from vecstore import Database, InvalidArgument, Metric
from vecstore.importers import VecsCollection, import_records

from .answers import check_nearest, check_records, read_nearest, read_script, refusing
from .records import COUNT, TEXTS, make_metadata, make_nested

METADATA = [{**make_metadata(number), **make_nested(number)} for number in range(COUNT)]


@pytest.fixture
def filled(peer: psycopg.Connection, peer_url: str) -> str:
    peer.execute(read_script("vecs"))
    return peer_url


def test_a_collection(filled: str, db: Database) -> None:
    done = import_records(db, "docs", VecsCollection(filled, "docs", text="text"), metric="cosine")
    assert (done.records, done.left_out, done.notes) == (COUNT, (), ())
    check_records(db.open("docs"), METADATA)
    check_nearest(db.open("docs"), read_nearest("vecs")["docs"])


def test_the_metric_of_an_index_is_taken_over(filled: str, db: Database) -> None:
    done = import_records(db, "docs", VecsCollection(filled, "by_product"))
    assert done.metric is Metric.IP
    store = db.open("docs")
    check_records(
        store, [{"text": TEXTS[number], **each} for number, each in enumerate(METADATA)], texts=[None] * COUNT
    )
    check_nearest(store, read_nearest("vecs")["by_product"])


def test_what_is_not_there_is_named(filled: str, db: Database) -> None:
    with refusing(InvalidArgument, "no vecs collection 'doc'. Did you mean 'docs'?"):
        import_records(db, "a", VecsCollection(filled, "doc"))
    with refusing(InvalidArgument, "vecs itself compares by cosine"):
        import_records(db, "a", VecsCollection(filled, "docs"))
    assert db.names() == []
