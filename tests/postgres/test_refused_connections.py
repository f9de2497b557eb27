"""Refused connections: the error says what refused them, and what to do."""

from __future__ import annotations

from urllib.parse import quote

import psycopg
import pytest

import vecstore
from tests.secrets import PASSWORD, change_url, check_secret_free, collect_text, find_leaks

from .catalogues import create_database
from .tenants import run


@pytest.mark.parametrize(
    "change, told",
    [
        ({"password": "wrong"}, "user or the password"),
        ({"database": "/nowhere"}, "no such database"),
        ({"host": "host.invalid"}, "host name is not known"),
    ],
)
def test_the_url_is_wrong(postgres_url: str, change: dict[str, str], told: str) -> None:
    with pytest.raises(vecstore.BackendUnavailable, match=told) as caught:
        vecstore.connect(change_url(postgres_url, **change))  # type: ignore[arg-type]
    check_secret_free(str(caught.value), caught.value)


@pytest.mark.parametrize("url", [f"postgresql://{PASSWORD}/db", f"postgresql://me@{PASSWORD}:5432/db"])
def test_a_password_in_place_of_the_host_is_not_even_in_the_cause(url: str) -> None:
    for migrate in (False, True):
        with pytest.raises(vecstore.BackendUnavailable, match="host name is not known") as caught:
            vecstore.connect(url, migrate=migrate)
        assert find_leaks(collect_text(caught.value), PASSWORD.lower()) == []


def test_tls_that_the_server_does_not_have(postgres_url: str) -> None:
    with pytest.raises(vecstore.BackendUnavailable, match="TLS"):
        vecstore.connect(f"{postgres_url}?sslmode=require")


def test_no_place_for_another_connection(admin: psycopg.Connection, postgres_url: str, role: str) -> None:
    run(admin, "ALTER ROLE {} CONNECTION LIMIT 0", role)
    with pytest.raises(vecstore.BackendUnavailable, match="no more connections"):
        vecstore.connect(change_url(postgres_url, user=quote(role), password=PASSWORD))


def test_a_role_that_may_not_log_in(admin: psycopg.Connection, postgres_url: str, role: str) -> None:
    run(admin, "ALTER ROLE {} NOLOGIN", role)
    with pytest.raises(vecstore.BackendUnavailable, match="LOGIN"):
        vecstore.connect(change_url(postgres_url, user=quote(role), password=PASSWORD))


def test_a_database_that_it_may_not_enter(postgres_url: str, admin: psycopg.Connection, role: str) -> None:
    with create_database(postgres_url) as url:
        with psycopg.connect(url, autocommit=True) as link:
            run(link, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", link.info.dbname)
        with pytest.raises(vecstore.BackendUnavailable, match="GRANT CONNECT"):
            vecstore.connect(change_url(url, user=quote(role), password=PASSWORD))
