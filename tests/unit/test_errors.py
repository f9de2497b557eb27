from __future__ import annotations

import copy
import re

import pytest

from vecstore import errors
from vecstore.errors import (
    ForkedStore,
    InvalidArgument,
    MissingExtra,
    PartialWrite,
    RecordExists,
    StoreLocked,
    StoreMoved,
    StoreNotFound,
    Timeout,
    Unsupported,
    VecstoreError,
    close_matches,
)

CLASSES: list[type[VecstoreError]] = [getattr(errors, name) for name in errors.__all__]


def drawn() -> dict[str, tuple[str | None, set[str], bool]]:
    """Read the tree in the docstring: name -> parent, Python's own parents, retryable."""
    found: dict[str, tuple[str | None, set[str], bool]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"( {4}[│ ]*(?:[├└]── )?)(\w+)(?: \((.*?)\))?", line)
        if match and match[2] in errors.__all__:
            depth = (len(match[1]) - 4) // 4
            path[depth:] = [match[2]]
            builtin = {match[3]} if match[3] else set()
            parent = path[depth - 1] if depth else None
            found[match[2]] = (parent, builtin, line.rstrip().endswith("  retryable"))
    return found


def test_the_tree_is_as_drawn() -> None:
    tree = drawn()
    assert sorted(tree) == errors.__all__
    for kind in CLASSES:
        parent, builtin, retryable = tree[kind.__name__]
        bases = {base.__name__ for base in kind.__bases__}
        assert bases == ({parent} if parent else {"Exception"}) | builtin
        assert kind.retryable is retryable


def test_one_class_catches_everything() -> None:
    assert all(issubclass(kind, VecstoreError) for kind in CLASSES)


def test_a_missing_extra_tells_the_pip_line() -> None:
    error = MissingExtra("redis", "redis")
    assert str(error) == "redis is not installed. Run: pip install 'vecstore-db[redis]'"
    assert isinstance(error, ImportError)


def test_what_is_unsupported_names_feature_and_backend() -> None:
    error = Unsupported("joining a transaction", "memory", "Leave it out.")
    assert (error.feature, error.backend) == ("joining a transaction", "memory")
    assert str(error) == "memory does not support joining a transaction. Leave it out."


def test_a_missing_store_comes_with_close_matches() -> None:
    assert "Did you mean 'articles'?" in str(StoreNotFound("article", ["articles", "pictures"]))
    moved = StoreMoved("docs", "redis://host:6379/0")
    assert str(moved).startswith("Store 'docs' has moved to redis://host:6379/0. Connect to that Database")
    assert (moved.name, moved.target) == ("docs", "redis://host:6379/0")


def test_a_partial_write_is_as_retryable_as_its_cause() -> None:
    assert PartialWrite(5, StoreLocked("busy.")).retryable
    assert not PartialWrite(5, InvalidArgument("bad.")).retryable
    assert not PartialWrite(5, KeyboardInterrupt()).retryable
    assert "5 records are written" in str(PartialWrite(5, StoreLocked("busy.")))


def test_existing_records_are_listed_but_not_all() -> None:
    error = RecordExists([f"r{number}" for number in range(1000)])
    assert len(error.ids) == 1000
    assert len(str(error)) < 100


@pytest.mark.parametrize(
    "word, known, hint",
    [
        ("langs", ["lang", "year"], " Did you mean 'lang'?"),
        ("xyz", ["year", "lang"], " Known: lang, year."),
        ("xyz", [], ""),
        ("xyz", [f"name{number}" for number in range(30)], ""),
        ("x" * 1_000_000, ["year"], " Known: year."),
    ],
)
def test_close_matches(word: str, known: list[str], hint: str) -> None:
    assert close_matches(word, known) == hint


@pytest.mark.parametrize(
    "error",
    [
        MissingExtra("psycopg", "postgres"),
        Unsupported("a graph", "memory", "Use Flat()."),
        StoreMoved("docs", "elsewhere"),
        StoreNotFound("dosc", ["docs"]),
        PartialWrite(3, StoreLocked("busy")),
        RecordExists(["a"]),
        ForkedStore(),
        Timeout("30 s"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_after_a_copy(error: VecstoreError) -> None:
    twin = copy.copy(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)
