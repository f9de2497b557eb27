"""How URLs are read: one rule for paths, aliases of schemes, objects, and no secret in any error."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis.asyncio
import sqlalchemy
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, sessionmaker

import vecstore
from vecstore import InvalidUrl, Schema, VecstoreError
from vecstore.backends.redis.options import make_server_url
from vecstore.urls import Url, parse_url, read_path

PATH_SCHEMES = ("file", "postgresql+embedded", "unix")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder the working directory, with the home directory below it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("scheme", PATH_SCHEMES)
@pytest.mark.parametrize(
    "location, path",
    [
        ("./kb", "kb"),
        ("kb", "kb"),
        ("../kb", "../kb"),
        (".", "."),
        ("./a/../kb", "kb"),
        ("/srv/kb", "/srv/kb"),
        ("///srv/kb", "/srv/kb"),
        ("////srv/kb", "/srv/kb"),
        ("//localhost/srv/kb", "/srv/kb"),
        ("~", "home"),
        ("~/kb", "home/kb"),
        ("%7E/kb", "~/kb"),
        ("./~/kb", "~/kb"),
        ("./a%20%3F%23#", "a ?##"),
        ("./100%", "100%"),
    ],
)
def test_a_path_is_read_alike_under_every_scheme(scheme: str, location: str, path: str, folder: Path) -> None:
    assert read_path(location, scheme) == (folder / path).resolve()


@pytest.mark.parametrize("scheme", PATH_SCHEMES)
@pytest.mark.parametrize(
    "location", ["", "//", "//host/kb", "//kb", "//~/kb", "//./kb", "a%00b", "~nobody-of-that-name/kb", "\ud800"]
)
def test_a_location_without_a_path_is_refused(scheme: str, location: str) -> None:
    with pytest.raises(InvalidUrl, match=f"{re.escape(scheme)}:") as caught:
        read_path(location, scheme)
    assert "host" not in location or "Write" in str(caught.value)


@pytest.mark.parametrize(
    "place, location",
    [
        ("./kb", "kb"),
        ("../kb", "../kb"),
        ("/srv/kb", "/srv/kb"),
        ("~/kb", "home/kb"),
        ("  ./kb\n", "kb"),
        ("\tfile:./kb ", "kb"),
        (Path("kb"), "kb"),
        (Path("/srv/a ?%41#"), "/srv/a ?%41#"),
        (Path("~/kb"), "home/kb"),
    ],
)
def test_paths_mean_files(place: Any, location: str, folder: Path) -> None:
    url = parse_url(place)
    assert (url.scheme, url.parameters) == ("file", {})
    assert read_path(url.location, url.scheme) == (folder / location).resolve()


def test_a_path_string_has_parameters(folder: Path) -> None:
    with pytest.raises(InvalidUrl, match="'timeout'"):
        vecstore.connect("./kb?tiemout=3")
    with vecstore.connect(folder / "kb?timeout=3") as db:
        db.create("docs", Schema(dim=1))
    assert (folder / "kb?timeout=3" / "catalog.db").exists()


def test_a_tilde_is_the_home_directory(folder: Path) -> None:
    with vecstore.connect("file:~/kb") as db:
        db.create("docs", Schema(dim=1))
    assert (folder / "home" / "kb" / "catalog.db").exists()
    assert not (folder / "~").exists()


@pytest.mark.parametrize(
    "location, expected",
    [
        ("///run/a.sock", "unix:///run/a.sock"),
        ("/run/a.sock", "unix:///run/a.sock"),
        ("//me:pw@/run/a.sock", "unix://me:pw@/run/a.sock"),
        ("//:a%2Fb@/run/a.sock", "unix://:a%2Fb@/run/a.sock"),
        ("///home/me@work/a.sock", "unix:///home/me%40work/a.sock"),
    ],
)
def test_sockets(location: str, expected: str) -> None:
    assert make_server_url("unix", location, {}) == expected


def test_a_relative_socket(folder: Path) -> None:
    assert make_server_url("unix", "./a.sock", {}) == f"unix://{quote(str(folder))}/a.sock"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg", "postgresql+psycopg_async", "postgresql"])
def test_names_of_postgresql(scheme: str) -> None:
    assert parse_url(f" {scheme}://me@host/db?timeout=2\n") == Url("postgresql", "//me@host/db", {"timeout": "2"})


@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg", "pg8000", "psycopg2cffi", "pygresql"])
@pytest.mark.parametrize("dialect", ["postgresql", "postgres"])
def test_other_drivers_are_told_what_to_write(dialect: str, driver: str) -> None:
    with pytest.raises(InvalidUrl, match=rf"Write postgresql:// in place of {dialect}\+{driver}://"):
        vecstore.connect(f"{dialect}+{driver}://me:pw@host/db")


def test_a_url_of_sqlalchemy_is_taken() -> None:
    url = sqlalchemy.URL.create("postgresql+psycopg", "me", "a@b:c/d?e#f%", "127.0.0.1", 1, "db")
    with pytest.raises(vecstore.BackendUnavailable):
        vecstore.connect(url)
    with pytest.raises(InvalidUrl, match=r"in place of postgresql\+asyncpg"):
        vecstore.connect(url.set(drivername="postgresql+asyncpg"))


_ENGINE = sqlalchemy.create_engine("postgresql+psycopg://me@127.0.0.1:1/db")


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: AsyncEngine(sqlalchemy.create_engine("postgresql+psycopg_async://127.0.0.1:1/db")), "create_engine"),
        (AsyncSession, "create_engine"),
        (lambda: Session(_ENGINE), r"Engine.*store\.using\(session\)"),
        (lambda: sessionmaker(_ENGINE), "Engine"),
        (lambda: sqlalchemy.Connection.__new__(sqlalchemy.Connection), r"Engine.*store\.using\(connection\)"),
        (redis.asyncio.Redis, r"redis\.Redis"),
        (lambda: sqlalchemy.MetaData(), "SQLAlchemy Engine"),
    ],
)
def test_other_objects_are_told_what_to_give(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(InvalidUrl, match=said):
        vecstore.connect(make())


_TOKENS = st.one_of(
    st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=6, max_size=9),
    st.sampled_from(["60413", "7741"]),  # a port, if they are taken for one
)
_MARKS = st.text("@:/#?%&=+ ;\\", min_size=1, max_size=2)
_PASSWORDS = st.tuples(_TOKENS, st.lists(st.tuples(_MARKS, _TOKENS), max_size=3))
_SCHEMES = (
    "postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+embedded", "postgresqll",
    "redis", "rediss", "unix", "redsi", "file", "memory", "mysql", "",
)  # fmt: skip
_FORMS = (
    "{scheme}://me:{password}@127.0.0.1:1/db",
    "{scheme}://:{password}@127.0.0.1:1/0?timeout=1",
    "{scheme}://:{password}@127.0.0.1:1",
    "{scheme}:/me:{password}@127.0.0.1:1/db?tiemout=1",
    "{scheme}:me:{password}@127.0.0.1:1/db?tiemout=1",
    "{scheme}//me:{password}@127.0.0.1:1/db",
    "{scheme}//{password}@127.0.0.1",
    "//me:{password}@127.0.0.1:1/db",
    "me:{password}@127.0.0.1:1/db",
    "{scheme}://:{password}@/nowhere.sock",
    "{scheme}://me@127.0.0.1:1/db?timeout=x&password={password}",
    "{scheme}://127.0.0.1:1/db?pasword={password}",
    "{password}",
    "{scheme}+{password}://127.0.0.1:1/db",
    "{scheme}://me@127.0.0.1:1/db?port={password}",
    "{scheme}://me@127.0.0.1:1/db?connect_timeout={password}",
    "{scheme}://me@127.0.0.1:1/db?sslmode={password}",
    "{scheme}://me@127.0.0.1:1/db?target_session_attrs={password}",
    "{scheme}://me@127.0.0.1:1/0?ssl_cert_reqs={password}",
    "{scheme}://me@127.0.0.1:1/0?ssl_certfile={password}",
    "{scheme}://127.0.0.1:1/0?sslpassword={password}&sslpassword={password}",
)


def _show(error: BaseException) -> str:
    """Return what a log shows of an error and of all that led to it."""
    parts, left = traceback.format_exception(error), [error]
    while left:
        each = left.pop()
        parts += [str(each), repr(each), repr(each.args)]
        context = None if each.__suppress_context__ else each.__context__
        left += [other for other in (each.__cause__, context) if other is not None]
    return re.sub(r"0x[0-9a-f]+", "", "\n".join(parts))


def _is_refused(place: object, tokens: list[str]) -> None:
    try:
        vecstore.connect(place).close()  # type: ignore[arg-type]
    except VecstoreError as error:
        shown = _show(error)
        assert [token for token in tokens if token in shown] == []
    else:
        assert str(place).startswith("file:"), "only a path can be opened"


@given(st.sampled_from(_SCHEMES), st.sampled_from(_FORMS), _PASSWORDS)
@example("postgresql", _FORMS[0], ("BLUE99", [("?", "TULIP77")]))
@example("redis", _FORMS[0], ("60413", [("#", "TULIP77")]))
@example("redis", _FORMS[0], ("60413", [("?", "TULIP77"), ("=", "BLUE99")]))
@example("unix", _FORMS[9], ("BLUE99", [("@/", "TULIP77")]))
@example("", _FORMS[7], ("BLUE99", [("/", "TULIP77")]))
@example("", "{password}", ("BLUE99", [(":", "TULIP77"), ("?", "GREEN55"), ("=", "RED33RED")]))
@example("postgresql", "{scheme}+{password}://127.0.0.1:1/db", ("BLUE99", []))
@example("postgresqll", "{scheme}+{password}://127.0.0.1:1/db", ("BLUE99", [(":", "TULIP77")]))
@example("postgresql", "{scheme}://me@127.0.0.1:1/db?port={password}", ("BLUE99", []))
@example("postgresql", "{scheme}://me@127.0.0.1:1/db?connect_timeout={password}", ("BLUE99", []))
@example("postgresql", "{scheme}://me@127.0.0.1:1/db?sslmode={password}", ("BLUE99", []))
@example("redis", "{scheme}://me@127.0.0.1:1/0?ssl_certfile={password}", ("BLUE99", []))
@example("rediss", "{scheme}://me@127.0.0.1:1/0?ssl_cert_reqs={password}", ("BLUE99", []))
def test_no_error_shows_a_secret(scheme: str, form: str, password: tuple[str, list[tuple[str, str]]]) -> None:
    first, more = password
    secret = first + "".join(mark + token for mark, token in more)
    tokens = [first, *(token for _, token in more)]
    for text in (secret, quote(secret, safe="")):
        url = form.format(scheme=scheme, password=text)
        _is_refused(url, tokens)
    assert not any(token in repr(parsed) for token in tokens for parsed in [_parse(url)] if parsed)


def _parse(url: str) -> Url | None:
    try:
        return parse_url(url)
    except InvalidUrl:
        return None


@given(st.sampled_from(("postgresql", "postgresql+asyncpg", "redis", "sqlite")), _PASSWORDS)
def test_no_error_shows_a_secret_of_sqlalchemy_s_url(name: str, password: tuple[str, list[tuple[str, str]]]) -> None:
    first, more = password
    secret = first + "".join(mark + token for mark, token in more)
    tokens = [first, *(token for _, token in more)]
    url = sqlalchemy.URL.create(name, "me", secret, "127.0.0.1", 1, "0")
    _is_refused(url, tokens)
    _is_refused(url.set(password=None, query={"timeout": "1", "password": secret}), tokens)
    _is_refused(url.set(password=None, query={"pasword": secret}), tokens)


@pytest.mark.parametrize(
    "location", ["//h:1/x", "//h:1/0x", "//h:1/1/2", "//h:1/-1", "//h:1/0#1", "//h/+1", "//h/1_0", "//h/\u0661"]
)
def test_a_redis_database_is_a_number(location: str) -> None:
    for scheme in ("redis", "rediss"):
        with pytest.raises(InvalidUrl, match="the number of a database"):
            make_server_url(scheme, location, {})


def test_a_redis_database_is_named_once() -> None:
    with pytest.raises(InvalidUrl, match="different databases"):
        make_server_url("redis", "//h:1/1", {"db": "2"})
    for location in ("//h:1", "//h:1/", "//h:1/2", "//h:1/2/"):
        assert make_server_url("redis", location, {"db": "2"}) == f"redis:{location}?db=2"
