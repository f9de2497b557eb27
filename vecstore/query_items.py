"""What a search is for: a text, a vector, or an item that the store's embedder takes. Never one guessed for another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgument, InvalidQuery, InvalidVector
from .rows.vectors import name_queries

if TYPE_CHECKING:
    from .store_embedder import StoreEmbedder


@dataclass(frozen=True, slots=True, eq=False)
class QueryItem:
    """A query that is to be embedded."""

    # Messages and logs never show texts.
    value: Any = field(repr=False)


def choose_query(query: Any, item: Any, vector: Any, embedder: StoreEmbedder) -> Any:
    """Return the one query of a call as an `QueryItem`, a text or a vector.

    Raises
    ------
    InvalidArgument, InvalidVector
    """
    given = [each for each in (query, item, vector) if each is not None]
    if len(given) != 1:
        raise InvalidVector(
            "search() takes exactly one of a text or vector (first), item=… and vector=…, and got "
            f"{len(given) or 'None of them'}."
        )
    if item is not None:
        return _read_item(item, embedder)
    if vector is not None:
        return check_vector(vector, "vector")
    return read_query(query, embedder, "The query", "item", "vector")


def choose_queries(queries: Any, items: Any, vectors: Any, embedder: StoreEmbedder) -> list[Any]:
    """Return the queries of a call for many: see `choose_query`.

    Raises
    ------
    InvalidArgument, InvalidVector
    """
    given = [each for each in (queries, items, vectors) if each is not None]
    if len(given) != 1:
        raise InvalidArgument(
            "search_many() takes exactly one of queries (first), items=… and vectors=…, and got "
            f"{len(given) or 'None of them'}."
        )
    if isinstance(given[0], str):
        raise InvalidArgument("search_many() takes a list of queries. For one text use search().")
    if not isinstance(given[0], Iterable):
        raise InvalidArgument(f"queries must be a list of queries, not {type(given[0]).__name__}.")
    listed = list(given[0])
    if items is not None:
        return [_read_item(each, embedder) for each in listed]
    if vectors is not None:
        return [check_vector(each, "vectors") for each in listed]
    if not embedder.takes_items:
        return listed
    names = name_queries(len(listed))
    return [read_query(each, embedder, name, "items", "vectors") for each, name in zip(listed, names, strict=True)]


def check_vector(vector: Any, keyword: str) -> Any:
    """Return what was said to be a vector, if it is no text."""
    if isinstance(vector, str):
        raise InvalidVector(f"{keyword}= takes numbers, not a str. Give a text as the first argument of the search.")
    return vector


def read_query(query: Any, embedder: StoreEmbedder, name: str, item: str, vector: str) -> Any:
    """Return a query that is not said to be an item or a vector, as an `QueryItem` where the embedder takes its type.

    Raises
    ------
    InvalidArgument
        It may be both, or a str where the embedder takes none.
    """
    types = embedder.item_types
    if not isinstance(query, types):
        if isinstance(query, str) and embedder:
            raise InvalidArgument(
                f"{name} is a str, but the store's embedder takes {_name_types(types)}. A str is never opened as a "
                f"path: give pathlib.Path(…) for a file, or {vector}=…"
            )
        return query
    if isinstance(query, np.ndarray | list | tuple) or hasattr(query, "__dlpack__"):
        raise InvalidArgument(
            f"{name} is {_article(type(query).__name__)}, and the store's embedder takes such items, so it may be an "
            f"item or a vector. Write {item}=… or {vector}=…"
        )
    return _read_item(query, embedder)


def _read_item(item: Any, embedder: StoreEmbedder) -> Any:
    """Return an item as a `QueryItem`, or as the text that it is."""
    return item if isinstance(item, str) and embedder.takes_texts else QueryItem(item)


def find_items(asked: Sequence[Any]) -> list[int]:
    """Return the positions of queries that are to be embedded."""
    return [place for place, query in enumerate(asked) if isinstance(query, str | QueryItem)]


def check_known(made: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors of queries, if the embedder knows something of each.

    Raises
    ------
    InvalidQuery
    """
    unknown = np.flatnonzero(np.isnan(made[:, 0]))
    if unknown.size:
        raise InvalidQuery(
            f"{names[int(unknown[0])]} contains nothing that the store's embedder knows, so nothing is near to it. "
            "Give another one, or a vector."
        )
    return made


def _name_types(types: Sequence[type]) -> str:
    return " or ".join(dict.fromkeys(each.__name__ for each in types))


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
