"""The switch to a finished copy: the last changes, the comparison, the pointer, and the report of what was done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..backend import Backend, Change, Entry, Superseded
from ..errors import BackendUnavailable, StoreNotFound
from ..lookup import find_again
from .catch_up import CatchUp
from .comparison import Comparison
from .copy import Copy
from .overlap import measure_overlap


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a rebuild.

    Attributes
    ----------
    records : int
        Records in the store after the switch.
    copied : int
        Records copied by the backfill, without those that an interrupted rebuild had copied before.
    caught_up : int
        Records copied again because they changed during the rebuild.
    embedded : bool
        Whether the texts were embedded again.
    overlap : float
        Share of the 10 nearest neighbours of up to 50 sampled records that are the same before and after.
    seconds : float
    changed : bool
        False if the store had the schema, the index and the model already, so that nothing was done.
    """

    records: int
    copied: int
    caught_up: int
    embedded: bool
    overlap: float
    seconds: float
    changed: bool = True


def switch_to_copy(
    backend: Backend,
    entry: Entry,
    copy: Copy,
    catch_up: CatchUp,
    comparison: Comparison,
    began: float,
    *,
    keep_previous: bool,
) -> Rebuilt:
    """Make the standby generation active once it equals the active one.

    Raises
    ------
    StoreCorrupt
        The copy differs. Nothing was switched.
    """
    overlap = measure_overlap(copy)
    catch_up.run()  # the comparison took time, and the changes left for the switch block writers
    if entry.standby is None:
        raise TypeError("a copy goes to the standby generation")

    def drain(changes: Sequence[Change]) -> None:
        catch_up.drain(changes)
        comparison.check()

    entry = backend.switch(entry.uid, entry.standby.id, drain)
    if entry.previous and not keep_previous:
        backend.drop(entry.uid, entry.previous.id)
    records = backend.count(entry.active, None)
    return Rebuilt(records, copy.copied, catch_up.caught_up, copy.embeds, overlap, time.monotonic() - began)


@contextmanager
def report_lost_generation(backend: Backend, entry: Entry) -> Iterator[None]:
    """Turn the loss of a generation during the copy into an error that a user understands.

    Raises
    ------
    StoreNotFound
    """
    try:
        yield
    except (Superseded, StoreNotFound) as error:
        find_again(backend, entry)
        raise BackendUnavailable(f"Store {entry.name!r} was changed by another rebuild. Try again.") from error
