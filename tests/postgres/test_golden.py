"""Tables with undeclared keys, dates as text and records without a vector, as they were once written."""

from __future__ import annotations

import vecstore
from tests.golden_stores import NAMESPACE, POSTGRES, STORE, check, restore_postgres

from .catalogues import create_database


def test_they_are_read_and_written_to(postgres_url: str) -> None:
    with create_database(postgres_url) as url:
        restore_postgres(url, (POSTGRES / "dump.sql").read_text("utf-8"))
        with vecstore.connect(f"{url}?namespace={NAMESPACE}", migrate=True) as db:
            check(db.open(STORE), POSTGRES)
