"""`vecstore migrate` on a real server, and what it says when there is none to let it in."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.cli.conftest import Answer, Run
from tests.postgres import conftest

namespace = conftest.namespace
postgres_server = conftest.postgres_server
postgres_url = conftest.postgres_url

SECRET = "do-not-tell"  # noqa: S105


def with_parts(url: str, *, user: str | None = None, port: int | None = None, database: str | None = None) -> str:
    """Change parts of a URL, and its password to the secret one where the user or the server is another."""
    parts = urlsplit(url)
    place = f"{user or parts.username}:{parts.password if database else SECRET}@{parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=place, path=f"/{database}" if database else parts.path))


def test_up_and_down(run: Run, postgres_url: str, namespace: str) -> None:
    place = ("--url", postgres_url, "--namespace", namespace)
    assert run("migrate", "current", *place).out == f"{namespace}: no catalogue.\n"
    assert run("migrate", "upgrade", "vs0001", *place).out == f"{namespace}: vs0001 now, no catalogue before.\n"
    assert run("migrate", "current", *place).out == f"{namespace}: vs0001, the newest is vs0004.\n"
    assert run("migrate", "upgrade", *place).out == f"{namespace}: vs0004 now, vs0001 before.\n"
    assert run("migrate", "upgrade", *place).out == f"{namespace}: vs0004, as before.\n"
    assert run("migrate", "downgrade", "base", *place).out == f"{namespace}: no catalogue now, vs0004 before.\n"


def test_answers_for_machines(run: Run, postgres_url: str, namespace: str) -> None:
    place = ("--url", postgres_url, "--namespace", namespace, "--json")
    assert run("migrate", "upgrade", *place).json == {"namespace": namespace, "before": None, "revision": "vs0004"}
    current = {"namespace": namespace, "revision": "vs0004", "head": "vs0004"}
    assert run("migrate", "current", *place).json == current
    down = run("migrate", "downgrade", "vs0001", *place).json
    assert down == {"namespace": namespace, "before": "vs0004", "revision": "vs0001"}
    revisions = run("migrate", "history", "--json").json["revisions"]
    assert [each["revision"] for each in revisions] == ["vs0001", "vs0002", "vs0003", "vs0004"]


def test_sql_needs_no_server(run: Run) -> None:
    script = run("migrate", "sql")
    assert (script.code, script.err) == (0, "")
    assert script.out.startswith("BEGIN;")
    assert "CREATE EXTENSION IF NOT EXISTS vector" in script.out
    down = run("migrate", "sql", "base", "--from", "vs0002", "--namespace", "mine", "--json").json
    assert "DROP TABLE mine.vecstore_store;" in down["sql"]


def refused(answer: Answer, code: int, kind: str) -> str:
    assert (answer.code, answer.error["type"]) == (code, kind)
    message = str(answer.error["message"])
    for driver_text in (SECRET, "FATAL", "psycopg", "sqlalche", "connection to server"):
        assert driver_text not in answer.out + answer.err
    return message


def test_who_does_not_get_in_is_told_where_but_no_password(run: Run, postgres_url: str) -> None:
    elsewhere = [
        with_parts(postgres_url, port=1),
        with_parts(postgres_url, user="nobody"),
        with_parts(postgres_url),
        with_parts(postgres_url, database="there_is_no_such_database"),
    ]
    for url in elsewhere:
        message = refused(run("migrate", "upgrade", "--url", url, "--json"), 3, "BackendUnavailable")
        parts = urlsplit(url)
        assert message.startswith(f"postgresql://{parts.username}:***@{parts.hostname}:{parts.port}{parts.path} ")
        assert str(parts.password) not in message


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@host/db",
        f"file:{SECRET}",
        f"postgresql://me:{SECRET}@host:port/db",
        f"postgresql://me:{SECRET}@127.0.0.1/db?no_such_parameter={SECRET}",
        f"postgresql+no_such_driver://me:{SECRET}@host/db",
        "",
    ],
)
def test_urls_that_cannot_work_are_refused(run: Run, url: str) -> None:
    refused(run("migrate", "current", "--url", url, "--json"), 2, "InvalidUrl")


def test_wrong_arguments_are_refused(run: Run, postgres_url: str) -> None:
    assert run("migrate", "upgrade", "vs9", "--url", postgres_url).code == 2
    assert run("migrate", "upgrade", "--url", postgres_url, "--namespace", "No").code == 2
    assert run("migrate", "downgrade", "--url", postgres_url).code == 2
    assert run("migrate", "upgrade").code == 2
    assert run("migrate").code == 2
