"""The two filters, as data that each subject translates into its own language."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {"==": operator.eq, ">": operator.gt}


@dataclass(frozen=True)
class Condition:
    """A comparison of a field with a value; ``operator`` is ``"=="`` or ``">"``."""

    name: str
    field: str
    operator: str
    value: Any

    def __str__(self) -> str:
        shown = f'"{self.value}"' if isinstance(self.value, str) else str(self.value)
        return f"{self.field} {self.operator} {shown}"

    def mask(self, metadata: Sequence[Mapping[str, Any]]) -> NDArray[np.bool_]:
        """Say which rows match."""
        holds = _OPERATORS[self.operator]
        return np.fromiter((holds(row[self.field], self.value) for row in metadata), np.bool_, len(metadata))


GAMES = Condition("games", "section", "==", "games")
LARGE = Condition("large", "size", ">", 20_000)
CONDITIONS = (GAMES, LARGE)
