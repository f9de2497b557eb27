"""What is measured: one class for each library and each way of using it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from .condition import Condition
from .corpus import Corpus, Row, Vectors

Setting = Mapping[str, int]
"""Search parameters: one rung of a subject's ladder."""

Loads = Mapping[str, tuple[Callable[[], None], Callable[[], None]]]
"""Ways of loading by name: what makes a table ready, and what is timed."""

EFFORTS = (*range(16, 97, 8), 112, 128, 160, 192, 256, 384, 512, 768, 1000)
"""Near one another up to 96, where most subjects reach their recall: a rung too much would cost up to a third."""
BY_EFFORT: tuple[Setting, ...] = tuple({"ef": ef} for ef in EFFORTS)
AS_IT_IS: tuple[Setting, ...] = ({},)

M = 16
EF_CONSTRUCTION = 200


class Subject(ABC):
    """A library at work in a folder of its own.

    The order of calls is `load`, `build`, `tune` and searches, `close`; then, each in a new process, `open`,
    `tune` and a search, and `open` and `upsert`. Only what a method does is timed, and what it does ends with
    Python values: conversions into a library's own types count, turning an answer into `rows` does not.

    Attributes
    ----------
    title : str
        What the tables call it.
    package : str
        The distribution whose version is reported.
    durable : str
        What is on disk, surely, when a write returns.
    ladder : tuple of settings
        From the cheapest to the dearest; the first that reaches the recall asked for is measured.
    filter_ladders : tuple of ladders
        Ways of filtering, of which the quickest is measured; none stands for the one ladder.
    has_rows : bool
        Texts and metadata are stored and come back with each hit.
    has_filters, has_batches, has_threads, is_persistent : bool
        What else is measured.
    """

    title: ClassVar[str]
    package: ClassVar[str]
    durable: ClassVar[str]
    ladder: ClassVar[tuple[Setting, ...]] = BY_EFFORT
    filter_ladders: ClassVar[tuple[tuple[Setting, ...], ...]] = ()
    has_rows: ClassVar[bool] = False
    has_filters: ClassVar[bool] = False
    has_batches: ClassVar[bool] = False
    has_threads: ClassVar[bool] = False
    is_persistent: ClassVar[bool] = False

    def __init__(self, folder: Path, dim: int) -> None:
        self.folder = folder
        self.dim = dim

    @abstractmethod
    def load(self, corpus: Corpus) -> None:
        """Take all rows in, without an index where that can be separated."""

    def build(self) -> None:  # noqa: B027 - some have nothing to build
        """Build the index; nothing where `load` did it."""

    def open(self) -> None:
        """Open what an earlier process filled."""
        raise NotImplementedError

    @abstractmethod
    def tune(self, setting: Setting) -> None:
        """Search with these parameters from now on."""

    @abstractmethod
    def search(self, query: Vectors, k: int, condition: Condition | None) -> Any:
        """Return the library's own answer for one vector of shape (dim,)."""

    @abstractmethod
    def rows(self, answer: Any) -> list[Row]:
        """Return an answer's rows, nearest first."""

    def search_many(self, queries: Vectors, k: int) -> Any:
        """Return the answers to all queries, asked in one call."""
        raise NotImplementedError

    def rows_many(self, answers: Any) -> list[list[Row]]:
        """Return the rows of each answer of `search_many`."""
        return [self.rows(answer) for answer in answers]

    def upsert(self, row: Row, vector: Vectors) -> None:
        """Write one record, new or not, as durably as the library does by default."""
        raise NotImplementedError

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Let go of everything."""

    def loads(self, corpus: Corpus) -> Loads:
        """Return ways of loading all rows, each apart from what else is stored."""
        raise NotImplementedError

    def disk_mib(self) -> float | None:
        """Return what is stored where the folder does not show it."""
        return None

    def remarks(self) -> Mapping[str, Any]:
        """Return what else is worth knowing after `build`."""
        return {}
