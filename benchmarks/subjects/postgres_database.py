"""What the subjects on PostgreSQL have in common: a database each, on one server."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import psycopg
from psycopg import sql

from ..postgres_server import VARIABLE, make_url
from ..subject import Subject


class PostgresDatabase(Subject):
    """A subject whose rows lie in a database of its own.

    Attributes
    ----------
    database : str
    """

    durable = "yes"
    has_rows = True
    has_filters = True
    is_persistent = True
    database: ClassVar[str]

    @property
    def url(self) -> str:
        """The database's URL."""
        return make_url(self.database)

    def create_database(self) -> None:
        """Make the database anew."""
        name = sql.Identifier(self.database)
        with psycopg.connect(os.environ[VARIABLE], autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))

    def disk_mib(self) -> float:
        """Ask the server."""
        return float(self.fetch_value("SELECT pg_database_size(current_database())")) / 2**20

    def fetch_value(self, statement: str) -> Any:
        """Return the one value that a statement answers with, apart from what is measured."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            [value] = connection.execute(statement.encode()).fetchone() or (None,)
            return value
