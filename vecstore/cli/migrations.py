"""`vecstore migrate`: the PostgreSQL catalogue, up and down."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .. import migrate
from ..backends.postgres.migrations.revisions import BASE, HEAD, list_revisions
from ..errors import BackendUnavailable, InvalidUrl, MissingExtra
from ..urls import describe_scheme, parse_url, read_path
from . import output
from .options import Json

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

HELP = """
Create or change the catalogue in PostgreSQL.

URL is postgresql://user@host/database, or postgresql+embedded:./directory.
The password can be given in it, in PGPASSWORD or in ~/.pgpass.
"""

_CONNECT_TIMEOUT = 10

Place = Annotated[str, typer.Option("--url", metavar="URL", help="The database.", show_default=False)]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", metavar="NAME", show_default=migrate.DEFAULT_NAMESPACE,
        help="The PostgreSQL schema that holds the catalogue; the URL can name it too.",
    ),
]  # fmt: skip
Target = Annotated[str, typer.Argument(metavar="REVISION", help=f"`{HEAD}`, or one that `history` lists.")]
Earlier = Annotated[
    str,
    typer.Argument(
        metavar="REVISION", help=f"One that `history` lists, or `{BASE}` for no catalogue.", show_default=False
    ),
]


def upgrade(url: Place, revision: Target = HEAD, namespace: Namespace = None, json: Json = False) -> None:
    """Create the catalogue, or bring it up to date.

    Also creates the namespace and the extension `vector` if they are missing. All of it happens in one
    transaction. Running it again changes nothing.

    For example:
      vecstore migrate upgrade --url postgresql://localhost/app
    """
    with _connect(url, namespace) as (connection, namespace):
        before = migrate.current(connection, namespace=namespace)
        migrate.upgrade(connection, revision, namespace=namespace)
        after = migrate.current(connection, namespace=namespace)
    _print_revision(namespace, before, after, machine=json)


def downgrade(url: Place, revision: Earlier, namespace: Namespace = None, json: Json = False) -> None:
    """Take the catalogue back to an earlier revision.

    Refused if something would be lost. Records, the extension and the namespace are always kept.

    For example:
      vecstore migrate downgrade vs0001 --url postgresql://localhost/app
    """
    with _connect(url, namespace) as (connection, namespace):
        before = migrate.current(connection, namespace=namespace)
        migrate.downgrade(connection, revision, namespace=namespace)
        after = migrate.current(connection, namespace=namespace)
    _print_revision(namespace, before, after, machine=json)


def current(url: Place, namespace: Namespace = None, json: Json = False) -> None:
    """Show the catalogue's revision.

    For example:
      vecstore migrate current --url postgresql://localhost/app
    """
    with _connect(url, namespace) as (connection, namespace):
        found = migrate.current(connection, namespace=namespace)
    newest = list_revisions()[-1]
    if json:
        output.print_json({"namespace": namespace, "revision": found, "head": newest})
    elif found is None:
        output.say(f"{namespace}: no catalogue.")
    else:
        output.say(f"{namespace}: {found}{'' if found == newest else f', the newest is {newest}'}.")


def history(json: Json = False) -> None:
    """List all revisions, the first one first.

    For example:
      vecstore migrate history
    """
    listed = migrate.history()
    if json:
        output.print_json({"revisions": [{"revision": each, "adds": adds} for each, adds in listed]})
    else:
        output.print_table(("revision", "adds"), listed)


def sql(
    revision: Target = HEAD,
    start: Annotated[str, typer.Option("--from", metavar="REVISION", help="The catalogue's present revision.")] = BASE,
    namespace: Namespace = None,
    json: Json = False,
) -> None:
    """Print the SQL of an upgrade or a downgrade, for an administrator to run.

    For example:
      vecstore migrate sql > upgrade.sql
      vecstore migrate sql base --from vs0004
    """
    namespace = namespace or migrate.DEFAULT_NAMESPACE
    script = migrate.sql(namespace=namespace, from_revision=start, to_revision=revision)
    if json:
        output.print_json({"namespace": namespace, "sql": script})
    else:
        sys.stdout.write(script)


COMMANDS = (upgrade, downgrade, current, history, sql)


def _print_revision(namespace: str, before: str | None, after: str | None, *, machine: bool) -> None:
    if machine:
        output.print_json({"namespace": namespace, "before": before, "revision": after})
    elif before == after:
        output.say(f"{namespace}: {_describe(after)}, as before.")
    else:
        output.say(f"{namespace}: {_describe(after)} now, {_describe(before)} before.")


def _describe(revision: str | None) -> str:
    return revision or "no catalogue"


@contextmanager
def _connect(url: str, namespace: str | None) -> Iterator[tuple[Connection, str]]:
    """Connect for one command; yield the connection and the namespace of the URL or the option."""
    with _find_server(url, namespace) as (place, found):
        from sqlalchemy import NullPool, create_engine
        from sqlalchemy.exc import DBAPIError, OperationalError

        waits = {} if "connect_timeout" in place.query else {"connect_timeout": _CONNECT_TIMEOUT}
        try:
            engine = create_engine(place, hide_parameters=True, poolclass=NullPool, connect_args=waits)
            connection = engine.connect()
        except OperationalError as error:
            raise BackendUnavailable(
                f"{_describe_place(place)} cannot be opened: no server answers there, or it refuses the role, the "
                "password or the database."
            ) from error
        except DBAPIError as error:
            raise InvalidUrl(f"{_describe_place(place)} has a parameter that libpq does not know.") from error
        with connection:
            yield connection, found


@contextmanager
def _find_server(url: str, namespace: str | None) -> Iterator[tuple[URL, str]]:
    """Yield the server's URL and the namespace; an embedded server runs for this command."""
    parsed = parse_url(url)
    if parsed.scheme not in {"postgresql", "postgresql+embedded"}:
        shown = describe_scheme(parsed) or " of another backend"
        raise InvalidUrl(f"--url has the scheme{shown}. Migrations are for postgresql:// only.")
    try:
        from ..backends.postgres import options as location
        from ..backends.postgres.embedded import server
    except ImportError as error:
        raise MissingExtra("sqlalchemy or psycopg", "postgres") from error
    options, libpq = location.parse_options(parsed.parameters)
    found = namespace or options.namespace
    if parsed.scheme != "postgresql+embedded":
        yield location.make_server_url(parsed.location, libpq), found
        return
    running = server.use_server(read_path(parsed.location, "postgresql+embedded"))
    try:
        yield location.parse_running_url(running.url), found
    finally:
        running.close()


def _describe_place(place: URL) -> str:
    return place.set(drivername="postgresql", password=None, query={}).render_as_string()
