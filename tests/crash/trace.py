"""Records the file-system calls of a program below one directory, with ``strace``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_FOLLOWED = (
    "openat", "open", "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir",
    "write", "pwrite64", "ftruncate", "fsync", "fdatasync",
)  # fmt: skip
# The model cannot express these calls, so they must not go unnoticed.
_REFUSED = (
    "writev", "pwritev", "pwritev2", "truncate", "fallocate", "copy_file_range", "sendfile", "splice", "lseek", "dup",
    "dup2", "dup3", "link", "linkat", "symlink", "symlinkat", "sync_file_range", "syncfs", "sync", "mmap",
    "io_uring_setup", "io_submit",
)  # fmt: skip
_HARMLESS_MAPS = re.compile(r"PROT_(READ|NONE)\b(?!\|PROT_WRITE)|MAP_PRIVATE")
_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?).*")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_DESCRIPTOR = re.compile(r"(AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2}|[^>\\])*)>(\(deleted\))?")


class Untraceable(Exception):
    """The program made a call that the model of the file system cannot express."""


@dataclass(frozen=True, slots=True)
class Open:
    path: str
    truncates: bool


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    path: str


@dataclass(frozen=True, slots=True)
class Write:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Rename:
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Remove:
    path: str


@dataclass(frozen=True, slots=True)
class Sync:
    path: str
    call: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What the program wrote to the file of marks."""

    text: str


Event = Open | MakeDirectory | Write | Truncate | Rename | Remove | Sync | Mark
"""Paths are relative to the watched directory, whose own path is empty."""


def record(command: Sequence[str], root: Path, marks: Path, log: Path, cwd: Path) -> list[Event]:
    """Run a program and return its events below ``root``, in order.

    Raises
    ------
    AssertionError
        strace is missing or may not trace, or the program failed.
    Untraceable
    """
    strace = shutil.which("strace")
    assert strace, "the power-failure tests record system calls and need strace (on Debian: apt-get install strace)"
    calls = ",".join(f"?{name}" for name in (*_FOLLOWED, *_REFUSED))
    done = subprocess.run(
        [strace, "-f", "-y", "-xx", "-s", str(1 << 28), "-o", str(log), "-e", f"trace={calls}", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"strace (is ptrace allowed here?) or the program failed:\n{done.stderr[-4_000:]}"
    with log.open(encoding="ascii") as lines:
        return list(Parser(root, marks).events(join_lines(lines)))


def join_lines(lines: Iterator[str]) -> Iterator[str]:
    """Join calls that strace shows in two parts because another thread ran in between."""
    begun: dict[str, str] = {}
    for line in lines:
        pid, _, rest = line.rstrip("\n").partition(" ")
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>")
        elif resumed := re.match(r" *<\.\.\. \w+ resumed>(.*)", rest):
            yield f"{pid} {begun.pop(pid)}{resumed[1]}"
        else:
            yield f"{pid} {rest}"


class Parser:
    def __init__(self, root: Path, marks: Path) -> None:
        self._root = os.fspath(root)
        self._marks = os.fspath(marks)
        self._positions: dict[tuple[str, int], int] = {}

    def events(self, lines: Iterator[str]) -> Iterator[Event]:
        for line in lines:
            found = _LINE.fullmatch(line)
            # Skip signals, exits, and calls that the kernel refused.
            if found is None or found[4] == "?" or int(found[4]) < 0:
                continue
            pid, name, arguments, result = found[1], found[2], found[3], int(found[4])
            descriptors = [
                (each[1], *_parse_path(each[2], gone=bool(each[3]))) for each in _DESCRIPTOR.finditer(arguments)
            ]
            # -y prints descriptors. Strings may hold anything, so remove descriptors outside of quotes first.
            bare = _DESCRIPTOR.sub("", arguments)
            strings = [_decode_bytes(each[1]) for each in _STRING.finditer(bare)]
            assert not any(each[2] for each in _STRING.finditer(bare)), f"strace cut a string of {name}"
            paths = [_resolve(each, descriptors) for each in strings[:2]] if name not in {"write", "pwrite64"} else []
            about = [*paths, *(path for _, path, _ in descriptors[:1])]
            if not any(self._is_below(each) or each == self._marks for each in about):
                continue
            if name in _REFUSED:
                if name == "mmap" and _HARMLESS_MAPS.search(bare):
                    continue
                raise Untraceable(f"{name} on {about}")
            yield from self._event(pid, name, bare, result, descriptors, strings, paths)

    def _event(
        self,
        pid: str,
        name: str,
        bare: str,
        result: int,
        descriptors: list[tuple[str, str, bool]],
        strings: list[bytes],
        paths: list[str],
    ) -> Iterator[Event]:
        match name:
            case "open" | "openat" | "creat":
                self._positions[pid, result] = 0
                if self._is_below(paths[0]):
                    if "O_APPEND" in bare:
                        raise Untraceable(f"appending to {paths[0]}")
                    if name == "creat" or "O_CREAT" in bare or "O_TRUNC" in bare:
                        yield Open(self._relative(paths[0]), name == "creat" or "O_TRUNC" in bare)
            case "mkdir" | "mkdirat":
                yield MakeDirectory(self._relative(paths[0]))
            case "rename" | "renameat" | "renameat2":
                if re.search(r"RENAME_\w", bare):
                    raise Untraceable(f"rename with flags: {bare}")
                yield Rename(self._relative(paths[0]), self._relative(paths[1]))
            case "unlink" | "unlinkat" | "rmdir":
                yield Remove(self._relative(paths[0]))
            case "write" | "pwrite64" | "ftruncate" | "fsync" | "fdatasync":
                (number, path, deleted), *_ = descriptors
                if not deleted:
                    yield self._change(pid, int(number), path, name, bare, (strings or [b""])[0][:result])

    def _change(self, pid: str, number: int, path: str, name: str, bare: str, data: bytes) -> Event:
        if path == self._marks:
            return Mark(data.decode())
        if name in {"fsync", "fdatasync"}:
            return Sync(self._relative(path), name)
        last = int(bare.rpartition(",")[2] or 0) if name != "write" else 0
        if name == "ftruncate":
            return Truncate(self._relative(path), last)
        if name == "pwrite64":
            return Write(self._relative(path), last, data)
        offset = self._positions[pid, number]
        self._positions[pid, number] = offset + len(data)
        return Write(self._relative(path), offset, data)

    def _is_below(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root + "/")

    def _relative(self, path: str) -> str:
        if not self._is_below(path):
            raise Untraceable(f"{path} is outside")
        return path[len(self._root) + 1 :]


def _resolve(path: bytes, descriptors: list[tuple[str, str, bool]]) -> str:
    text = os.fsdecode(path)
    return text if text.startswith("/") or not descriptors else os.path.join(descriptors[0][1], text)


def _decode_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _parse_path(text: str, *, gone: bool) -> tuple[str, bool]:
    """Return the path of a descriptor, and whether the file has been removed since it was opened."""
    path = os.fsdecode(_decode_bytes(text)) if text.startswith("\\x") else text
    return path.removesuffix(" (deleted)"), gone or path.endswith(" (deleted)")
