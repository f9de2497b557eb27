"""The check of every byte of a generation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from vecstore.backend import Generation, Verification
from vecstore.errors import StorageError

from .index import index_file, row_copies
from .index.coverage import Coverage
from .index.duplicates import view_codes
from .index.index_file import IndexRow
from .index.stored_rows import read_stored_rows
from .options import Options
from .search.faiss_threads import in_own_thread
from .search.graph import Graph
from .state.generation_files import GenerationFiles
from .state.open_generation import OpenGeneration
from .state.snapshot import Snapshot
from .storage import os_calls
from .storage.catalogue_file import CatalogueFile
from .storage.checksums import checksum_vector
from .storage.connections import SqliteConnection, check_integrity
from .storage.failures import translate_errors
from .storage.layout import DirectoryLayout
from .vectors.segment import find_places

_CHUNK = 1_024
_HINT = "Rebuild it with reindex()."
_SAMPLE = 50
_EF = 256
_LEAST = 0.5
"""A healthy graph finds the true nearest row at least this often with that effort, on any data."""


def verify_generation(
    layout: DirectoryLayout, options: Options, generation: Generation, *, index: bool = True
) -> Verification:
    """Check everything, from empty caches; see `Backend.verify`.

    ``index`` says whether to check the index too, which can be rebuilt from the vectors.
    """
    opened = OpenGeneration(GenerationFiles(layout.locate_generation(generation.id), generation), options)
    check = _Check(opened)
    try:
        for problem in check.find_problems(layout, options, index=index):
            check.found.append(problem)
    except StorageError as error:
        # The rest could not be checked.
        check.found.append(str(error))
    finally:
        opened.close()
    return Verification(0 if check.found else check.records, tuple(check.found))


@dataclass(slots=True)
class _Check:
    opened: OpenGeneration
    records: int
    found: list[str]

    def __init__(self, opened: OpenGeneration) -> None:
        self.opened, self.records, self.found = opened, 0, []

    def find_problems(self, layout: DirectoryLayout, options: Options, *, index: bool) -> Iterator[str]:
        """Yield the damage found."""
        catalog = CatalogueFile(layout, options)
        try:
            catalog.read()
            yield from catalog.check_integrity()
        finally:
            catalog.close()
        opened = self.opened
        with translate_errors(opened.paths.root), opened.pool.check_out() as connection:
            yield from check_integrity(connection, opened.paths.rows)
            snapshot = opened.read_snapshot(connection, view=True)
            for table in ("tombstones", "changes"):
                opened.read_notes(connection, table)
            for segment in snapshot.vectors.segments:
                yield from segment.check()
            yield from self._check_records(connection, snapshot)
            if index:
                yield from find_index_problems(opened, snapshot)

    def _check_records(self, connection: SqliteConnection, snapshot: Snapshot) -> Iterator[str]:
        """Compare every stored row and its vector with their checksums."""
        view = snapshot.columns
        rids = view.rids[view.alive]
        for start in range(0, len(rids), _CHUNK):
            some = rids[start : start + _CHUNK]
            rows = self.opened.row_format.fetch(connection, some.tolist(), self.opened.paths.rows, whole=True)
            # A concurrent write may have removed rows.
            some = some[np.isin(some, list(rows))]
            having = np.array([rows[rid][4] is not None for rid in some.tolist()], np.bool_)
            self.records += int(np.count_nonzero(~having))
            some = some[having]
            for rid, vector in zip(some.tolist(), snapshot.vectors.gather(some), strict=True):
                if checksum_vector(vector) == rows[rid][4]:
                    self.records += 1
                else:
                    yield f"{self.opened.paths.root}: the vector of row {rid} is not what was written."


def find_index_problems(opened: OpenGeneration, snapshot: Snapshot) -> Iterator[str]:
    """Yield the problems of a snapshot's index; searches are correct despite them, or scan instead."""
    if snapshot.ledger.index is None:
        return
    row = IndexRow(**snapshot.ledger.index)
    path = opened.paths.locate_index(row.uid)
    try:
        with translate_errors(path):
            graph = index_file.read(path, opened.id, row, opened.schema.metric)
    except StorageError as error:
        with opened.pool.check_out() as connection:
            is_replaced = opened.read_snapshot(connection).ledger.index != snapshot.ledger.index
        if not is_replaced:
            yield str(error)
        return
    parts = snapshot.vectors.parts
    coverage = Coverage.compute(graph, parts)
    expected = sum(int(np.count_nonzero(part.alive)) for part in parts) - sum(
        int(np.count_nonzero(part.alive)) for part in coverage.tail
    )
    if coverage.count != expected:
        yield f"{path} lacks {expected - coverage.count:,} rows. {_HINT}"
    if strange := in_own_thread(partial(_count_strange, graph, snapshot)):
        yield f"{path} holds wrong vectors for {strange:,} rows. {_HINT}"
    if len(graph) and (recall := in_own_thread(partial(_measure_recall, graph))) < _LEAST:
        yield f"{path} finds the nearest row in only {recall:.0%} of trials. {_HINT}"
    yield from _find_copy_problems(opened, coverage, row.uid)


def _find_copy_problems(opened: OpenGeneration, coverage: Coverage, uid: str) -> Iterator[str]:
    """Compare the copies of rows beside an index with the rows; an index of an older version has none."""
    path, graph = opened.paths.locate_copies(uid), coverage.graph
    with translate_errors(path):
        if os_calls.read_identity(path) is None:
            return
        copies = row_copies.read(path, opened.id, graph.rids)
    if copies is None:
        yield f"{path} is not what was written. {_HINT}"
        return
    rids, wrong = graph.rids[coverage.stored], 0
    for start in range(0, len(rids), _CHUNK):
        with opened.pool.check_out() as connection:
            some = rids[start : start + _CHUNK].tolist()
            rows = opened.row_format.fetch(connection, some, opened.paths.rows, whole=True)
        found = copies.find(list(rows))
        wrong += sum(found.get(rid) != row for rid, row in rows.items())
    if wrong:
        yield f"{path} holds wrong copies of {wrong:,} rows. {_HINT}"


def _count_strange(graph: Graph, snapshot: Snapshot) -> int:
    """Return how many stored rows have codes that differ from those of their vectors."""
    coding, scanner = graph.codes.coding, graph.codes.scanner
    coded, count = view_codes(scanner), 0
    for run in read_stored_rows(snapshot.vectors.parts):
        places, inside = find_places(graph.rids, len(graph), run.rids)
        if inside.any():
            formed = coding.form(run.vectors[inside], run.norms[inside])
            count += int((scanner.sa_encode(formed) != coded[graph.nodes[places[inside]]]).any(axis=1).sum())
    return count


def _measure_recall(graph: Graph) -> float:
    """Return how often a graph search finds the same nearest row as a scan, with some of the codes as queries."""
    import faiss

    places = np.unique(np.linspace(0, len(graph.codes) - 1, _SAMPLE).astype(np.int64))
    queries = np.stack([graph.codes.scanner.reconstruct(int(place)) for place in places])
    truth, _ = graph.codes.scanner.search(queries, 1)
    found, _ = graph.index.search(queries, 1, params=faiss.SearchParametersHNSW(efSearch=_EF))
    # Compare distances: among equal rows, the two may find different ones.
    error = 1e-5 * np.abs(truth) + 1e-6
    is_near = found <= truth + error if graph.index.metric_type == faiss.METRIC_L2 else found >= truth - error
    return float(is_near.mean())
