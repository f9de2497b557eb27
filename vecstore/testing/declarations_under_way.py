"""`Database.declare` and `Database.undeclare` that break off, are killed, or meet writers and readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from .. import fields
from ..backend import Backend
from ..database import Database, connect
from ..errors import MetadataMismatch, StoreLocked
from ..filters.field_ref import F
from ..rebuild import copy, declaration
from .author import Author
from .declarations import DYNAMIC, KEYS, ask, make_noted, read_undeclared
from .interruptions import Interruption
from .place import Place
from .processes import TalkingProcess, tell_and_wait, wait_for_lock
from .rebuild_fixtures import PAGE, PAGES, SmallPages
from .sample_records import SCHEMA, key_by_id, make_book, read_contents
from .threads import RepeatingThreads


class Breaking:
    """A backend that breaks off before a call of a given number, as a killed process does."""

    def __init__(self, backend: Backend, number: int) -> None:
        self._backend, self._left = backend, number

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found) or name in {"close"}:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise Interruption
            return found(*arguments, **options)

        return call


def call_slowly(url: str, deed: str) -> None:
    """Declare the keys of the store of notes or take that back, and wait at each step."""
    copy.BATCH = declaration.PAGE = PAGE

    def report(phase: str, done: int, total: int | None) -> None:
        tell_and_wait(phase)

    with connect(url) as db:
        if deed == "declare":
            db.declare("notes", KEYS, on_progress=report)
        else:
            db.undeclare("notes", list(KEYS), on_progress=report)


class InterruptedDeclareTests(SmallPages):
    """Wherever a call breaks off, the store answers as before or as after, and the call can be made again."""

    @pytest.fixture(autouse=True)
    def few_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let values be checked in pages as small as those that are copied."""
        monkeypatch.setattr(declaration, "PAGE", PAGE)

    def test_broken_off_before_every_call_of_the_backend(self, place: Place, db: Database) -> None:
        store = db.create("notes", DYNAMIC)
        store.insert(map(make_noted, range(50)))
        answers, contents = ask(store), read_undeclared(store)
        backend, number, outcomes = db._backend, 0, set()
        while True:
            deed: Callable[[Database], Any] = [
                lambda each: each.declare("notes", KEYS), lambda each: each.undeclare("notes", list(KEYS)),
            ][number % 2]  # fmt: skip
            wanted, broken = ({*KEYS} if number % 2 == 0 else set()), Database(Breaking(backend, number))  # type: ignore[arg-type]
            try:
                deed(broken)
            except Interruption:
                outcomes.add({*db.open("notes").schema.fields} == wanted)
                assert ask(db.open("notes")) == answers
                deed(db)
            else:
                break
            assert {*db.open("notes").schema.fields} == wanted
            assert place.backend().find(name="notes").standby is None
            number += 1 if place.part == 1 else 3
        assert outcomes == {True, False} or place.part > 1
        assert number > 15
        assert read_undeclared(store) == contents

    def test_a_killed_process_holds_nothing(self, place: Place, db: Database) -> None:
        if not place.processes:
            pytest.skip("no other process sees this place")
        store = db.create("notes", DYNAMIC)
        store.insert(map(make_noted, range(PAGES)))
        answers, contents = ask(store), read_undeclared(store)
        for deed in ("declare", "undeclare"):
            for phase in ("checking", "copying", "comparing"):
                with TalkingProcess(call_slowly, place.url, deed) as process:
                    line = process.read()
                    while line != phase:
                        assert line, "the program ended"
                        line = process.ask()
                    with pytest.raises(StoreLocked):
                        db.declare("notes", KEYS)
                wait_for_lock(place.backend(), "notes")
                assert ask(store) == answers
            getattr(db, deed)("notes", KEYS)
            assert {*db.open("notes").schema.fields} == ({*KEYS} if deed == "declare" else set())
            assert ask(store) == answers
            assert read_undeclared(store) == contents

    def test_a_call_that_is_taken_back_leaves_nothing(self, place: Place, db: Database) -> None:
        store = db.create("notes", DYNAMIC)
        store.insert(map(make_noted, range(PAGES)))

        def stop(phase: str, done: int, total: int | None) -> None:
            if phase == "copying":
                raise Interruption

        with pytest.raises(Interruption):
            db.declare("notes", KEYS, on_progress=stop)
        assert place.backend().find(name="notes").building is not None
        db.undeclare("notes", list(KEYS))
        assert place.backend().find(name="notes").standby is None


class DeclareUnderWritesTests(SmallPages):
    """Every acknowledged write is there, in the type that was declared."""

    def test_writers_and_readers(self, db: Database, seed: int) -> None:
        store = db.create(
            "docs", replace(SCHEMA, fields={"lang": fields.Keyword(), "year": fields.Int()}, dynamic=True)
        )
        base = [make_book(number, metadata={"at": None, "tags": None}) for number in range(PAGES)]
        store.insert(base)
        authors = [Author(db.open("docs"), name, seed) for name in ("ann", "bob", "eve")]
        reader = db.open("docs")
        expected = sum(record.metadata["price"] > 5 for record in base)

        def read() -> None:
            assert reader.count(F["price"] > 5) == expected  # authors write 0.5

        with RepeatingThreads(*(author.step for author in authors), read) as threads:
            wait = lambda phase, done, total: threads.wait_for(2)  # noqa: E731
            db.declare("docs", {"price": fields.Float(), "absent": fields.Bool()}, on_progress=wait)
            threads.wait_for(2)
            db.undeclare("docs", ["absent", "year", "lang"], on_progress=wait)
            threads.wait_for(2)
            db.declare("docs", {"year": fields.Int(), "lang": fields.Keyword()}, on_progress=wait)
            threads.wait_for(2)
        assert read_contents(store) == key_by_id(
            [*base, *(record for author in authors for record in author.kept.values())]
        )
        assert {*store.schema.fields} == {"price", "year", "lang"}

    def test_a_value_that_is_written_meanwhile(self, place: Place, db: Database) -> None:
        store = db.create("docs", replace(SCHEMA, fields={}, dynamic=True))
        store.insert(make_book(number, metadata={"at": None}) for number in range(PAGES))

        def write(phase: str, done: int, total: int | None) -> None:
            if phase == "copying":
                store.update(ids=["book-00005", "book-00099"], metadata={"lang": 3})

        with pytest.raises(MetadataMismatch) as refused:
            db.declare("docs", {"lang": fields.Keyword()}, on_progress=write)
        assert refused.value.ids == ("book-00005", "book-00099")
        assert place.backend().find(name="docs").standby is None
        assert store.count(F["lang"] == 3) == 2
        store.update(ids=["book-00005", "book-00099"], metadata={"lang": "de"})
        assert db.declare("docs", {"lang": fields.Keyword()}).values == {"lang": PAGES}
