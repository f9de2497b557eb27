"""Fenced writes: a record is replaced or deleted only by what was read after everything that made it.

Not a part of the public facade, because a fence promises nothing unless every writer of the store draws its numbers
from one sequence. `vecstore.orm` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from .backend import Backend, Generation, Rows
from .groups import read_member
from .incoming import convert, needs_embedder
from .records import Record
from .retries import Attempts
from .rows.conversion import as_records
from .store import VectorStore
from .upkeep import tend

_PAGE = 1_000


def upsert_fenced(store: VectorStore, records: Sequence[Record], fence: int) -> int:
    """Write records of distinct ids whose stored version is at most the fence, and return how many those were.

    A record whose text is the stored one keeps the stored vector; the texts of the others are embedded. Upkeep is left
    to `tend_store`.

    Parameters
    ----------
    store : VectorStore
    records : sequence of Record
        Texts without vectors.
    fence : int, 0 to 2⁵³
        The version of the records that are written.

    Raises
    ------
    InvalidId, DuplicateId, InvalidMetadata, InvalidVector, EmbedderRequired, EmbedderMismatch
        Nothing is written.
    """

    def find_known(generation: Generation) -> list[Record]:
        ids = [record.id for record in records]
        known = as_records(store._current.backend.fetch(generation, ids), generation.schema)
        return reuse_vectors(records, known)

    def write(backend: Backend, generation: Generation, rows: Rows) -> int:
        return backend.write(generation, rows, insert=False, fence=[fence] * len(rows))

    return _write(store, len(records), find_known, write)


def replace_groups(store: VectorStore, groups: Mapping[str, Sequence[Record]], fence: int) -> int:
    """Make groups of records what is given, as far as the fence allows, and return how many records were written.

    A text that a group has already keeps its vector, also under another number. Upkeep is left to `tend_store`.

    Parameters
    ----------
    store : VectorStore
    groups : mapping of str to sequence of Record
        By the ids of heads, see `vecstore.groups`; texts without vectors.
    fence : int, 0 to 2⁵³

    Raises
    ------
    InvalidId, DuplicateId, InvalidMetadata, InvalidVector, EmbedderRequired, EmbedderMismatch
        Groups before may be written.
    """
    written = 0
    for part in _cut_groups(groups):
        records = [record for each in part.values() for record in each]

        def find_known(generation: Generation, records: list[Record] = records) -> list[Record]:
            ids = [record.id for record in records]
            known = as_records(store._current.backend.fetch(generation, ids), generation.schema)
            stored = {(read_member(each.id)[0], each.text): each.vector for each in known if each.vector is not None}
            found = [(record, stored.get((read_member(record.id)[0], record.text))) for record in records]
            return [record if vector is None else replace(record, vector=vector) for record, vector in found]

        def write(
            backend: Backend, generation: Generation, rows: Rows, fences: Mapping[str, int] = dict.fromkeys(part, fence)
        ) -> int:
            return backend.write_groups(generation, rows, fences)

        written += _write(store, len(records), find_known, write)
    return written


def _cut_groups(groups: Mapping[str, Sequence[Record]]) -> Iterator[dict[str, Sequence[Record]]]:
    part: dict[str, Sequence[Record]] = {}
    size = 0
    for head, records in groups.items():
        if part and (size + len(records) > _PAGE or len(part) >= _PAGE):
            yield part
            part, size = {}, 0
        part[head] = records
        size += len(records)
    if part:
        yield part


def _write(
    store: VectorStore,
    count: int,
    prepare: Callable[[Generation], list[Record]],
    write: Callable[[Backend, Generation, Rows], int],
) -> int:
    """Embed what has no vector after ``prepare``, and write it, again where another generation is active meanwhile."""
    embedder, current = store._embedder, store._current
    store._check_writable()
    claimable = embedder.may_claim(current)
    attempts = Attempts(current, "upsert")
    while True:
        with attempts as generation:
            attempts.rows = count
            backend = current.backend  # another one where the store has moved since the last attempt
            present = embedder.refresh(current, generation)
            batch = prepare(present)
            embed = None
            if needs_embedder(batch):
                embed = embedder.choose_for_documents(present, store.name)
                embedder.check_claim(present, store.name, claimable=claimable)
            rows = convert(batch, present.schema, embed, unique=True, first=0)
            if embed:
                present = embedder.claim(current, present)
            return write(backend, present, rows)


def reuse_vectors(records: Iterable[Record], known: Iterable[Record]) -> list[Record]:
    """Return the records, with the vectors of those known ones that have the same id and text."""
    stored = {record.id: record for record in known if record.vector is not None}
    return [
        replace(record, vector=twin.vector)
        if (twin := stored.get(record.id)) is not None and twin.text == record.text
        else record
        for record in records
    ]


def delete_fenced(store: VectorStore, ids: Sequence[str], fence: int) -> int:
    """Delete the records whose version is at most the fence, and return how many there were.

    The ids keep the fence as their version, so that what was read before cannot bring a record back.
    """
    store._check_writable()
    attempts = Attempts(store._current, "delete")
    while True:
        with attempts as generation:
            attempts.rows = store._current.backend.delete(generation, ids, [fence] * len(ids))
            return attempts.rows


def check_embedding(store: VectorStore, text: str) -> None:
    """Embed a text as a document and forget it; raises whatever the embedder raises."""
    attempts = Attempts(store._current)
    while True:
        with attempts as generation:
            embed = store._embedder.choose_for_documents(generation, store.name)
            if embed is not None:
                embed([text])
            return


def tend_store(store: VectorStore, changed: int) -> None:
    """Do the upkeep that is due after fenced writes of ``changed`` records."""
    tend(store._current, changed)


def scan_versions(store: VectorStore) -> Iterator[list[tuple[str, int]]]:
    """Yield the ids and versions of all records, page by page in the order of ids."""
    after: str | None = None
    while True:
        attempts = Attempts(store._current)
        while True:
            with attempts as generation:
                rows = store._current.backend.page(generation, None, after, _PAGE, frozenset())
                break
        if not len(rows):
            return
        after = rows.ids[-1]
        yield list(zip(rows.ids, rows.versions or [0] * len(rows), strict=True))


def find_newest_tombstone(store: VectorStore) -> int:
    """Return the largest version of a tombstone, 0 without any."""
    after: str | None = None
    newest = 0
    while True:
        attempts = Attempts(store._current)
        while True:
            with attempts as generation:
                page = store._current.backend.tombstones(generation, after, _PAGE)
                break
        if not page:
            return newest
        newest, after = max(newest, *page.values()), max(page)
