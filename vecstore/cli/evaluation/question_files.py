"""The files of `vecstore eval`: queries, judgements, pairs of texts, analogies. Errors name the line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..exits import Failure
from ..output import escape_controls

_SHOWN = 60


def read_queries(path: Path) -> dict[str, Any]:
    """Return queries by id: texts or vectors.

    A line is ``id<TAB>text``, or a JSON object with ``id`` and either ``text`` or ``vector``.
    """
    queries: dict[str, Any] = {}
    for number, line in _read_lines(path):
        if line.lstrip().startswith("{"):
            name, asked = _read_object(path, number, line)
        else:
            name, tab, asked = line.partition("\t")
            if not tab or not name or not asked.strip():
                raise _fail(path, number, 'is neither id<TAB>text nor {"id": …, "text": …}')
        if name in queries:
            raise _fail(path, number, f"has the id {name[:_SHOWN]!r} again")
        queries[name] = asked
    if not queries:
        raise Failure(f"{path} has no query.")
    return queries


def _read_object(path: Path, number: int, line: str) -> tuple[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _fail(path, number, "is not JSON") from error
    name = found.get("id") if isinstance(found, dict) else None
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    given = [found[key] for key in ("text", "vector") if found.get(key) is not None] if isinstance(found, dict) else []
    if not isinstance(name, str) or len(given) != 1 or not isinstance(given[0], str | list):
        raise _fail(path, number, 'is not {"id": …, "text": …} or {"id": …, "vector": […]}')
    return name, given[0]


def read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """Return the judgements of each query.

    A line is ``query id grade``, or with a second column that is ignored, as TREC has it. Columns are separated by
    tabs if the line has one, or else by spaces.
    """
    judgements: dict[str, dict[str, int]] = {}
    for number, line in _read_lines(path):
        parts = line.split("\t") if "\t" in line else line.split()
        if len(parts) not in {3, 4}:
            raise _fail(path, number, "is not `query id grade` or `query 0 id grade`")
        query, id_, grade = parts[0], parts[-2], parts[-1]
        try:
            judgements.setdefault(query, {})[id_] = int(grade)
        except ValueError as error:
            if number == 1:  # a heading
                continue
            raise _fail(path, number, f"has no whole number as its grade but {grade[:_SHOWN]!r}") from error
    if not judgements:
        raise Failure(f"{path} has no judgement.")
    return {query: ids for query, ids in judgements.items() if ids}


def read_pairs(path: Path) -> tuple[list[str], list[str], list[float]]:
    """Return pairs of texts and their similarity as people judged it. A line is ``text<TAB>text<TAB>number``."""
    first, second, scores = list[str](), list[str](), list[float]()
    for number, line in _read_lines(path):
        parts = line.split("\t")
        score = _read_number(parts[2]) if len(parts) == 3 else None
        if score is None:
            if number == 1 or line.startswith("#"):
                continue
            raise _fail(path, number, "is not text<TAB>text<TAB>number")
        first.append(parts[0])
        second.append(parts[1])
        scores.append(score)
    if not scores:
        raise Failure(f"{path} has no pair.")
    return first, second, scores


def _read_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_analogies(path: Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """Return questions by section. A line is ``: section``, or four words: a is to b as c is to d."""
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    section = "questions"
    for number, line in _read_lines(path):
        if line.startswith(":"):
            section = line[1:].strip() or section
            continue
        words = line.split()
        if len(words) != 4:
            raise _fail(path, number, "is not four words")
        sections.setdefault(section, []).append((words[0], words[1], words[2], words[3]))
    if not sections:
        raise Failure(f"{path} has no question.")
    return sections


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Iterate over lines that are not empty, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8.") from error


def _fail(path: Path, number: int, what: str) -> Failure:
    return Failure(f"Line {number:,} of {path} {escape_controls(what)}.")
