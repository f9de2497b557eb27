"""What is logged about calls and upkeep, and what never is."""

from __future__ import annotations

import logging
import secrets

import pytest

from .. import fields
from ..database import Database
from ..errors import VecstoreError
from ..filters.field_ref import F
from ..index_options import HNSW
from ..records import Record
from ..schema import Schema
from .place import Places
from .toy_embedder import ToyEmbedder


def list_lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    """Return the messages of a logger."""
    return [record.getMessage() for record in caplog.records if record.name == logger]


class LogTests(Places):
    """The loggers below ``vecstore``."""

    def test_each_call_has_a_line(self, db: Database, caplog: pytest.LogCaptureFixture) -> None:
        store = db.create("docs", Schema(dim=2, fields={"n": fields.Int()}))
        with caplog.at_level(logging.DEBUG, logger="vecstore"):
            store.insert([Record("a", [1, 0], metadata={"n": 1}), Record("b", [0, 1])])
            store.upsert([Record("c", [1, 1])] * 3, batch_size=2)
            store.search([1, 0], 2, exact=True, where=F.n == 1)
            store.search_many([[1, 0], [0, 1]], 2)
            store.get(["a", "absent"])
            store.count()
            list(store.scan())
            store.update(ids=["a"], metadata={"n": 2})
            store.delete(ids=["a", "b"])
            with pytest.raises(VecstoreError):
                store.insert([Record("c", [1, 1])])
        lines = list_lines(caplog, "vecstore.calls")
        expected = [
            ("insert", "2 rows"), ("upsert", "2 rows"), ("upsert", "1 rows"),
            ("search", "1 rows, 1 queries, exact, filtered"),
            ("search", "4 rows, 2 queries, "), ("get", "1 rows"), ("count", "3 rows"), ("scan", "ms"),
            ("scan page", "3 rows"), ("scan page", "0 rows"), ("update", "1 rows"), ("delete", "2 rows"),
            ("insert", "RecordExists"),
        ]  # fmt: skip
        assert len(lines) == len(expected)
        for line, (call, told) in zip(lines, expected, strict=True):
            assert line.startswith(f"{call} docs: ")
            assert told in line
            assert line.endswith("0 retries")
        assert all(record.levelno == logging.DEBUG for record in caplog.records if record.name == "vecstore.calls")

    def test_upkeep_and_the_steps_of_a_rebuild_are_information(
        self, db: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = db.create("docs", Schema(dim=2))
        store.insert(Record(f"r{number}", [number + 1, 1]) for number in range(5))
        with caplog.at_level(logging.INFO, logger="vecstore"):
            store.reindex(HNSW(m=8))
            store.compact()
            db.rebuild("docs", schema=Schema(dim=2, metric="l2"))
        assert not list_lines(caplog, "vecstore.calls")
        upkeep, rebuild = "\n".join(list_lines(caplog, "vecstore.upkeep")), list_lines(caplog, "vecstore.rebuild")
        assert all(word in upkeep for word in ("index of store docs built in", "calibrated in", "compacted in"))
        assert [line.split(" in ")[0] for line in rebuild] == [
            "store docs copied", "new index of store docs built and calibrated", "copy of store docs compared",
            "store docs switched to the new generation",
        ]  # fmt: skip

    def test_the_way_back_is_information(self, db: Database, caplog: pytest.LogCaptureFixture) -> None:
        db.create("docs", Schema(dim=2)).insert([Record("a", [1, 0])])
        db.rebuild("docs", schema=Schema(dim=2, metric="l2"), keep_previous=True)
        with caplog.at_level(logging.INFO, logger="vecstore"):
            db.rollback("docs")
            assert db.drop_previous("docs")
            assert not db.drop_previous("docs")
        lines = [line.split(" in ")[0] for line in list_lines(caplog, "vecstore.rebuild")]
        assert lines == ["store docs rolled back", "previous generation of store docs dropped"]

    def test_nothing_is_logged_unasked(self, db: Database, caplog: pytest.LogCaptureFixture) -> None:
        store = db.create("docs", Schema(dim=2))
        with caplog.at_level(logging.WARNING, logger="vecstore"):
            store.insert([Record("a", [1, 0])])
            store.search([1, 0])
            store.reindex()
        assert not [record for record in caplog.records if record.name.startswith("vecstore")]

    def test_no_line_holds_what_users_store(self, db: Database, caplog: pytest.LogCaptureFixture) -> None:
        secret = [secrets.token_hex(8) for _ in range(4)]
        text, id_, value, key = secret
        store = db.create("docs", Schema(fields={"word": fields.Keyword()}), embedder=ToyEmbedder())
        with caplog.at_level(logging.DEBUG, logger="vecstore"):
            record = Record(id_, text=text, metadata={"word": value, key: value})
            store.upsert([record])
            for call in (
                lambda: store.insert([record]),
                lambda: store.search(text, where=F.word == value),
                lambda: store.similar_to(value),
                lambda: store.update(ids=[id_], metadata={key: value}, text=text),
                lambda: store.upsert([Record(id_, text=text, metadata={"word": [value]})]),
                lambda: store.search(text, where=F[value] == text),
                lambda: db.rebuild("docs", schema=Schema(metric="l2"), embedder=ToyEmbedder(seed=3)),
                lambda: store.delete(ids=[id_]),
            ):
                try:
                    call()
                except VecstoreError:
                    continue
        assert list_lines(caplog, "vecstore.calls")
        shown = "".join(f"{record.getMessage()}{record.exc_text or ''}" for record in caplog.records)
        assert [each for each in secret if each in shown] == []
