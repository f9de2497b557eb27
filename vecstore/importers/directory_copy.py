"""A private copy of a library's directory: the libraries write into what they open, and a source is only read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import InvalidArgument, StorageFailed


@contextmanager
def copy_directory(directory: Path, databases: str, left: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Give a copy that is removed at the end; files of SQLite are copied as they are at one moment.

    Parameters
    ----------
    directory : path
    databases : str
        The pattern of names of SQLite's files.
    left : frozenset of str
        Names of files that are not copied.

    Raises
    ------
    StorageFailed
    InvalidArgument
        A part of it is a link to another directory.
    """
    _refuse_links(directory)
    with tempfile.TemporaryDirectory(prefix="vecstore-import-") as folder:
        copied = Path(folder) / "copy"
        try:
            shutil.copytree(directory, copied, ignore=shutil.ignore_patterns(databases, f"{databases}-*", *left))
            for source in directory.rglob(databases):
                target = copied / source.relative_to(directory)
                # A URI, because only that can say that the file is not made or changed.
                with (
                    closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as old,
                    closing(sqlite3.connect(target)) as new,
                ):
                    old.backup(new)
        except (OSError, shutil.Error, sqlite3.Error) as error:
            raise StorageFailed(
                f"The directory {str(directory)!a} could not be copied for reading; the cause is above. Check its "
                "rights and the free space for temporary files (TMPDIR), and stop the programs that write to it."
            ) from error
        yield copied


def _refuse_links(directory: Path) -> None:
    """Refuse links to directories, which may lead in a circle; and a library would write where they lead."""
    for folder, names, _ in os.walk(directory):
        for name in names:
            if (link := Path(folder, name)).is_symlink():
                raise InvalidArgument(
                    f"{str(link)!a} is a link to another directory, which is not copied. "
                    "Put that directory in its place."
                )


def check_directory(place: str | os.PathLike[str], mark: str, what: str) -> Path:
    """Return the path of a directory of a library, which holds a file of this name.

    Raises
    ------
    InvalidArgument
    """
    directory = Path(place).expanduser()
    if not (directory / mark).is_file():
        raise InvalidArgument(
            f"There is no {what} in {str(directory)!a}: it has no {mark}. Give the directory that has it."
        )
    return directory
