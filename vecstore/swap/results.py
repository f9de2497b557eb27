"""What a copy and a move report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of `VectorStore.copy_to`.

    Attributes
    ----------
    records : int
        Records in the copy.
    caught_up : int
        Records copied again because they changed meanwhile.
    digest : str
        The digest of the copy. Unless the schema or the model is another, that of the store at the same moment.
    overlap : float
        Share of the 10 nearest neighbours of up to 50 sampled records that are the same in both.
    seconds : float
    """

    records: int
    caught_up: int
    digest: str
    overlap: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Moved:
    """The result of `VectorStore.move_to` and `VectorStore.move_back`.

    Attributes
    ----------
    records : int
        Records that the store had at the switch.
    caught_up : int
        Records copied again because they changed during the move.
    digest : str
        The digest of the store at its new place at the switch. Unless the schema or the model is another, that of the
        store at its old place.
    overlap : float
        Share of the 10 nearest neighbours of up to 50 sampled records that are the same before and after.
    seconds : float
    """

    records: int
    caught_up: int
    digest: str
    overlap: float
    seconds: float
