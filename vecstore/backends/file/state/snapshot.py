"""One commit of a generation, as far as it is in memory."""

from __future__ import annotations

from dataclasses import dataclass

from ..vectors.vectors import Vectors
from .columns import View
from .ledger import Ledger


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What is in memory of one commit. ``view`` is None until something asks for ids or fields."""

    ledger: Ledger
    vectors: Vectors
    view: View | None

    @property
    def columns(self) -> View:
        """The view of a snapshot that was asked for with one."""
        if self.view is None:
            raise TypeError("the snapshot was asked for without a view")
        return self.view
