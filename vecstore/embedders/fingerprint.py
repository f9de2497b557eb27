"""The fingerprint of a model's weights, a part of the identity of a model without a revision."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

MAX_BYTES = 256 * 2**20
"""Weights up to this size are hashed, in about a second. For larger ones the canaries suffice."""
WEIGHTS = frozenset({".bin", ".safetensors"})
"""Endings of the files that are hashed."""


def hash_directory(source: str | None) -> str | None:
    """Return the fingerprint of the weights below a directory; None if it is none, or they are too large."""
    if source is None or not os.path.isdir(source):
        return None
    files = sorted(path for path in Path(source).rglob("*") if path.suffix in WEIGHTS and path.is_file())
    if not files or sum(path.stat().st_size for path in files) > MAX_BYTES:
        return None
    return hash_files(files)


def hash_files(files: Iterable[Path]) -> str:
    """Return the fingerprint of these files, of any size."""
    import hashlib

    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return f"sha256:{digest.hexdigest()}"
