"""An application with Alembic: ``alembic.ini``, ``env.py`` and ``versions/``, run by Alembic's commands."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine

ENVIRONMENT = """
from alembic import context
from vecstore.alembic import setup

models = context.config.attributes["models"]
options = context.config.attributes["options"]
setup(context, models.vectors)

if context.is_offline_mode():
    context.configure(
        dialect_name=models.engine.dialect.name, target_metadata=models.metadata, literal_binds=True, **options
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    with models.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=models.metadata, **options)
        with context.begin_transaction():
            context.run_migrations()
"""


@dataclass
class Models:
    """What ``env.py`` imports of an application at one moment of its history."""

    engine: Engine
    metadata: Any
    vectors: Any


class Migrated:
    """Alembic's commands in a folder, and what they write."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.output = io.StringIO()
        self.config = Config(str(folder / "alembic.ini"), stdout=self.output, output_buffer=self.output)
        command.init(self.config, str(folder / "migrations"))
        self.config = Config(str(folder / "alembic.ini"), stdout=self.output, output_buffer=self.output)
        self.config.attributes["options"] = options
        (folder / "migrations" / "env.py").write_text(ENVIRONMENT)

    def use(self, models: Models) -> None:
        """Deploy these models."""
        self.config.attributes["models"] = models

    def revise(self, message: str = "change") -> list[str]:
        """Autogenerate, and return the texts of the new revisions."""
        made = command.revision(self.config, message, autogenerate=True)
        scripts = made if isinstance(made, list) else [made]
        return [Path(script.path).read_text() for script in scripts if script is not None]

    def write_revision(self, upgrade: str, downgrade: str) -> None:
        """Write a revision by hand."""
        made = command.revision(self.config, "by hand")
        assert made is not None
        assert not isinstance(made, list)
        path = Path(made.path)
        first, _, second = path.read_text().partition("def downgrade")
        second = second.replace("    pass", f"    {downgrade}")
        path.write_text(first.replace("    pass", f"    {upgrade}") + "def downgrade" + second)

    def upgrade(self, revision: str = "head") -> None:
        command.upgrade(self.config, revision)

    def downgrade(self, revision: str = "-1") -> None:
        command.downgrade(self.config, revision)

    def write_sql(self, revisions: str = "base:head", *, down: bool = False) -> str:
        """Return what ``--sql`` writes."""
        self.output.seek(0)
        self.output.truncate()
        (command.downgrade if down else command.upgrade)(self.config, revisions, sql=True)
        return self.output.getvalue()

    def list_differences(self) -> str:
        """Return what ``alembic check`` finds, an empty text if nothing."""
        try:
            command.check(self.config)
        except CommandError as error:
            return str(error)
        return ""
