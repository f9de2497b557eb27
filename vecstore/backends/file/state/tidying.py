"""Files that no commit names: what writers and builders left who did not come to their commit."""

from __future__ import annotations

from pathlib import Path

from ..storage import os_calls
from ..storage.layout import GenerationLayout
from ..vectors.vectors import Vectors
from .ledger import Ledger


def unnamed_segments(paths: GenerationLayout, vectors: Vectors) -> list[Path]:
    """Return what lies beside the segments; it may be the work of a writer or of whoever keeps the volume."""
    return _others(paths.segments, {segment.path.name for segment in vectors.segments})


def unnamed_indexes(paths: GenerationLayout, ledger: Ledger) -> list[Path]:
    """Return what lies beside the index; it may be the work of whoever keeps the volume."""
    return _others(paths.indexes, {paths.index(ledger.index["uid"]).name} if ledger.index else set())


def _others(directory: Path, named: set[str]) -> list[Path]:
    return [directory / name for name in os_calls.names(directory) if name not in named]
