"""The revisions of the example: up, down, and nothing that autogenerate would change, with notes in the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from examples.notes.settings import read_settings
from tests.sources import ROOT

from .application import make_environment

PROGRAM = """
import sys
import uuid
import vecstore
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

config = Config(sys.argv[1])
from examples.notes.storage import Session, engine, settings, upgrade, vectors
from examples.notes.models import Note

def add(key, title):
    with engine.begin() as connection:
        connection.execute(Note.__table__.insert().values(
            id=uuid.UUID(int=key), title=title, body="b", owner="o", tag="t", version=1))

def change(title):
    with Session.begin() as session:
        session.get(Note, uuid.UUID(int=1)).title = title

def stored():
    vectors.sync_once()
    with Session() as session:
        return sorted(note.title for note, _ in vectors.search(session, Note.search, "word"))

def records():
    vectors.sync_once()
    with vecstore.connect(settings.vectors_url) as database:
        return list(database.open("notes").scan())

assert ScriptDirectory.from_config(config).get_heads() == ["0002"]
command.upgrade(config, "0001")
add(1, "before the search")
assert upgrade() is False
command.check(config)
assert stored() == ["before the search"]
add(2, "with the search")
assert stored() == ["before the search", "with the search"]
for number in range(6):  # each change of the record has a larger fence
    change(f"changed {number} times")
    vectors.sync_once()
command.downgrade(config, "0001")
add(3, "without the search")  # no trigger is left that needs the outbox
assert upgrade() is False
command.check(config)
assert len(stored()) == 3
change("changed, with a fence above the earlier ones")
assert "changed, with a fence above the earlier ones" in [record.text.splitlines()[0] for record in records()]
assert [check.ok for check in vectors.verify()] == [True]
command.downgrade(config, "base")
assert upgrade() is True
command.check(config)
command.downgrade(config, "base")
vectors.close()
engine.dispose()
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_up_and_down(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = "sqlite:///notes.db" if kind == "sqlite" else request.getfixturevalue("empty_database")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(INI)],
        cwd=tmp_path,
        env=make_environment({"NOTES_DATABASE_URL": url}),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    engine = create_engine(
        f"sqlite:///{tmp_path}/notes.db"
        if kind == "sqlite"
        else read_settings({"NOTES_DATABASE_URL": url}).database_url
    )
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
        if kind == "postgresql":
            left = text(
                "SELECT proname FROM pg_proc WHERE proname LIKE 'vecstore%' AND pronamespace = 'public'::regnamespace"
            )
            assert connection.execute(left).all() == []
    engine.dispose()


INI = ROOT / "examples" / "notes" / "alembic.ini"


def test_the_statements_can_be_written_down(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "alembic"), "-c", str(INI), "upgrade", "head", "--sql"],
        cwd=tmp_path,
        env=make_environment({"NOTES_DATABASE_URL": "postgresql://me:secret@nowhere/app"}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("CREATE TRIGGER") == 3
    assert "secret" not in done.stdout
