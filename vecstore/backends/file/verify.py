"""Figures about a generation, and the check of its every byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vecstore.backend import Generation, Stats, Verification
from vecstore.errors import StorageError

from .index.index_check import index_problems
from .options import Options
from .state.open_generation import Volume
from .state.rows import vector_crc
from .state.snapshot import Snapshot
from .storage import os_calls
from .storage.catalogue_file import CatalogFile
from .storage.connections import FORMAT, Link, integrity
from .storage.failures import translating
from .storage.layout import Layout

_CHUNK = 1_024


def stats(volume: Volume) -> Stats:
    """Return figures; see `Backend.stats`."""
    with volume.pool.link() as link:
        snapshot = volume.snapshot(link)
    ledger, tables = snapshot.ledger, snapshot.ledger.tables
    size = sum(segment.row.n for segment in snapshot.vectors.segments)
    live = sum(int(np.count_nonzero(alive)) for alive in snapshot.vectors.alive)
    return Stats(
        records=tables["rows"].count,
        bytes=os_calls.size_of(volume.paths.root),
        details={
            "segments": tables["segments"].count,
            "hot rows": tables["hot"].count,
            "dead share": round(1 - live / size, 4) if size else 0.0,
            "removals": tables["dead"].count,
            "tombstones": tables["tombstones"].count,
            "noted changes": tables["changes"].count,
            "commit": ledger.seq,
            "format": FORMAT,
        },
    )


def verification(layout: Layout, options: Options, generation: Generation, *, index: bool = True) -> Verification:
    """Check everything anew, with nothing that was checked before in memory; see `Backend.verify`.

    ``index`` says whether the index is looked at too, without which nothing would be lost.
    """
    volume = Volume(layout.generation(generation.id), generation, options)
    check = _Check(volume)
    try:
        for problem in check.problems(layout, options, index=index):
            check.found.append(problem)
    except StorageError as error:
        # Nothing beyond the damage could be looked at.
        check.found.append(str(error))
    finally:
        volume.close()
    return Verification(0 if check.found else check.records, tuple(check.found))


@dataclass(slots=True)
class _Check:
    volume: Volume
    records: int
    found: list[str]

    def __init__(self, volume: Volume) -> None:
        self.volume, self.records, self.found = volume, 0, []

    def problems(self, layout: Layout, options: Options, *, index: bool) -> Iterator[str]:
        """Yield what is damaged."""
        catalog = CatalogFile(layout, options)
        try:
            catalog.read()
            yield from catalog.integrity()
        finally:
            catalog.close()
        volume = self.volume
        with translating(volume.paths.root), volume.pool.link() as link:
            yield from integrity(link, volume.paths.rows)
            snapshot = volume.snapshot(link, view=True)
            for table in ("tombstones", "changes"):
                volume.register(link, table)
            for segment in snapshot.vectors.segments:
                yield from segment.check()
            yield from self._records(link, snapshot)
            if index:
                yield from index_problems(volume, snapshot)

    def _records(self, link: Link, snapshot: Snapshot) -> Iterator[str]:
        """Compare every stored row and its vector with their checksums."""
        view = snapshot.columns
        rids = view.rids[view.alive]
        for start in range(0, len(rids), _CHUNK):
            some = rids[start : start + _CHUNK]
            rows = self.volume.form.fetch(link, some.tolist(), self.volume.paths.rows, whole=True)
            # A row that a write removed meanwhile is no record any more.
            some = some[np.isin(some, list(rows))]
            for rid, vector in zip(some.tolist(), snapshot.vectors.gather(some), strict=True):
                if vector_crc(vector) == rows[rid][4]:
                    self.records += 1
                else:
                    yield f"{self.volume.paths.root}: the vector of row {rid} is not what was written."
