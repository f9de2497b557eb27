"""The project's own Python files, parsed, for the tests that read code."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Source:
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def name(self) -> str:
        """The path as a reader would write it: ``vecstore/errors.py``."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def is_package(self) -> bool:
        return self.path.stem == "__init__"

    @property
    def module(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if self.is_package else parts)

    @property
    def package(self) -> str:
        return self.module if self.is_package else self.module.rpartition(".")[0]


@contextmanager
def reading(found: Iterable[Source]) -> Iterator[None]:
    """Look for no garbage while trees are read, which takes longer than to read them; then forget the trees."""
    gc.disable()
    try:
        yield
    finally:
        for each in found:
            vars(each).pop("tree", None)
        gc.enable()


def sources(*folders: str) -> Iterator[Source]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield Source(path)
