"""Common to libraries that know vectors and numbers but no records."""

from __future__ import annotations

from typing import Any

from ..corpus import Corpus, Row
from ..subject import Subject


class RawIndex(Subject):
    """An index in memory, whose answers are arrays of row numbers."""

    durable = "in memory"

    def load(self, corpus: Corpus) -> None:
        """Keep the rows; there is nothing to load before the index is built."""
        self._corpus = corpus

    def rows(self, answer: Any) -> list[Row]:
        """Look the numbers up."""
        return [Row(self._corpus.ids[int(place)]) for place in answer]
