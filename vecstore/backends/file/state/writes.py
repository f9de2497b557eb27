"""`write`, `update` and `delete` on the rows of a generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecstore.backend import Rows, Selection, Update
from vecstore.errors import RecordExists, StoreCorrupt
from vecstore.filters.nodes import Filter
from vecstore.groups import read_member
from vecstore.rows import metadata

from ..filters import match_rows
from .columns import View
from .rows import StoredColumns, Vanished
from .transaction import CHUNK, WriteTransaction


def select_positions(selection: Selection, transaction: WriteTransaction) -> NDArray[np.int64]:
    """Return the positions of the selected rows, each once.

    Raises
    ------
    StoreCorrupt
    """
    view = transaction.view
    if isinstance(selection, Filter):
        path = transaction.files.paths.rows
        try:
            keys = view.load_keys(selection, transaction.connection, path)
        except Vanished as error:
            raise StoreCorrupt(f"{path}: stored rows are missing. Run verify().") from error
        return np.flatnonzero(match_rows(selection, view, keys))
    positions = view.find_positions(selection)
    return np.unique(positions[positions >= 0])


def write(transaction: WriteTransaction, rows: Rows, fence: Sequence[int] | None, *, insert: bool) -> int:
    """Write a batch; see `Backend.write`."""
    view = transaction.view
    positions = view.find_positions(rows.ids)
    stored = positions >= 0
    if insert and stored.any():
        raise RecordExists([rows.ids[place] for place in np.flatnonzero(stored)[:3]])
    versions = _find_versions(transaction, rows.ids, positions)
    chosen: Sequence[int] = range(len(rows))
    if fence is not None:
        chosen = [place for place in chosen if versions[place] <= fence[place]]
        versions = [int(version) for version in fence]
    removed = positions[chosen] if len(chosen) else positions[:0]
    transaction.remove(removed[removed >= 0])
    return _add(transaction, rows, versions, chosen)


def write_groups(transaction: WriteTransaction, rows: Rows, fences: Mapping[str, int]) -> int:
    """Replace groups of rows; see `Backend.write_groups`."""
    view = transaction.view
    heads = list(fences)
    versions = _find_versions(transaction, heads, view.find_positions(heads))
    passed = {head: int(fences[head]) for head, version in zip(heads, versions, strict=True) if version <= fences[head]}
    group_of = [read_member(id_)[0] for id_ in rows.ids]
    chosen = [place for place, head in enumerate(group_of) if head in passed]
    given = {rows.ids[place] for place in chosen}
    found = view.find_positions(rows.ids)
    own = _find_versions(transaction, rows.ids, found)
    written = [max(passed.get(head, 0), version) for head, version in zip(group_of, own, strict=True)]
    stored = np.concatenate([view.find_positions(passed), view.find_members(passed)])
    stored = np.unique(stored[stored >= 0])
    ids = view.get_ids(stored)
    dropped = [place for place, id_ in enumerate(ids) if id_ not in given]
    graves = {
        ids[place]: max(passed[read_member(ids[place])[0]], version)
        for place, version in zip(dropped, view.versions[stored[dropped]].tolist(), strict=True)
    }
    graves |= {head: fence for head, fence in passed.items() if head not in given}
    transaction.remove(stored)
    transaction.tombstones.put({id_: version for id_, version in graves.items() if version})
    transaction.note_changes([ids[place] for place in dropped])
    return _add(transaction, rows, written, chosen)


def _add(transaction: WriteTransaction, rows: Rows, versions: Sequence[int], chosen: Sequence[int]) -> int:
    """Add the chosen ones of some rows, whose ids have no row now, and return how many these are."""
    ids = [rows.ids[place] for place in chosen]
    if transaction.tombstones.by_id:
        transaction.tombstones.remove(ids)
    present = None if rows.present is None else rows.present[np.asarray(chosen, np.int64)]
    with_vector = chosen if present is None else [chosen[place] for place in np.flatnonzero(present).tolist()]
    transaction.insert(
        len(ids), _take_vectors(rows, with_vector), _encode_records(transaction, rows, versions, chosen), present
    )
    transaction.note_changes(ids)
    return len(ids)


def update(transaction: WriteTransaction, selection: Selection, changes: Update) -> int:
    """Apply changes to rows; see `Backend.update`."""
    positions = select_positions(selection, transaction)
    rids = transaction.view.rids[positions]
    present = _find_present(transaction.view, positions, changes)
    having = rids if present is None else rids[present]
    transaction.insert(
        len(rids),
        _read_vectors(transaction, having, changes),
        _update_records(transaction, rids.tolist(), changes),
        present,
    )
    transaction.remove(positions)
    transaction.note_changes(transaction.view.get_ids(positions))
    return len(positions)


def delete(transaction: WriteTransaction, selection: Selection, fence: Sequence[int] | None) -> int:
    """Remove rows; see `Backend.delete`."""
    view = transaction.view
    graves: dict[str, int] = {}
    if fence is None or isinstance(selection, Filter):
        positions = select_positions(selection, transaction)
    else:
        limits = dict(zip(selection, map(int, fence), strict=True))
        ids = list(limits)
        found = view.find_positions(ids)
        versions = _find_versions(transaction, ids, found)
        passed = [place for place, id_ in enumerate(ids) if versions[place] <= limits[id_]]
        graves = {ids[place]: limit for place in passed if (limit := limits[ids[place]])}
        positions = found[passed] if passed else found[:0]
        positions = positions[positions >= 0]
    removed = view.get_ids(positions)
    for id_, version in zip(removed, view.versions[positions].tolist(), strict=True):
        if version and id_ not in graves:
            graves[id_] = version
    transaction.remove(positions)
    transaction.tombstones.put(graves)
    transaction.note_changes(removed)
    return len(removed)


def _find_versions(transaction: WriteTransaction, ids: Sequence[str], positions: NDArray[np.int64]) -> list[int]:
    """Return the version of each record or its tombstone, 0 if it has neither."""
    versions = np.where(positions >= 0, transaction.view.versions[positions] if transaction.view.size else 0, 0)
    found: list[int] = versions.tolist()
    tombs = transaction.tombstones.by_id
    if tombs:
        for place, id_ in enumerate(ids):
            if positions[place] < 0 and (tomb := tombs.get(id_)):
                found[place] = tomb.version
    return found


def _take_vectors(rows: Rows, chosen: Sequence[int]) -> NDArray[Any]:
    if rows.vectors is None:
        raise TypeError("a write needs every column")
    return rows.vectors if len(chosen) == len(rows) else rows.vectors[list(chosen)]


def _encode_records(
    transaction: WriteTransaction, rows: Rows, versions: Sequence[int], chosen: Sequence[int]
) -> Iterator[StoredColumns]:
    if rows.texts is None or rows.fields is None or rows.extras is None:
        raise TypeError("a write needs every column")
    fields = transaction.files.row_format.encode_fields(rows.fields, len(rows))
    columns: list[Sequence[Any]] = [rows.ids, versions, rows.extras, rows.texts, *fields]
    if len(chosen) < len(rows):
        columns = [[column[place] for place in chosen] for column in columns]
    for start in range(0, len(chosen), CHUNK):
        ids, some_versions, extras, texts, *some = (column[start : start + CHUNK] for column in columns)
        yield StoredColumns(ids, some_versions, some, extras, texts)


def _find_present(view: View, positions: NDArray[np.int64], changes: Update) -> NDArray[np.bool_] | None:
    """Return which rows have a vector after an update; None where all have one."""
    if view.present is None or changes.vector is not None:
        return None
    if changes.removes_vector:
        return np.zeros(len(positions), np.bool_)
    present: NDArray[np.bool_] = view.present[positions]
    return present


def _read_vectors(transaction: WriteTransaction, rids: NDArray[np.int64], changes: Update) -> Iterator[NDArray[Any]]:
    for start in range(0, len(rids), CHUNK):
        some = rids[start : start + CHUNK]
        if changes.vector is None:
            yield transaction.vectors.gather(some)
        else:
            yield np.broadcast_to(changes.vector, (len(some), len(changes.vector)))


def _update_records(transaction: WriteTransaction, rids: Sequence[int], changes: Update) -> Iterator[StoredColumns]:
    files = transaction.files
    overlay = files.row_format.encode_update(changes.fields)
    size = files.row_format.head_size
    for start in range(0, len(rids), CHUNK):
        some = rids[start : start + CHUNK]
        found = files.row_format.fetch(transaction.connection, some, files.paths.rows, whole=True)
        if len(found) != len(some):
            raise StoreCorrupt(f"{files.paths.rows}: {len(some) - len(found)} rows are missing. Run verify().")
        rows = [found[rid] for rid in some]
        yield StoredColumns(
            ids=[row[1] for row in rows],
            versions=[row[2] for row in rows],
            fields=[[overlay.get(place, row[place]) for row in rows] for place in range(5, size - 1)],
            extras=[metadata.merge(row[size], changes.extra, row[1]) for row in rows],
            texts=[changes.text if changes.sets_text else row[size + 1] for row in rows],
        )
