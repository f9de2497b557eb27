"""The kinds of sources by name, as the command line knows them. Each is imported on use."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from ..errors import InvalidArgument, close_matches
from .source import ImportSource

KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "chroma": ("chroma", "ChromaCollection"),
        "faiss": ("faiss_index", "FaissIndex"),
        "lancedb": ("lancedb_table", "LancedbTable"),
        "langchain-postgres": ("langchain_postgres", "LangchainPostgres"),
        "langchain-redis": ("redis_index", "RedisIndex"),
        "pgvector": ("pgvector", "PgvectorTable"),
        "qdrant": ("qdrant", "QdrantCollection"),
        "redisvl": ("redis_index", "RedisIndex"),
        "vecs": ("vecs", "VecsCollection"),
    }
)
"""The module and the class of each kind."""
_OPTIONS: Mapping[str, str] = MappingProxyType({"name": "--table", "records": "--records"})
"""How the command line spells a parameter; the others are --…-column."""


def make_source(kind: str, place: str, parts: Mapping[str, Any]) -> ImportSource:
    """Return the source of a kind at a place.

    Parameters
    ----------
    kind : str
    place : str
        A URL, a directory or a file.
    parts : mapping of str to str or tuple of str
        Further parameters of the kind, such as ``name``.

    Raises
    ------
    InvalidArgument
        There is no such kind, or it has no such parameter, or needs another one.
    """
    if kind not in KINDS:
        raise InvalidArgument(f"There is no kind of source {kind[:40]!a}.{close_matches(kind, KINDS)}")
    module, name = KINDS[kind]
    made: type[ImportSource] = getattr(import_module(f".{module}", __package__), name)
    parameters = {each.name: each for each in dataclasses.fields(made) if each.name != "place"}  # type: ignore[arg-type]
    if unknown := sorted(parts.keys() - parameters.keys()):
        raise InvalidArgument(
            f"A source of kind {kind} has no {_describe(unknown[0])}. It takes {', '.join(map(_describe, parameters))}."
        )
    needed = [
        each.name for each in parameters.values() if each.default is dataclasses.MISSING and each.name not in parts
    ]
    if needed:
        raise InvalidArgument(
            f"A source of kind {kind} needs a {_describe(needed[0])}: the table, the collection or the index."
        )
    return made(place, **parts)  # type: ignore[call-arg]


def _describe(parameter: str) -> str:
    return f"{parameter} ({_OPTIONS.get(parameter, f'--{parameter}-column')})"
