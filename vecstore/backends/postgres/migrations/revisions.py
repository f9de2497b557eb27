"""The revisions of the PostgreSQL catalogue that this vecstore knows, in order."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from vecstore.backends.shared.guards import refuse_newer
from vecstore.errors import BackendUnavailable, InvalidArgument, MissingExtra, close_matches

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

BASE = "base"
"""Alembic's name of a database without any revision."""

HEAD = "head"
"""Alembic's name of the newest revision."""


@cache
def _find_folder() -> Path:
    # From the module, because in a checkout the revisions are not in the package's own folder.
    try:
        module = import_module("vecstore.migrations")
    except ModuleNotFoundError as error:
        raise BackendUnavailable(
            "The migrations of vecstore are not installed with it, as in a checkout that was only added to the path. "
            "In the checkout run: pip install -e '.[postgres]'"
        ) from error
    return Path(str(module.__file__)).parent


@cache
def list_revisions() -> tuple[str, ...]:
    """Return the ids of all revisions, from their file names, because importing Alembic is slow."""
    return tuple(sorted(path.stem.partition("_")[0] for path in (_find_folder() / "versions").glob("vs*.py")))


@cache
def load_scripts() -> ScriptDirectory:
    """Return the revisions as Alembic's script directory."""
    try:
        from alembic.script import ScriptDirectory
    except ImportError as error:
        raise MissingExtra("alembic", "postgres") from error
    return ScriptDirectory(_find_folder())


def name_revision(position: int) -> str:
    """Return the revision that is this many steps from none."""
    return list_revisions()[position - 1] if position else BASE


def find_position(revision: str) -> int:
    """Return how many steps from none a revision is."""
    known = (BASE, *list_revisions())
    if revision == HEAD:
        return len(known) - 1
    if revision not in known:
        shown = ascii(revision[:40]) if isinstance(revision, str) else type(revision).__name__
        raise InvalidArgument(f"There is no revision {shown}.{close_matches(str(revision)[:40], (*known, HEAD))}")
    return known.index(revision)


def locate_revision(found: str | None, namespace: str) -> int:
    """Return how many steps from none the catalogue of a namespace is.

    Raises
    ------
    Unsupported
        This vecstore does not know its revision.
    """
    if found is None:
        return 0
    if found not in list_revisions():
        refuse_newer(f"revision {found[:40]!a} of the catalogue in namespace {namespace!r}", "postgres")
    return find_position(found)
