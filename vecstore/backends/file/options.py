"""The parameters of a ``file:`` URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..shared.url_options import MIN_ROWS, MODE, Parameter, seconds, split


@dataclass(frozen=True, slots=True)
class Options:
    """Parameters of the URL.

    Attributes
    ----------
    timeout : float
        Seconds that SQLite waits for another process to commit or read.
    lock_timeout : float
        Seconds that a writer waits for another writer.
    read_only : bool
        ``mode=ro``.
    index_min_rows : int
        A store with fewer records gets no index, because exact search is as fast.
    """

    timeout: float = 30.0
    lock_timeout: float = 5.0
    read_only: bool = False
    index_min_rows: int = 10_000


_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "timeout": Parameter("timeout", seconds(positive=False), "seconds, 0 to 86400"),
        "lock_timeout": Parameter("lock_timeout", seconds(positive=False), "seconds, 0 to 86400"),
        "mode": MODE,
        "index_min_rows": MIN_ROWS,
    }
)


def parse_options(parameters: Mapping[str, str]) -> Options:
    """Return the options that a URL's parameters give.

    Raises
    ------
    InvalidUrl
    """
    values, _ = split(parameters, _PARAMETERS, (), "file")
    return Options(**values)
