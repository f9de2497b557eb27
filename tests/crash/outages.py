"""Power failures at every moment of a recorded run, with every state that the disk may have then."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .lost_writes import UNIFORM, RandomFate
from .scenario import BEGUN
from .trace import Event, Mark, Sync
from .volume import Directory, Fate, Image, Volume

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Outage:
    """One state of the disk.

    Attributes
    ----------
    position : int
        How many events had happened.
    call : int
        The call in flight, or the last one; -1 before the first.
    in_flight : bool
    fate : str
    image : Image
    digest : bytes
        Equal for outages that leave the same bytes.
    """

    position: int
    call: int
    in_flight: bool
    fate: str
    image: Image
    digest: bytes

    def __str__(self) -> str:
        return f"after event {self.position}, {'in' if self.in_flight else 'after'} call {self.call}, {self.fate}"


Fates = Callable[[int], Iterable[Fate]]
"""Returns the fates to try at the moment after this many events."""


def list_uniform(_position: int) -> Iterable[Fate]:
    return UNIFORM


def make_fates(seed: int, count: int) -> Fates:
    """Return the uniform fates and some random ones for each moment."""

    def fates(position: int) -> Iterator[Fate]:
        yield from UNIFORM
        for number in range(count):
            yield RandomFate(random.Random(f"{seed}/{position}/{number}"))

    return fates


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run.

    Attributes
    ----------
    root : Path
        The directory that was watched.
    events : sequence of Event
    before : Image
        The contents of the disk at its start.
    """

    root: Path
    events: Sequence[Event]
    before: Image


def simulate_outages(run: Run, fates: Fates, ignored: frozenset[int] = frozenset()) -> Iterator[Outage]:
    """Simulate a power failure after each event.

    Parameters
    ----------
    run : Run
    fates : callable
    ignored : set of int
        Events that are left out, such as an fsync that the program forgot.
    """
    volume, call, in_flight = Volume(run.before), -1, False
    for position, event in enumerate(run.events, 1):
        if position - 1 in ignored:
            continue
        volume.follow(event)
        if isinstance(event, Mark):
            word, _, number = event.text.partition(" ")
            call, in_flight = int(number), word == BEGUN
        for fate in fates(position):
            image = volume.image(fate)
            yield Outage(position, call, in_flight, repr(fate), image, _digest(image))


def _digest(image: Image) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for path, data in sorted(image.items()):
        found.update(f"{path}\0".encode() + (b"-" if data is None else b"+" + _digest_file(data)))
    return found.digest()


@lru_cache(128)
def _digest_file(data: bytes) -> bytes:
    """Return the digest of a file's contents: most files are the same object as at the outage before."""
    return hashlib.blake2b(data, digest_size=16).digest()


def group_syncs(run: Run, apart: frozenset[int] = frozenset()) -> dict[str, frozenset[int]]:
    """Return the fsyncs of a run, grouped by purpose.

    The purpose is the kind of file, or the kind of directory with the last change of names that becomes durable.
    Fsyncs of the calls ``apart`` form groups of their own.
    """
    volume = Volume(run.before)
    found: dict[str, set[int]] = {}
    where = ""
    for position, event in enumerate(run.events):
        if isinstance(event, Mark):
            where = ", apart" if int(event.text.partition(" ")[2]) in apart else ""
        if isinstance(event, Sync):
            found.setdefault(_name_site(volume, event) + where, set()).add(position)
        volume.follow(event)
    return {name: frozenset(positions) for name, positions in sorted(found.items())}


def _name_site(volume: Volume, event: Sync) -> str:
    path = _ID.sub("ID", event.path) or "."
    node = volume.node(event.path)
    if not isinstance(node, Directory):
        return path if node.pending else f"{path}, unchanged"
    if not node.pending:
        return f"{path}/ unchanged"
    change = [f"{'-' if child is None else '+'}{_ID.sub('ID', name)}" for name, child in node.pending[-1].names]
    return f"{path}/ {' '.join(change)}"
