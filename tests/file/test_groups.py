"""Members of groups by the order of ids, which readers of several views share and replace."""

from __future__ import annotations

import numpy as np

from vecstore import Schema
from vecstore.backends.file.state.columns import RowColumns

OLDER, NEWER = 5_000, 9_000
IDS = ["k", *(f"x{number}" for number in range(NEWER)), "k#1", *(f"y{number}" for number in range(NEWER))]


class Disturbed(RowColumns):
    """Columns whose order a reader of an older view replaces as soon as it is made."""

    def order_by_id(self, size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        found = super().order_by_id(size)
        self._order = np.array(sorted(range(OLDER), key=self.ids.__getitem__), np.int64)
        return found


class SlowIds(list[str]):
    """Ids at which another reader looks first."""

    columns: RowColumns | None = None

    def __getitem__(self, place: object) -> str:  # type: ignore[override]
        if self.columns is not None:
            columns, self.columns = self.columns, None
            columns.order_by_id(len(self))
        return super().__getitem__(place)  # type: ignore[call-overload,no-any-return]


def test_an_order_that_is_replaced_meanwhile_hides_no_member() -> None:
    columns = Disturbed(Schema(dim=3))
    columns.ids = list(IDS)
    assert columns.find_members({"k": 1}, len(IDS)) == [IDS.index("k#1")]


def test_a_shorter_order_replaces_no_longer_one() -> None:
    columns, ids = RowColumns(Schema(dim=3)), SlowIds(IDS)
    columns.ids = ids
    ids.columns = columns
    assert len(columns.order_by_id(OLDER)) == OLDER
    assert len(columns._order) == len(IDS)
