"""Files that packages ship with data: found without importing the package where that is slow."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def find_data(package: str, *parts: str) -> Path:
    """Return the path of a file or folder in an installed package.

    Raises
    ------
    SystemExit
        The package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"This example needs the package {package}. `make examples` installs it into .venv.")
    return Path(spec.origin).parent.joinpath(*parts)


def read_gensim(name: str) -> str:
    """Return the text of a file of gensim's test data."""
    return find_data("gensim", "test", "test_data", name).read_text("utf-8", errors="replace")


def read_judged_pairs(name: str) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return the words of each pair of a list in gensim's test data, and how similar people found them."""
    lines = [line.split("\t") for line in read_gensim(name).splitlines() if line and line[0] != "#"]
    first, second, judged = (list(column) for column in zip(*lines, strict=True))
    return first, second, np.array(judged, float)
