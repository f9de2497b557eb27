"""Below the facade: versions, fences and tombstones, which make retried and late writes safe."""

from __future__ import annotations

import pytest

from ..backend import Backend, Entry, Update
from ..errors import RecordExists
from ..filters.nodes import ALL, Compare
from .backend_level import (
    BackendLevel,
    make_rows_named,
    map_texts,
    map_versions,
    read_tombstones,
    read_versions,
    write_fenced,
)

BIG = 2**53


class FencedWriteTests(BackendLevel):
    """`Backend.write` with and without fences."""

    def test_a_record_written_without_fence_has_version_0(self, backend: Backend, entry: Entry) -> None:
        assert backend.write(entry.active, make_rows_named("a", "b"), insert=True) == 2
        assert backend.write(entry.active, make_rows_named("b", "c"), insert=False) == 2
        assert read_versions(backend, entry.active) == {"a": 0, "b": 0, "c": 0}

    @pytest.mark.parametrize("fence", [0, 1, 7, 2**31, 2**32 + 1, BIG])
    def test_the_version_is_the_fence(self, backend: Backend, entry: Entry, fence: int) -> None:
        assert write_fenced(backend, entry.active, [("a", fence)]) == 1
        assert read_versions(backend, entry.active) == {"a": fence}
        assert map_versions(backend.fetch(entry.active, ["a"])) == {"a": fence}

    @pytest.mark.parametrize(
        "version, fence, applies",
        [(0, 0, True), (3, 3, True), (3, 4, True), (3, 2, False), (1, 0, False), (BIG, BIG - 1, False), (9, 10, True)],
    )
    def test_a_fence_applies_where_the_version_is_not_above_it(
        self, backend: Backend, entry: Entry, version: int, fence: int, applies: bool  # noqa: FBT001
    ) -> None:  # fmt: skip
        write_fenced(backend, entry.active, [("a", version)])
        row = make_rows_named("a")
        row = type(row)(row.ids, row.vectors, ["late"], row.fields, row.extras)
        assert backend.write(entry.active, row, insert=False, fence=[fence]) == applies
        assert read_versions(backend, entry.active) == {"a": max(version, fence)}
        assert (map_texts(backend.fetch(entry.active, ["a"]))["a"] == "late") == applies

    def test_each_row_has_its_own_fence(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 5), ("b", 5), ("c", 5)])
        assert write_fenced(backend, entry.active, [("d", 1), ("c", 6), ("b", 4), ("a", 5)]) == 3
        assert read_versions(backend, entry.active) == {"a": 5, "b": 5, "c": 6, "d": 1}

    def test_a_batch_of_which_nothing_applies(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 5)])
        assert write_fenced(backend, entry.active, [("a", 4)]) == 0

    def test_a_write_without_fence_keeps_the_version(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 5)])
        assert backend.write(entry.active, make_rows_named("a"), insert=False) == 1
        assert read_versions(backend, entry.active) == {"a": 5}
        assert write_fenced(backend, entry.active, [("a", 4)]) == 0

    def test_an_update_keeps_versions(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 5), ("b", 0)])
        assert backend.update(entry.active, ["a", "absent"], Update({"lang": "xx"}, {"note": "1"})) == 1
        assert backend.update(entry.active, ALL, Update({"lang": None}, {"note": None})) == 2
        assert read_versions(backend, entry.active) == {"a": 5, "b": 0}

    def test_an_insert_of_a_stored_id_writes_nothing(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("b", 5)])
        with pytest.raises(RecordExists) as caught:
            backend.write(entry.active, make_rows_named("a", "b", "c"), insert=True)
        assert caught.value.ids == ("b",)
        assert read_versions(backend, entry.active) == {"b": 5}


class FencedDeleteTests(BackendLevel):
    """`Backend.delete` with and without fences, and the tombstones that it leaves."""

    def test_an_unfenced_delete_of_a_record_without_version_leaves_nothing(
        self, backend: Backend, entry: Entry
    ) -> None:
        backend.write(entry.active, make_rows_named("a", "b"), insert=True)
        assert backend.delete(entry.active, ["a", "absent"]) == 1
        assert read_versions(backend, entry.active) == {"b": 0}
        assert read_tombstones(backend, entry.active) == {}

    @pytest.mark.parametrize("by_filter", [False, True], ids=["ids", "filter"])
    def test_an_unfenced_delete_leaves_the_version(self, backend: Backend, entry: Entry, *, by_filter: bool) -> None:
        write_fenced(backend, entry.active, [("a", 5), ("b", 0), ("c", 7)])
        selection = Compare("id", "in", ("a", "b")) if by_filter else ["a", "b"]
        assert backend.delete(entry.active, selection) == 2
        assert read_versions(backend, entry.active) == {"c": 7}
        assert read_tombstones(backend, entry.active) == {"a": 5}
        assert write_fenced(backend, entry.active, [("a", 4)]) == 0
        assert write_fenced(backend, entry.active, [("a", 5)]) == 1

    @pytest.mark.parametrize("version, fence, applies", [(3, 3, 1), (3, 4, 1), (3, 2, 0), (0, 0, 1), (0, 9, 1)])
    def test_a_fence_applies_where_the_version_is_not_above_it(
        self, backend: Backend, entry: Entry, version: int, fence: int, applies: int
    ) -> None:
        write_fenced(backend, entry.active, [("a", version)])
        assert backend.delete(entry.active, ["a"], fence=[fence]) == applies
        assert read_versions(backend, entry.active) == ({} if applies else {"a": version})
        for late in range(max(version, fence)):
            assert write_fenced(backend, entry.active, [("a", late)]) == 0

    def test_a_fenced_delete_of_no_record_leaves_a_tombstone(self, backend: Backend, entry: Entry) -> None:
        assert backend.delete(entry.active, ["a"], fence=[5]) == 0
        assert read_tombstones(backend, entry.active) == {"a": 5}
        assert write_fenced(backend, entry.active, [("a", 4)]) == 0
        assert read_versions(backend, entry.active) == {}

    def test_a_tombstone_of_version_0_is_none(self, backend: Backend, entry: Entry) -> None:
        backend.write(entry.active, make_rows_named("a"), insert=True)
        assert backend.delete(entry.active, ["a", "b"], fence=[0, 0]) == 1
        assert read_tombstones(backend, entry.active) == {}

    def test_a_tombstone_only_grows(self, backend: Backend, entry: Entry) -> None:
        for fence, version in ((5, 5), (4, 5), (5, 5), (8, 8), (1, 8)):
            assert backend.delete(entry.active, ["a"], fence=[fence]) == 0
            assert read_tombstones(backend, entry.active) == {"a": version}

    def test_each_id_has_its_own_fence(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 5), ("b", 5), ("c", 5)])
        assert backend.delete(entry.active, ["c", "x", "a", "b"], fence=[5, 1, 9, 4]) == 2
        assert read_versions(backend, entry.active) == {"b": 5}
        assert read_tombstones(backend, entry.active) == {"a": 9, "c": 5, "x": 1}

    def test_a_written_row_ends_its_tombstone(self, backend: Backend, entry: Entry) -> None:
        backend.delete(entry.active, ["a", "b"], fence=[5, 5])
        assert write_fenced(backend, entry.active, [("a", 6)]) == 1
        assert backend.write(entry.active, make_rows_named("b"), insert=True) == 1
        assert read_tombstones(backend, entry.active) == {}
        assert read_versions(backend, entry.active) == {"a": 6, "b": 5}

    def test_a_late_write_does_not_bring_a_record_back(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 1)])
        backend.delete(entry.active, ["a"], fence=[3])
        assert write_fenced(backend, entry.active, [("a", 2), ("b", 2)]) == 1
        assert read_versions(backend, entry.active) == {"b": 2}

    def test_events_in_any_order_end_in_the_same_state(self, backend: Backend, entry: Entry) -> None:
        events = [("write", 1), ("delete", 2), ("write", 3), ("write", 4), ("delete", 5)]
        for turn in range(len(events)):
            id_ = f"r{turn}"
            for kind, fence in events[turn:] + events[:turn]:
                if kind == "write":
                    write_fenced(backend, entry.active, [(id_, fence)])
                else:
                    backend.delete(entry.active, [id_], fence=[fence])
        assert read_versions(backend, entry.active) == {}
        assert read_tombstones(backend, entry.active) == {f"r{turn}": 5 for turn in range(len(events))}

    @pytest.mark.parametrize("page", [1, 2, 3, 100])
    def test_tombstones_come_in_pages_in_the_order_of_ids(self, backend: Backend, entry: Entry, page: int) -> None:
        ids = ["b", "a", "é", "Z", "aa", "\uffff", "\U00010000"]
        backend.delete(entry.active, ids, fence=list(range(1, 8)))
        found = read_tombstones(backend, entry.active, page)
        assert list(found) == sorted(ids, key=str.encode)
        assert found == dict(zip(ids, range(1, 8), strict=True))

    def test_tombstones_are_no_records(self, backend: Backend, entry: Entry) -> None:
        write_fenced(backend, entry.active, [("a", 1), ("b", 1)])
        backend.delete(entry.active, ["a"], fence=[1])
        assert backend.count(entry.active, None) == 1
        assert list(backend.fetch(entry.active, ["a", "b"]).ids) == ["b"]
        assert backend.update(entry.active, ["a"], Update({"lang": "xx"}, {})) == 0
        assert backend.write(entry.active, make_rows_named("a"), insert=True) == 1
