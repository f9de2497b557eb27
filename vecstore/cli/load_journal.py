"""The journal of a load: which files are in, so that a load that was interrupted goes on with the others."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bulk import Ticket
from .exits import STORAGE, Failure, describe_os_error

VERSION = 1
_MARK = "vecstore load"
_BEGIN = f'{{"{_MARK}": '.encode()


@dataclass(frozen=True)
class Stamp:
    """What a file was when it was loaded."""

    size: int
    modified: int

    @classmethod
    def read(cls, path: str) -> Stamp:
        """Return the size and the time of the last change of a file."""
        found = os.stat(path)
        return cls(found.st_size, found.st_mtime_ns)


class Journal:
    """A text file with a line of JSON for the load and its files, and one for each file that is in.

    Parameters
    ----------
    path : str

    Attributes
    ----------
    begun : mapping or None
        What identifies the load; None if there is no journal yet.
    done : dict
        The number of ids of each file that is in, by its real path: however its path is spelled, and from whatever
        directory, it is the same file.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.begun: dict[str, str] | None = None
        self.done: dict[str, int] = {}
        self._stamps: dict[str, Stamp] = {}
        self._files: set[str] = set()
        if not self._path.parent.is_dir():
            raise Failure(
                f"There is no directory {self._path.parent} for the journal. Make it, or give another --journal."
            )
        if self._path.is_dir():
            raise Failure(f"--journal {path} is a directory. Give the name of a file in it.")
        if not os.access(self._path if self._path.exists() else self._path.parent, os.W_OK):
            raise Failure(f"The journal {path} cannot be written: permission denied. Give another --journal.")
        if self._path.exists():
            self._read()

    def check_files(self, files: Sequence[str]) -> None:
        """Refuse to go on where a file was changed since it was loaded, or is not given any more.

        Raises
        ------
        Failure
        """
        missing = sorted(self._files.difference(map(os.path.realpath, files)))
        if missing:
            raise Failure(
                f"The load of the journal was begun with {missing[0]}, which may be in already. Name all of its files "
                f"again, or remove {self._path} to begin anew."
            )
        for path in files:
            known = self._stamps.get(os.path.realpath(path))
            if known is not None and known != Stamp.read(path):
                raise Failure(
                    f"{path} was changed after it was loaded. Remove {self._path} to begin anew with all files."
                )

    def begin(self, ticket: Ticket, files: Sequence[str]) -> list[str]:
        """Begin or go on with the journal of a load, and return the files that are still to be loaded."""
        given = list(map(os.path.realpath, files))
        if self.begun is None:
            known = {"name": ticket.name, "uid": ticket.uid, "generation": ticket.generation}
            self._append({_MARK: VERSION, **known, "files": given})
            self.begun = known
        elif not self._files.issuperset(given):
            self._append({"files": given})
        self._files.update(given)
        return [path for path in files if os.path.realpath(path) not in self.done]

    def count(self, path: str) -> int:
        """Return how many ids a file has that is in, or 0."""
        return self.done.get(os.path.realpath(path), 0)

    def note(self, path: str, stamp: Stamp, ids: int) -> None:
        """Note that a file is in, durably."""
        full = os.path.realpath(path)
        self.done[full], self._stamps[full] = ids, stamp
        self._append({"file": full, "size": stamp.size, "modified": stamp.modified, "ids": ids})

    def remove(self) -> None:
        """Remove the journal of a load that ended."""
        self._path.unlink(missing_ok=True)

    def _append(self, line: dict[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=True) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Failure(
                f"The journal {self._path} could not be written: {describe_os_error(error)}. Mend that, and give the "
                "same command again.",
                STORAGE,
            ) from error

    def _read(self) -> None:
        *lines, cut_off = self._path.read_bytes().split(b"\n")
        try:
            self._parse([json.loads(line) for line in lines])
            if not lines and not _BEGIN.startswith(cut_off[: len(_BEGIN)]):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Failure(
                f"{self._path} is no journal of a load that this vecstore wrote. Give the name of a new file."
            ) from None
        if cut_off:  # by a kill: that file is loaded again. Only now, since any other file is left as it is.
            with self._path.open("r+b") as file:
                file.truncate(sum(len(line) + 1 for line in lines))

    def _parse(self, lines: list[Any]) -> None:
        """Take the lines of a journal; what they lack, or have otherwise, raises."""
        if not lines:
            return
        first, *rest = lines
        if first.pop(_MARK) != VERSION:
            raise ValueError
        self.begun = {key: str(first[key]) for key in ("name", "uid", "generation")}
        # Earlier versions wrote paths with links in them, and the first one did not list the files.
        self._files.update(map(os.path.realpath, first.get("files", ())))
        for line in rest:
            if "files" in line:
                self._files.update(map(os.path.realpath, line["files"]))
                continue
            full = os.path.realpath(line["file"])
            self.done[full] = int(line["ids"])
            self._stamps[full] = Stamp(int(line["size"]), int(line["modified"]))
