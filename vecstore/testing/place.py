"""The interface between a backend's test file and the suite."""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from ..backend import Backend
from ..database import Database


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as it is in the storage, read without the code under test."""

    text: str | None
    vector: bytes | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawIndex:
    """A graph as it is in the storage, read without the code under test."""

    m: int
    ef_construction: int


@dataclass(frozen=True, slots=True)
class RawGeneration:
    """What the storage holds of a generation besides the contents of records, read without the code under test.

    Attributes
    ----------
    versions : mapping of str to int
        Of every record, by its id.
    tombstones : mapping of str to int
        The versions of removed records.
    changes : sequence of str
        The ids in the change list, oldest note first.
    """

    versions: Mapping[str, int]
    tombstones: Mapping[str, int]
    changes: Sequence[str]


class Place(ABC):
    """One empty place that can hold a database, for one test."""

    shared: bool = True
    """Whether two connections to the place see the same stores."""
    processes: bool = True
    """Whether a process started with ``url`` sees the same stores."""

    indexed: bool = True
    """Whether an HNSW store of a few dozen records gets an index; a place's URL may lower the limit for that."""

    part: int = 1
    """A usual run tries one in this many random programs and filters, to save time if calls go to a server."""

    @property
    @abstractmethod
    def url(self) -> str:
        """A URL for `vecstore.connect`."""

    @abstractmethod
    def connect(self) -> Database:
        """Return another Database on the place, or the same one if it cannot be shared."""

    @abstractmethod
    def backend(self) -> Backend:
        """Return a backend on the place, for tests below the facade: versions, fences, change lists."""

    def raw(self, store: str) -> Mapping[str, RawRecord] | None:
        """Return the records in the storage, read without vecstore; None where that is impossible."""
        return None

    def indexes(self, store: str) -> Sequence[RawIndex]:
        """Return the usable graphs of a store's active generation, read from the storage without vecstore."""
        return []

    def generations(self) -> Mapping[str, RawGeneration] | None:
        """Return every generation of which the storage holds anything, by its id, read without vecstore.

        None where that is impossible.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Release everything and remove the place."""


class Places:
    """The fixtures that every part of the suite inherits. A backend's test file defines ``new_place``.

    ``new_place`` is a class-scoped fixture: a function that makes an empty place, another one each time.

    Tests that write take ``place`` or ``db``, which are their own. Tests that only read take a store
    that a class-scoped fixture built once in ``library``.
    """

    @pytest.fixture
    def seed(self) -> int:
        """Return the seed of random tests: ``VECSTORE_SEED``, or a new one, which a failing test shows."""
        seed = int(os.environ.get("VECSTORE_SEED") or secrets.randbelow(2**32))
        print(f"VECSTORE_SEED={seed}")  # noqa: T201
        return seed

    @pytest.fixture
    def place(self, new_place: Callable[[], Place]) -> Iterator[Place]:
        """Return an empty place for one test."""
        with closing(new_place()) as place:
            yield place

    @pytest.fixture
    def db(self, place: Place) -> Iterator[Database]:
        """Return an empty database for one test."""
        with place.connect() as db:
            yield db

    @pytest.fixture(scope="class")
    @classmethod
    def library(cls, new_place: Callable[[], Place]) -> Iterator[Database]:
        """Return a database for stores that are filled once and then only read."""
        with closing(new_place()) as place, place.connect() as db:
            yield db
