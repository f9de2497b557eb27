"""Below the facade: groups of records, which are replaced as a whole under one fence."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ..backend import Backend, Entry, Generation, Rows
from ..groups import make_head, make_member
from .backend_level import (
    BackendLevel,
    make_rows,
    map_texts,
    new_generation,
    read_changed_ids,
    read_tombstones,
    read_versions,
    write_fenced,
)
from .sample_records import make_book

KEYS = ["a", "a#", "a##", "a#1", "a#1#1", "#", "##", "#1", "a1", "a:", "A", "é#", "1", "1#1", "a\n#1", "\U00010000"]
ROUNDS = 60


class GroupTests(BackendLevel):
    """`Backend.write_groups`."""

    @pytest.mark.parametrize(
        "before, after", [(1, 1), (1, 4), (4, 1), (12, 3), (3, 12), (0, 2), (2, 0), (0, 0), (12, 0)]
    )
    def test_a_group_shrinks_grows_or_becomes_empty(
        self, backend: Backend, entry: Entry, before: int, after: int
    ) -> None:
        assert write_groups(backend, entry.active, {"k": before}, {"k": 5}, "old") == before
        assert write_groups(backend, entry.active, {"k": after}, {"k": 7}, "new") == after
        assert read_versions(backend, entry.active) == dict.fromkeys(list_members("k", after), 7)
        dropped = {*list_members("k", before), "k"} - {*list_members("k", after)}
        assert read_tombstones(backend, entry.active) == dict.fromkeys(dropped, 7)
        assert set(read_texts(backend, entry.active).values()) <= {"new"}

    @pytest.mark.parametrize("newer", [0, 1, 3])
    @pytest.mark.parametrize("late", [0, 1, 6])
    def test_a_late_writer_leaves_nothing(self, backend: Backend, entry: Entry, newer: int, late: int) -> None:
        write_groups(backend, entry.active, {"k": 4}, {"k": 2})
        write_groups(backend, entry.active, {"k": newer}, {"k": 7}, "new")
        before = read_versions(backend, entry.active), read_tombstones(backend, entry.active)
        assert write_groups(backend, entry.active, {"k": late}, {"k": 6}, "late") == 0
        assert (read_versions(backend, entry.active), read_tombstones(backend, entry.active)) == before
        assert "late" not in read_texts(backend, entry.active).values()

    def test_the_same_fence_writes_again(self, backend: Backend, entry: Entry) -> None:
        for count in (3, 2, 5, 0, 1):
            assert write_groups(backend, entry.active, {"k": count}, {"k": 4}, str(count)) == count
            assert read_texts(backend, entry.active) == dict.fromkeys(list_members("k", count), str(count))

    def test_each_group_has_its_own_fence(self, backend: Backend, entry: Entry) -> None:
        write_groups(backend, entry.active, {"a": 2, "b": 2, "c": 2, "d": 2}, {"a": 5, "b": 5, "c": 5, "d": 5})
        fences = {"d": 9, "c": 4, "b": 6, "a": 4, "e": 1, "f": 2}
        assert write_groups(backend, entry.active, {"c": 3, "b": 3, "e": 2}, fences) == 5
        assert read_versions(backend, entry.active) == {
            **dict.fromkeys(list_members("a", 2) + list_members("c", 2), 5),
            **dict.fromkeys(list_members("b", 3), 6),
            **dict.fromkeys(list_members("e", 2), 1),
        }
        assert read_tombstones(backend, entry.active) == {"d": 9, "d#1": 9, "f": 2}

    def test_no_group_touches_another_one(self, backend: Backend, entry: Entry) -> None:
        heads = [make_head(key) for key in KEYS]
        write_groups(backend, entry.active, dict.fromkeys(heads, 3), dict.fromkeys(heads, 1), "old")
        expected = dict.fromkeys((id_ for head in heads for id_ in list_members(head, 3)), "old")
        assert len(expected) == 3 * len(KEYS)
        assert read_texts(backend, entry.active) == expected
        for number, head in enumerate(heads):
            count = number % 3
            write_groups(backend, entry.active, {head: count}, {head: 2}, "new")
            for id_ in list_members(head, 3):
                del expected[id_]
            expected |= dict.fromkeys(list_members(head, count), "new")
            assert read_texts(backend, entry.active) == expected

    @pytest.mark.parametrize("stranger", ["k#0", "k#01", "k#1x", "k##1", "k#1#1", "k#:", "k#", "k0", "k#-1", "K#1"])
    def test_what_only_looks_like_a_member_stays(self, backend: Backend, entry: Entry, stranger: str) -> None:
        write_groups(backend, entry.active, {"k": 3}, {"k": 1})
        write_fenced(backend, entry.active, [(stranger, 1)])
        write_groups(backend, entry.active, {}, {"k": 2})
        assert read_versions(backend, entry.active) == {stranger: 1}

    def test_a_gap_hides_no_member(self, backend: Backend, entry: Entry) -> None:
        write_groups(backend, entry.active, {"k": 30}, {"k": 1})
        backend.delete(entry.active, ["k#1", "k#2", "k#11"])
        write_groups(backend, entry.active, {"k": 1}, {"k": 2})
        assert read_versions(backend, entry.active) == {"k": 2}

    def test_the_head_decides_and_no_version_falls(self, backend: Backend, entry: Entry) -> None:
        write_groups(backend, entry.active, {"k": 3}, {"k": 3})
        write_fenced(backend, entry.active, [("k#1", 9), ("k#2", 9)])
        backend.delete(entry.active, ["k#3"], fence=[8])
        assert write_groups(backend, entry.active, {"k": 2}, {"k": 5}, "new") == 2
        assert read_versions(backend, entry.active) == {"k": 5, "k#1": 9}
        assert read_tombstones(backend, entry.active) == {"k#2": 9, "k#3": 8}
        assert write_groups(backend, entry.active, {"k": 4}, {"k": 6}, "new") == 4
        assert read_versions(backend, entry.active) == {"k": 6, "k#1": 9, "k#2": 9, "k#3": 8}

    def test_records_without_version_are_replaced(self, backend: Backend, entry: Entry) -> None:
        backend.write(entry.active, make_members({"k": 4}, "old"), insert=True)
        assert write_groups(backend, entry.active, {"k": 2}, {"k": 0}, "new") == 2
        assert read_versions(backend, entry.active) == {"k": 0, "k#1": 0}
        assert write_groups(backend, entry.active, {}, {"k": 0, "l": 0}) == 0
        assert read_versions(backend, entry.active) == read_tombstones(backend, entry.active) == {}

    def test_a_deleted_head_refuses_late_groups(self, backend: Backend, entry: Entry) -> None:
        backend.delete(entry.active, ["k"], fence=[5])
        assert write_groups(backend, entry.active, {"k": 3, "l": 1}, {"k": 4, "l": 4}) == 1
        assert read_versions(backend, entry.active) == {"l": 4}
        assert write_fenced(backend, entry.active, [("l", 3)]) == 0

    def test_events_in_any_order_end_in_the_same_state(self, backend: Backend, entry: Entry, seed: int) -> None:
        draw = random.Random(seed)
        sizes = {fence: draw.randrange(6) for fence in range(1, 7)}
        for turn in range(6):
            head = f"r{turn}"
            for fence in draw.sample(sorted(sizes), len(sizes)):
                write_groups(backend, entry.active, {head: sizes[fence]}, {head: fence}, str(fence))
        wanted = [id_ for turn in range(6) for id_ in list_members(f"r{turn}", sizes[6])]
        assert read_texts(backend, entry.active) == dict.fromkeys(wanted, "6")
        assert set(read_tombstones(backend, entry.active)) >= ({f"r{turn}" for turn in range(6)} - set(wanted))

    def test_writers_at_once_leave_the_newest_group(self, backend: Backend, entry: Entry) -> None:
        heads = ["k", "l"]
        for turn in range(0, 40, 8):
            sizes = {fence: (fence * 5) % 7 for fence in range(turn + 1, turn + 9)}
            start = threading.Barrier(len(sizes))
            failed: list[BaseException] = []

            def write(fence: int, count: int, start: threading.Barrier = start) -> None:
                start.wait()
                try:
                    write_groups(
                        backend, entry.active, dict.fromkeys(heads, count), dict.fromkeys(heads, fence), str(fence)
                    )
                except BaseException as error:
                    failed.append(error)  # noqa: B023 - the threads end within the turn
                    raise

            threads = [threading.Thread(target=write, args=item) for item in sizes.items()]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not failed
            newest = max(sizes)
            wanted = [id_ for head in heads for id_ in list_members(head, sizes[newest])]
            assert read_texts(backend, entry.active) == dict.fromkeys(wanted, str(newest))

    def test_writers_of_crossing_groups_and_of_single_records_do_not_fail(self, backend: Backend, entry: Entry) -> None:
        active, fences = entry.active, {"k": 2, "l": 2}
        write_groups(backend, active, {"k": 5, "l": 5}, fences)
        calls: list[Callable[[], object]] = [
            lambda: write_groups(backend, active, {"k": 5}, fences),
            lambda: write_groups(backend, active, {"l": 5}, fences),
            lambda: write_groups(backend, active, {"k": 1, "l": 5}, fences),
            lambda: backend.write(active, make_members({"k": 3, "l": 1}, "single"), insert=False),
            lambda: backend.delete(active, ["l#1", "k#2", "k"]),
        ]
        start = threading.Barrier(len(calls))

        def repeat(call: Callable[[], object]) -> None:
            start.wait()
            for _ in range(ROUNDS):
                call()

        with ThreadPoolExecutor(len(calls)) as threads:
            list(threads.map(repeat, calls))
        found = backend.verify(active)
        assert found.ok, found.problems

    def test_what_changed_is_noted(self, backend: Backend, entry: Entry) -> None:
        write_groups(backend, entry.active, {"k": 4, "l": 2, "m": 1}, {"k": 5, "l": 5, "m": 5})
        standby = new_generation(standby=True)
        backend.create("docs", standby)
        write_groups(backend, entry.active, {"k": 2, "l": 3}, {"k": 6, "l": 4, "m": 6, "n": 6})
        assert sorted(read_changed_ids(backend, entry.active)) == ["k", "k#1", "k#2", "k#3", "m"]
        write_groups(backend, standby, {"k": 1}, {"k": 6})
        assert read_versions(backend, standby) == {"k": 6}
        assert sorted(read_changed_ids(backend, entry.active)) == ["k", "k#1", "k#2", "k#3", "m"]

    def test_verify_finds_nothing(self, backend: Backend, entry: Entry) -> None:
        write_groups(backend, entry.active, {"k": 9, "l": 2}, {"k": 5, "l": 5})
        write_groups(backend, entry.active, {"k": 2}, {"k": 6, "l": 6})
        found = backend.verify(entry.active)
        assert found.ok, found.problems
        assert found.records == 2

    def test_a_large_batch(self, backend: Backend, entry: Entry) -> None:
        counts = {f"k{number}": number % 4 for number in range(400)}
        fences = dict.fromkeys(counts, 1)
        assert write_groups(backend, entry.active, counts, fences) == sum(counts.values())
        turned = {head: 3 - count for head, count in counts.items()}
        assert write_groups(backend, entry.active, turned, dict.fromkeys(counts, 2), "new") == sum(turned.values())
        wanted = [id_ for head, count in turned.items() for id_ in list_members(head, count)]
        assert read_texts(backend, entry.active) == dict.fromkeys(wanted, "new")


def list_members(head: str, count: int) -> list[str]:
    """Return the ids of the records of a group."""
    return [make_member(head, number) for number in range(count)]


def write_groups(
    backend: Backend, generation: Generation, counts: Mapping[str, int], fences: Mapping[str, int], text: str = "text"
) -> int:
    """Replace groups by so many records with this text."""
    return backend.write_groups(generation, make_members(counts, text), fences)


def make_members(counts: Mapping[str, int], text: str) -> Rows:
    """Return rows: so many records for each group."""
    ids = [id_ for head, count in counts.items() for id_ in list_members(head, count)]
    return make_rows(*(replace(make_book(len(id_), id=id_), text=text) for id_ in ids))


def read_texts(backend: Backend, generation: Generation) -> dict[str, str | None]:
    """Return the ids and texts of all records."""
    return map_texts(backend.fetch(generation, list(read_versions(backend, generation))))
