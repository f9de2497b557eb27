"""The paths in a database's directory, and the check that a directory is a database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vecstore.errors import InvalidUrl, StoreCorrupt

from . import os_calls
from .commit_mark import read_last_mark

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_BUILDER_LOCK = re.compile(r"builder-([0-9a-f]{32})\.lock", re.ASCII)
_BEFORE_FIRST_COMMIT = frozenset({"catalog.lock", "catalog.db.tmp", "g"})


@dataclass(frozen=True, slots=True)
class DirectoryLayout:
    """Paths in a database's directory."""

    root: Path

    @property
    def catalog(self) -> Path:
        """The catalogue."""
        return self.root / "catalog.db"

    @property
    def catalog_lock(self) -> Path:
        """Held while the catalogue changes."""
        return self.root / "catalog.lock"

    @property
    def generations(self) -> Path:
        """The directory of all generations."""
        return self.root / "g"

    def locate_builder_lock(self, uid: str) -> Path:
        """Return the path of the lock of the process that rebuilds a store."""
        return self.root / f"builder-{check_id(uid)}.lock"

    def list_builders(self) -> set[str]:
        """Return the uids that have a builder lock."""
        return {found[1] for name in os_calls.list_names(self.root) if (found := _BUILDER_LOCK.fullmatch(name))}

    def locate_generation(self, generation_id: str) -> GenerationLayout:
        """Return the paths of one generation."""
        return GenerationLayout(self.generations / check_id(generation_id))

    def check_unused(self) -> None:
        """Refuse a directory without a catalogue unless it is missing, empty, or from an interrupted `create`.

        Raises
        ------
        InvalidUrl
            The directory holds other files.
        StoreCorrupt
            The directory had a catalogue.
        """
        if not self.root.exists():
            return
        if not self.root.is_dir():
            raise InvalidUrl(f"{self.root} is not a directory. A file: URL names a directory.")
        found = os_calls.list_names(self.root)
        if read_last_mark(self.catalog_lock) or any(name.startswith("builder-") for name in found):
            raise StoreCorrupt(f"{self.catalog} is missing. Restore it from a backup.")
        foreign = [name for name in found if name not in _BEFORE_FIRST_COMMIT]
        if not foreign and "g" in found and "catalog.lock" not in found:
            foreign = ["g"]
        if foreign:
            shown = ", ".join(ascii(name) for name in foreign[:5])
            more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
            raise InvalidUrl(
                f"{self.root} is not a vecstore database: it holds {shown}{more}. Name a new or an empty directory."
            )


@dataclass(frozen=True)
class GenerationLayout:
    """Paths of one generation."""

    root: Path

    @cached_property
    def rows(self) -> Path:
        """The database of everything but bulk vectors."""
        return self.root / "rows.db"

    @property
    def lock(self) -> Path:
        """Held during one write call."""
        return self.root / "writer.lock"

    @property
    def upkeep(self) -> Path:
        """Held by a process that compacts, builds an index or copies, so that its files are not removed meanwhile."""
        return self.root / "upkeep.lock"

    @property
    def dropped(self) -> Path:
        """Created before the catalogue forgets a generation: only marked generations are ever removed as garbage."""
        return self.root / "dropped"

    @property
    def segments(self) -> Path:
        """The directory of bulk vectors."""
        return self.root / "seg"

    @property
    def indexes(self) -> Path:
        """The directory of derived files."""
        return self.root / "idx"

    def locate_segment(self, uid: str) -> Path:
        """Return the path of one segment."""
        return self.segments / f"{check_id(uid)}.vec"

    def locate_index(self, uid: str) -> Path:
        """Return the path of one index file."""
        return self.indexes / f"{check_id(uid)}.faiss"

    def locate_copies(self, uid: str) -> Path:
        """Return the path of the copies of rows beside an index file."""
        return self.indexes / f"{check_id(uid)}.rows"

    def list_unnamed_segments(self, uids: Iterable[str]) -> list[Path]:
        """Return files of other segments; a writer or the holder of ``upkeep.lock`` may still be writing them."""
        return _list_others(self.segments, {self.locate_segment(uid) for uid in uids})

    def list_unnamed_indexes(self, uids: Iterable[str]) -> list[Path]:
        """Return files of other indexes; the holder of ``upkeep.lock`` may still be writing them."""
        named = {path for uid in uids for path in (self.locate_index(uid), self.locate_copies(uid))}
        return _list_others(self.indexes, named)

    def check_directories(self) -> None:
        """Refuse links and missing directories.

        Raises
        ------
        StoreCorrupt
        """
        for path in (self.root.parent, self.root, self.segments):
            if not os_calls.is_directory(path):
                raise StoreCorrupt(f"{path} is missing or is not a directory. Restore it from a backup.")


def _list_others(directory: Path, known: Set[Path]) -> list[Path]:
    paths = (directory / name for name in os_calls.list_names(directory))
    return [path for path in paths if path not in known]


def check_id(value: object) -> str:
    """Return a valid id, which becomes part of a path.

    Raises
    ------
    StoreCorrupt
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise StoreCorrupt("The catalogue holds an invalid id. Restore it from a backup.")
