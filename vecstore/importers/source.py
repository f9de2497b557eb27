"""`ImportSource`: what an import reads, and how it is described once it is open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ..errors import InvalidArgument, close_matches
from ..fields import Field
from ..metric import Metric
from .imported import Tally
from .source_rows import SourceRows


@dataclass(frozen=True, slots=True)
class Wish:
    """What the store that is filled expects of a source.

    Attributes
    ----------
    dim : int, optional
        The dimension of an existing store, or the one that the caller asks for.
    fields : mapping of str to Field
        Declared fields.
    """

    dim: int | None
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """An open source.

    Attributes
    ----------
    dim : int
        The length of its vectors.
    metric : Metric, optional
        The metric by which it is searched; None where the source does not say.
    count : int, optional
        How many records it has.
    read : callable
        Takes a number of rows, and yields the records in pieces of at most so many.
    dtype : str
        In which its vectors are stored.
    asking : str
        Where there is no metric: what a person may go by to choose one.
    """

    dim: int
    metric: Metric | None
    count: int | None
    read: Callable[[int], Iterator[SourceRows]]
    dtype: str = "float32"
    asking: str = ""


def choose_vectors(title: str, given: str | None, found: Collection[str], none: str = "no vectors") -> str:
    """Return the name of the vectors to take: those that were named, or the only ones.

    Parameters
    ----------
    title : str
        What messages call the source.
    given : str or None
    found : collection of str
        The names of all vectors that the source has.
    none : str
        What to say where there are none.

    Raises
    ------
    InvalidArgument
    """
    if given is not None:
        if given not in found:
            raise InvalidArgument(f"{title} has no vectors {given[:60]!a}.{close_matches(given, found)}")
        return given
    if len(found) != 1:
        what = f"several vectors: {', '.join(sorted(found))}" if found else none
        raise InvalidArgument(f"{title} has {what}. Name the ones to take: vector='…' (--vector-column).")
    return next(iter(found))


class ImportSource(ABC):
    """Records in another library's place. It is only read."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What messages call it; without the place, in which there may be a password."""

    @abstractmethod
    def open(self, wish: Wish, tally: Tally) -> AbstractContextManager[Contents]:
        """Open the source and look at it, without reading all of it.

        Raises
        ------
        InvalidArgument
            It is not there, or its columns have to be named.
        InvalidUrl, MissingExtra, StorageError
        """
