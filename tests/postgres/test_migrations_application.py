"""Migrations beside the application's own Alembic, in a real environment of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from tests.postgres import catalogues
from tests.postgres.catalogues import TABLES
from vecstore import migrate

MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table, Text

metadata = MetaData()
Table("article", metadata, Column("id", Integer, primary_key=True), Column("title", Text, index=True, unique=True))
"""
AUTOGENERATE = "revision --autogenerate -m proposed"
FILTER = "include_object=migrate.include_object"
CONFIGURED = "target_metadata=target_metadata"


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    with catalogues.create_database(postgres_url) as url:
        yield url


REVISION = """
from alembic import op
from sqlalchemy import Column, Integer
from vecstore import migrate

revision = "app1"
down_revision = None

def upgrade():
    migrate.upgrade(op.get_bind(), namespace="public")
    op.create_table("article", Column("id", Integer, primary_key=True))
"""
ALEMBIC = """
import sys
from alembic.config import main

for line in sys.argv[1:]:
    main(line.split())
"""


class Application:
    """A folder with Alembic's own template in it, changed as its documentation says."""

    def __init__(self, folder: Path, url: str, options: str) -> None:
        self._folder = folder
        ini, env = folder / "alembic.ini", folder / "migrations" / "env.py"
        command.init(Config(ini), str(env.parent))
        (folder / "models.py").write_text(MODELS)
        # A config parser reads this, in which % must be doubled.
        sqlalchemy_url = url.replace("postgresql:", "postgresql+psycopg:").replace("%", "%%")
        ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", sqlalchemy_url))
        text = env.read_text().replace("target_metadata = None", "import models; target_metadata = models.metadata")
        assert CONFIGURED in text
        text = text.replace(CONFIGURED, f"{CONFIGURED}, {options}") if options else text
        env.write_text(f"import pgvector.sqlalchemy\nfrom vecstore import migrate\n{text}")

    def alembic(self, *lines: str) -> None:
        """Run Alembic's commands one after the other, in a separate process."""
        program = [sys.executable, "-W", "error", "-c", ALEMBIC, *lines]
        environment = {**os.environ, "PYTHONPATH": str(self._folder)}
        answer = subprocess.run(program, capture_output=True, text=True, cwd=self._folder, env=environment, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr

    @property
    def proposed(self) -> str:
        """The operations of the one revision that Alembic wrote."""
        (file,) = (self._folder / "migrations" / "versions").glob("*.py")
        text = file.read_text()
        return text[text.index("def upgrade()") :]

    def write_revision(self, content: str) -> None:
        (self._folder / "migrations" / "versions" / "app1_by_hand.py").write_text(content)


def fill(url: str, namespace: str) -> None:
    with catalogues.connect_engine(url) as connection:
        migrate.upgrade(connection, namespace=namespace)
    with psycopg.connect(url, autocommit=True) as admin:
        catalogues.add_store(admin, namespace)


@pytest.mark.parametrize(
    "namespace, schemas",
    [("vecstore", "include_schemas=True"), ("public", "include_schemas=True"), ("public", "include_schemas=False")],
)
def test_autogenerate_neither_drops_nor_adopts_our_tables(
    database: str, tmp_path: Path, namespace: str, schemas: str
) -> None:
    fill(database, namespace)
    application = Application(tmp_path, database, f"{FILTER}, {schemas}")
    # The last one fails when there is still something to propose.
    application.alembic(AUTOGENERATE, "upgrade head", "check")
    assert "create_table('article'" in application.proposed
    assert "vecstore" not in application.proposed
    with psycopg.connect(database) as admin:
        assert catalogues.list_tables(admin, namespace) >= TABLES


def test_without_the_filter_autogenerate_would_drop_them(database: str, tmp_path: Path) -> None:
    with catalogues.connect_engine(database) as connection:
        migrate.upgrade(connection, namespace="public")
    application = Application(tmp_path, database, "")
    application.alembic(AUTOGENERATE)
    assert all(f"drop_table('{name}'" in application.proposed for name in TABLES)


def test_a_revision_of_the_application_may_upgrade_the_catalogue(database: str, tmp_path: Path) -> None:
    """It runs in the application's transaction, and the application's `op` still works afterwards."""
    application = Application(tmp_path, database, FILTER)
    application.write_revision(REVISION)
    application.alembic("upgrade head")
    with psycopg.connect(database) as admin:
        assert catalogues.list_tables(admin, "public") == {*TABLES, "article", "alembic_version"}
