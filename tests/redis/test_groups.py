"""Groups of records on Redis: rights that are missing, and records that others remove while the index is checked."""

from __future__ import annotations

import pytest

import vecstore
from servers.redis.own_server import OwnServer
from vecstore import Flat, Record, Schema, StorageError
from vecstore.backends.redis.generation_guard import GenerationGuard
from vecstore.testing.backend_level import make_rows

SCHEMA = Schema(dim=2, metric="l2", index=Flat())
OLD = [Record("k", [0, 0], "old"), Record("k#1", [0, 0], "old"), Record("k#2", [0, 0], "old")]


@pytest.mark.parametrize("command", ["zrangebylex", "zcard"])
def test_a_refused_command_leaves_a_group_as_it_was(own_server: OwnServer, command: str) -> None:
    with vecstore.connect(own_server.url) as db, own_server.connect() as client:
        store = db.create("docs", SCHEMA)
        store.insert(OLD)
        client.execute_command("ACL", "SETUSER", "clerk", "on", ">secret", "~*", "+@all", f"-{command}")
        rows = make_rows(Record("k", [1, 1], "new"), Record("k#1", [1, 1], "new"), schema=SCHEMA)
        with vecstore.connect(own_server.make_url("clerk", "secret")) as refused:
            current = refused.open("docs")._current
            with pytest.raises(StorageError, match=f"run {command.upper()}"):
                current.backend.write_groups(current.entry.active, rows, {"k": 5})
        assert [(record.id, record.text) for record in store.scan()] == [(each.id, "old") for each in OLD]
        current = store._current
        assert current.backend.write_groups(current.entry.active, rows, {"k": 4}) == 2  # the fence was not raised


def test_a_record_that_another_writer_removes_is_not_missed_in_the_index(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vecstore.connect(redis_url) as db:
        store = db.create("docs", SCHEMA)
        store.insert(OLD)
        ask = GenerationGuard.wait_for_index

        def wait_for_index(self: GenerationGuard, generation: object) -> object:
            monkeypatch.undo()
            store.delete(ids=["k#1"])
            return ask(self, generation)  # type: ignore[arg-type]

        monkeypatch.setattr(GenerationGuard, "wait_for_index", wait_for_index)
        current = store._current
        verifier = current.backend._verifier  # type: ignore[attr-defined]
        assert list(verifier.find_unindexed(current.entry.active, ["k#1", "absent"])) == []
        assert store.count() == 2
