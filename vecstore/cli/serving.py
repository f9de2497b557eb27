"""`vecstore mcp`."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import connect
from ..database import Database
from ..errors import MissingExtra
from ..urls import parse_url
from .exits import Failure
from .masking import find_secrets
from .options import EmbedderSpec, Url


def mcp(
    url: Url,
    store: Annotated[
        str | None, typer.Option("--store", metavar="NAME", help="Show this store only.", show_default=False)
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Let the model add and delete records.")] = False,
    embedder: EmbedderSpec = None,
) -> None:
    """Give a language model the stores as tools.

    This is a server of the Model Context Protocol. The program of the model starts it and talks to it over stdin and
    stdout. The model can list and describe stores, search, read records and the values of fields. Everything is opened
    read-only without --write.

    For example:
      vecstore mcp file:./kb --store articles < /dev/null
    """
    try:
        from .mcp.server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "pydantic"}:
            raise
        raise MissingExtra("mcp", "mcp") from error
    with _connect(url, write=write) as database:
        if store is not None:
            database.open(store)
        make_server(database, store=store, write=write, embedder=embedder, secrets=find_secrets([url])).run("stdio")


def _connect(url: str, *, write: bool) -> Database:
    parsed = parse_url(url)
    mode = parsed.parameters.get("mode")
    if parsed.scheme == "memory":
        raise Failure("memory: is empty, and gone with this process. Give a directory, such as file:./kb, or a server.")
    if write and mode == "ro":
        raise Failure("--write needs a place that can be written. Leave mode=ro out of the URL, or --write.")
    if not write and mode == "rw":
        raise Failure("mode=rw needs --write. Leave it out of the URL, or give --write.")
    if write or mode is not None:
        return connect(url)
    return connect(f"{url.strip()}{'&' if '?' in url else '?'}mode=ro")
