"""Where passages come from: each stores its root, and one name in a store never stands for two places."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fields import Keyword
from ..filters.field_ref import F
from ..records import Record
from ..store import VectorStore
from .documents import Documents
from .exits import Failure

_MAX_BYTES = 1_024  # of a Keyword
_PAGE = 1_000


@dataclass(frozen=True)
class Conflict:
    """A stored record that does not come from the place that is being added."""

    id: str
    root: str | None
    passage: bool
    folder: str | None = None


def describe_root(directory: Path) -> str:
    """Return what passages store about their directory: its absolute path without symbolic links.

    A path that is not UTF-8 becomes a ``file:`` URL, one that is longer than a keyword a hash.
    """
    path = directory.resolve()
    text = str(path)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        text = path.as_uri()
        size = len(text)
    return text if size <= _MAX_BYTES else f"sha256:{hashlib.sha256(os.fsencode(path)).hexdigest()}"


def is_passage(record: Record) -> bool:
    """Say whether a stored record is a passage of a document that `add` read."""
    folder, source = record.metadata.get("folder"), record.metadata.get("source")
    if not isinstance(folder, str) or not isinstance(source, str):
        return False
    return source.startswith(f"{folder}/") and record.id.startswith(f"{source}#")


def list_passages(store: VectorStore, name: str, value: str) -> Iterator[Record]:
    """Iterate over the passages whose metadata has this value, for example of one ``folder`` or one ``source``."""
    if not _is_utf8(value):
        return iter(())
    where = F[name] == value if isinstance(store.schema.fields.get(name), Keyword) else None
    return (
        record
        for record in store.scan(where, include=["metadata"])
        if record.metadata.get(name) == value and is_passage(record)
    )


def check_one_command(places: Sequence[tuple[Documents, str]]) -> None:
    """Refuse two places, each with its path as given, that one command would store under one name.

    Raises
    ------
    Failure
    """
    known: dict[str, tuple[str, str]] = {}
    for place, path in places:
        root, other = known.setdefault(place.folder, (place.root, path))
        if root != place.root:
            raise Failure(
                f"{other} and {path} would both be stored as {place.folder!a}. "
                "Add them one by one, each with a name of its own by --as NAME."
            )


def check_roots(store: VectorStore, places: Sequence[Documents], *, same_place: bool) -> None:
    """Refuse to add a place under a name that stands for another place in the store.

    Parameters
    ----------
    store : VectorStore
    places : sequence of Documents
        The root of each becomes the stored one, where that is another spelling of the same directory.
    same_place : bool
        The user says that what is stored came from this place: change the root of these passages instead.

    Raises
    ------
    Failure
    """
    for place in places:
        if same_place:
            _adopt(store, place)
            continue
        conflict = _find_in_folder(store, place)
        if conflict and conflict.root and _is_directory_of(place, conflict.root):
            place.root = conflict.root
            conflict = _find_in_folder(store, place)
        if conflict:
            raise Failure(explain_conflict(store.name, place.folder, place.root, conflict))
    for place in places:
        if conflict := _find_under_ids(store, place):
            raise Failure(explain_conflict(store.name, place.folder, place.root, conflict))


def find_conflict(new_root: Any, old: Record) -> Conflict | None:
    """Return the conflict of a stored record with one that would replace it."""
    old_root = old.metadata.get("root")
    if old_root == new_root:
        return None
    passage = is_passage(old)
    folder = str(old.metadata["folder"]) if passage else None
    return Conflict(old.id, old_root if isinstance(old_root, str) else None, passage, folder)


def explain_conflict(store: str, folder: str, root: str, conflict: Conflict) -> str:
    """Return the message that names both places and the way out."""
    other_name = "give this place another name with --as NAME"
    if not conflict.passage:
        return (
            f"Store {store!r} has a record {conflict.id!a}, which was not read from {root} and would be replaced. "
            f"To keep it, {other_name}."
        )
    if conflict.root is None:
        return (
            f"Store {store!r} does not know where its passages of {folder!a} came from, because an older vecstore "
            f"added them. If they came from {root}, add --same-place; if not, {other_name}."
        )
    if conflict.folder != folder:  # one is the name of a directory within the other, and nothing was moved
        return (
            f"In store {store!r}, {conflict.folder!a} is {conflict.root}, and its record {conflict.id!a} would be "
            f"replaced by {root} as {folder!a}. To have both, {other_name}."
        )
    return (
        f"In store {store!r}, {folder!a} is {conflict.root}; this is {root}, and would replace it. To have both, "
        f"{other_name}. If the directory was moved, add --same-place."
    )


def _is_directory_of(place: Documents, root: str) -> bool:
    directory = place.path if place.whole_folder else place.path.parent
    with suppress(OSError, ValueError):
        return os.path.isabs(root) and os.path.samefile(root, directory)
    return False


def _find_in_folder(store: VectorStore, place: Documents) -> Conflict | None:
    fields = store.schema.fields
    if not _is_utf8(place.folder):
        return None  # none of its files can be stored
    if isinstance(fields.get("folder"), Keyword) and isinstance(fields.get("root"), Keyword):
        records = store.scan((F.folder == place.folder) & (F.root != place.root))
    else:
        records = list_passages(store, "folder", place.folder)
    return next((found for each in records if is_passage(each) and (found := find_conflict(place.root, each))), None)


def _find_under_ids(store: VectorStore, place: Documents) -> Conflict | None:
    """Look at the first passage of each file: another name, or a record of another kind, may have led to its id."""
    for start in range(0, len(place.sources), _PAGE):
        for record in store.get([f"{source}#1" for source in place.sources[start : start + _PAGE]]):
            if record is not None and (conflict := find_conflict(place.root, record)):
                return conflict
    return None


def _adopt(store: VectorStore, place: Documents) -> None:
    ids = [each.id for each in list_passages(store, "folder", place.folder) if each.metadata.get("root") != place.root]
    for start in range(0, len(ids), _PAGE):
        store.update(ids=ids[start : start + _PAGE], metadata={"root": place.root})


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)
