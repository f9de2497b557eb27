"""What a backend's test file gives to the suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..backend import Backend
from ..database import Database


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record as it lies in the storage, read without the code under test."""

    text: str | None
    vector: bytes
    metadata: Mapping[str, Any]


class Place(ABC):
    """One empty place that can hold a database, for one test."""

    shared: bool = True
    """Whether two connections to the place see the same stores."""
    processes: bool = True
    """Whether a process started with ``url`` sees the same stores."""

    @property
    @abstractmethod
    def url(self) -> str:
        """A URL for `vecstore.connect`."""

    @abstractmethod
    def connect(self) -> Database:
        """Return a further Database on the place, or the same one where it cannot be shared."""

    @abstractmethod
    def backend(self) -> Backend:
        """Return a backend on the place, for what lies below the facade: versions, fences, change lists."""

    def raw(self, store: str) -> Mapping[str, RawRecord] | None:
        """Return what lies in the storage, read without vecstore; None where there is no such way."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Release everything and remove the place."""
