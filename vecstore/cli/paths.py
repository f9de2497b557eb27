"""The paths of `vecstore add`: documents or files of records, and under which name documents are stored."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..fields import Field
from ..urls import is_url
from .documents import Documents
from .exits import Failure
from .origins import STDIN, Origins
from .recordfiles import RecordFile
from .roots import check_one_command, describe_root
from .sources import DOCUMENT_FIELDS, PASSAGE_KEYS, ColumnNames, Source, detect_kind
from .vector_columns import VectorFit


@dataclass(frozen=True)
class PathReader:
    """The options for reading the paths of `add`."""

    columns: ColumnNames
    fields: Mapping[str, Field]
    patterns: Sequence[str]
    passage_size: int
    folder: str | None
    encoding: str | None
    fit: VectorFit
    origins: Origins

    def sources(self, paths: Sequence[str]) -> list[Source]:
        """Return the source of each path.

        Raises
        ------
        Failure
            Two directories would be stored under one name, or the name cannot be stored.
        """
        folder = _check_folder(self.folder)
        sources: list[Source] = []
        places: dict[Path, tuple[Documents, str]] = {}
        for path in paths:
            if not _is_document(path):
                sources.append(self._open_records(path))
            elif Path(path).resolve() not in places:
                place = self._open_documents(Path(path).resolve(), folder)
                places[place.path] = (place, path)
                sources.append(place)
        check_one_command(list(places.values()))
        return sources

    def _open_records(self, path: str) -> RecordFile:
        place = None if _is_stdin(path) else Path(path)
        kind = detect_kind(place) if place else "jsonl"
        header = self.origins.headers.get(path)
        begin = b"" if place else self.origins.begin
        return RecordFile(place, kind or "jsonl", self.columns, self.fields, self.encoding, self.fit, header, begin)

    def _open_documents(self, path: Path, folder: str | None) -> Documents:
        check_document_fields(self.fields)
        directory = path if path.is_dir() else path.parent
        root = describe_root(directory)
        name = folder or directory.name or "root"
        return Documents(path, name, root, self.patterns, self.passage_size, self.encoding, fields=self.fields)


def holds_documents(paths: Sequence[str]) -> bool:
    """Say whether one of the paths is a document or a directory of them."""
    return any(map(_is_document, paths))


def holds_records(paths: Sequence[str]) -> bool:
    """Say whether one of the paths is a file of records or stdin."""
    return not all(map(_is_document, paths))


def check_paths(paths: Sequence[str]) -> None:
    """Refuse paths that do not exist, before a database is opened.

    Raises
    ------
    Failure
    """
    missing = [path for path in paths if not _is_stdin(path) and not os.path.exists(path)]
    if missing:
        hint = " PATH is a file or a directory on this machine, not a URL." if is_url(missing[0]) else ""
        raise Failure(f"{missing[0]}: there is no such file.{hint}")
    if paths.count("-") > 1:
        raise Failure("'-' was given twice, but stdin can be read only once.")


def check_document_fields(fields: Mapping[str, Field]) -> None:
    """Refuse a store that declares a key of every passage as something else.

    Raises
    ------
    Failure
    """
    for name in PASSAGE_KEYS:
        declared, wanted = fields.get(name), DOCUMENT_FIELDS[name]
        if declared is not None and declared != wanted:
            raise Failure(
                f"Passages of documents have a {wanted.kind} {name!r}, which is declared as {declared.kind}. "
                "Add documents to a store of their own."
            )


def _check_folder(folder: str | None) -> str | None:
    if folder is None:
        return None
    name = folder.strip("/")
    if not name.strip() or any(part in {"", ".", ".."} for part in name.split("/")):
        raise Failure(f"--as {folder!a} is no name for a directory. Give a word, such as --as handbook.")
    if any(char < " " or char == "\x7f" for char in name):
        raise Failure(f"--as {folder!a} has a control character. Give a word, such as --as handbook.")
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise Failure(f"--as {folder!a} is not UTF-8.")
    return name


def _is_stdin(path: str) -> bool:
    return path == STDIN


def _is_document(path: str) -> bool:
    return not _is_stdin(path) and (os.path.isdir(path) or detect_kind(Path(path)) is None)
