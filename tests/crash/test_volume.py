"""The model of the file system and the parser of traces, on which the power-failure tests depend."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from .lost_writes import KEPT, LOST, UNIFORM, RandomFate, Uniform
from .outages import Run, group_syncs
from .trace import (
    Event,
    MakeDirectory,
    Open,
    Parser,
    Remove,
    Rename,
    Sync,
    Truncate,
    Untraceable,
    Write,
    join_lines,
    record,
)
from .volume import Image, Volume

NAMED_ONLY = Uniform(names=True, contents="none")


def replay(events: Sequence[Event]) -> Volume:
    volume = Volume()
    for event in events:
        volume.follow(event)
    return volume


def draw_images(events: Sequence[Event]) -> list[Image]:
    """Return the distinct images of 400 random fates."""
    images: list[Image] = []
    for number in range(400):
        image = replay(events).image(RandomFate(random.Random(number)))
        if image not in images:
            images.append(image)
    return images


def sync(path: str) -> Sync:
    return Sync(path, "fsync")


def test_nothing_is_there_before_a_sync() -> None:
    volume = replay([Open("a", truncates=False), Write("a", 0, b"x")])
    assert volume.image(LOST) == {}
    assert volume.image(NAMED_ONLY) == {"a": b""}
    assert volume.image(Uniform(names=True, contents="size")) == {"a": b"\0"}
    assert volume.image(KEPT) == {"a": b"x"}


def test_a_sync_of_a_file_says_nothing_about_its_name() -> None:
    volume = replay([Open("a", truncates=False), Write("a", 0, b"x"), sync("a")])
    assert volume.image(LOST) == {}
    assert volume.image(NAMED_ONLY) == {"a": b"x"}


def test_a_sync_of_a_directory_says_nothing_about_contents_and_what_is_below() -> None:
    volume = replay([MakeDirectory("d"), Open("d/a", truncates=False), Write("d/a", 0, b"x"), sync("")])
    assert volume.image(LOST) == {"d": None}
    volume.follow(sync("d"))
    assert volume.image(LOST) == {"d": None, "d/a": b""}


def test_names_of_a_directory_reach_the_disk_in_their_order() -> None:
    images = draw_images([Open("a", truncates=False), Open("b", truncates=False), Rename("a", "c"), Remove("b")])
    assert sorted(sorted(image) for image in images) == [[], ["a"], ["a", "b"], ["b", "c"], ["c"]]


def test_a_rename_happens_whole_and_replaces() -> None:
    events: list[Event] = [
        Open("a", truncates=False),
        Write("a", 0, b"new"),
        sync("a"),
        Open("b", truncates=False),
        sync(""),
        Rename("a", "b"),
    ]
    images = draw_images(events)
    assert len(images) == 2
    assert {"a": b"new", "b": b""} in images
    assert {"b": b"new"} in images


def test_sectors_of_a_write_reach_the_disk_in_any_choice() -> None:
    events: list[Event] = [
        Open("a", truncates=False),
        Write("a", 0, b"-" * 1_536),
        sync("a"),
        sync(""),
        Write("a", 256, b"x" * 1_024),
    ]
    found = {bytes(data or b"") for image in draw_images(events) for data in image.values()}
    parts = [(256, 512), (512, 1_024), (1_024, 1_280)]
    expected = set()
    for choice in range(8):
        data = bytearray(b"-" * 1_536)
        for number, (start, end) in enumerate(parts):
            if choice >> number & 1:
                data[start:end] = b"x" * (end - start)
        expected.add(bytes(data))
    assert found == expected


def test_later_writes_may_reach_the_disk_without_earlier_ones() -> None:
    images = draw_images(
        [Open("a", truncates=False), sync(""), Write("a", 0, b"1"), Write("a", 1, b"2"), Truncate("a", 1)]
    )
    assert {bytes(image["a"] or b"") for image in images} >= {b"", b"1", b"12", b"\0", b"\0\x32", b"1\0"}


def test_what_was_synced_stays() -> None:
    events: list[Event] = [Open("a", truncates=False), Write("a", 0, b"x"), sync("a"), sync("")]
    assert draw_images(events) == [{"a": b"x"}]
    assert all(replay(events).image(fate) == {"a": b"x"} for fate in UNIFORM)


def test_a_rename_between_directories_is_refused() -> None:
    with pytest.raises(Untraceable):
        replay([MakeDirectory("d"), Open("a", truncates=False), Rename("a", "d/a")])


def test_sites_are_named_by_what_they_make_durable() -> None:
    uid = "0" * 32
    events: list[Event] = [
        Open(f"{uid}.vec", truncates=False),
        Write(f"{uid}.vec", 0, b"x"),
        sync(f"{uid}.vec"),
        sync(""),
        sync(""),
    ]
    assert group_syncs(Run(Path(), events, {})) == {
        "./ +ID.vec": frozenset({3}),
        "./ unchanged": frozenset({4}),
        "ID.vec": frozenset({2}),
    }


def encode_hex(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


HERE = f"AT_FDCWD<{encode_hex('/r')}>"


def parse(*lines: str) -> list[Event]:
    return list(Parser(Path("/r"), Path("/marks")).events(join_lines(iter(lines))))


def test_traces_are_read() -> None:
    here, file = f"AT_FDCWD<{encode_hex('/w')}>", f"4<{encode_hex('/r/a (b)>, 7')}>"
    assert parse(
        f'7 openat({here}, "{encode_hex("/etc/passwd")}", O_RDONLY|O_CLOEXEC) = 3<{encode_hex("/etc/passwd")}>',
        f'7 openat({here}, "{encode_hex("/r/a (b)>, 7")}", O_RDWR|O_CREAT|O_EXCL, 0600) = {file}',
        f'7 write({file}, "{encode_hex("3<ab>")}", 5) = 5',
        f'7 write({file}, "{encode_hex("cd")}", 2 <unfinished ...>',
        f'8 unlink("{encode_hex("/r/c")}") = -1 ENOENT (No such file or directory)',
        "7 <... write resumed>) = 1",
        f'7 pwrite64({file}, "{encode_hex("e")}", 1, 9) = 1',
        f"7 ftruncate({file}, 3) = 0",
        f"7 fdatasync({file}) = 0",
        f'7 rename("{encode_hex("/r/a (b)>, 7")}", "{encode_hex("/r/c")}") = 0',
        f"7 fsync(4<{encode_hex('/r/c')}>(deleted)) = 0",
        "7 +++ exited with 0 +++",
    ) == [
        Open("a (b)>, 7", truncates=False),
        Write("a (b)>, 7", 0, b"3<ab>"),
        Write("a (b)>, 7", 5, b"c"),
        Write("a (b)>, 7", 9, b"e"),
        Truncate("a (b)>, 7", 3),
        Sync("a (b)>, 7", "fdatasync"),
        Rename("a (b)>, 7", "c"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 4<{encode_hex('/r/a')}>, 0) = 0x7f00",
        f"7 fallocate(4<{encode_hex('/r/a')}>, 0, 0, 10) = 0",
        f'7 linkat({HERE}, "{encode_hex("a")}", {HERE}, "{encode_hex("b")}", 0) = 0',
        f'7 pwritev(4<{encode_hex("/r/a")}>, [{{iov_base="\\x61", iov_len=1}}], 1, 0) = 1',
    ],
)
def test_what_the_model_cannot_express_is_refused(line: str) -> None:
    with pytest.raises(Untraceable):
        parse(line)


def test_maps_for_reading_are_harmless() -> None:
    assert parse(f"7 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 4<{encode_hex('/r/a')}>, 0) = 0x7f00") == []


def test_without_strace_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError, match="need strace"):
        record(["true"], tmp_path, tmp_path / "marks", tmp_path / "log", tmp_path)


def test_where_strace_may_not_trace_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strace = tmp_path / "strace"
    strace.write_text("#!/bin/sh\necho 'strace: ptrace(PTRACE_TRACEME): Operation not permitted' >&2\nexit 1\n")
    strace.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssertionError, match="PTRACE_TRACEME"):
        record(["true"], tmp_path, tmp_path / "marks", tmp_path / "log", tmp_path)
