"""Datasets of Ray, loaded into a store (extra ``ray``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .arguments import check_whole
from .bulk import EmbedderSource, Ticket, begin, finish
from .bulk.process_cache import make_source_absolute
from .errors import InvalidArgument, MissingExtra
from .schema import Schema
from .urls import make_absolute

if TYPE_CHECKING:
    from ray.data import Dataset


def write(
    dataset: Dataset,
    url: str,
    name: str,
    schema: Schema | None = None,
    *,
    embedder: EmbedderSource = None,
    concurrency: int | None = None,
) -> int:
    """Write a dataset into a store, and return how many ids its blocks have.

    With a schema the store is new, and appears when everything is in it; see `vecstore.bulk.begin`. Without one the
    rows are upserted into a store that is there; see `vecstore.bulk.write_batch`. Tasks that Ray repeats do no harm.

    Parameters
    ----------
    dataset : ray.data.Dataset
        Its columns are those of `VectorStore.upsert`: id, vector and text; each other one is metadata.
    url : str
        As for `connect`. Ray's workers must reach it: a directory only if all of them see it.
    name : str
    schema : Schema, optional
    embedder : str or function, optional
        A name as for `vecstore.embedders.load`, or a function of a module that returns an `Embedder`.
    concurrency : int, optional
        Tasks that write at the same time; Ray's choice by default.

    Raises
    ------
    InvalidArgument, MissingExtra, StoreExists, StoreNotFound, DuplicateId
        What a task raises comes back as an error of Ray, which names it.
    """
    if concurrency is not None:
        concurrency = check_whole("concurrency", concurrency)
    _check(dataset)
    if schema is None:
        written = _write(dataset, (make_absolute(url), name, make_source_absolute(embedder)), concurrency)
        finish(url, name)
        return written
    with begin(url, name, schema, embedder=embedder) as load:
        written = _write(dataset, load.ticket, concurrency)
        load.confirm(written)
    return written


def _write(dataset: Dataset, into: Ticket | tuple[str, str, EmbedderSource], concurrency: int | None) -> int:
    from .bulk.datasink import StoreDatasink

    sink = StoreDatasink(into)
    dataset.write_datasink(sink, concurrency=concurrency)
    return sink.written


def _check(dataset: Any) -> None:
    try:
        from ray.data import Dataset
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    if not isinstance(dataset, Dataset):
        raise InvalidArgument(f"dataset must be a ray.data.Dataset, not {type(dataset).__name__}.")
