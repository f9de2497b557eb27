"""A model of a file system that gives the possible contents of the disk after a power failure.

Changes of a file since its last fsync may have reached the disk in any part and any order, down to single sectors; a
size may be there without the bytes. Changes of names since the last fsync of their directory may be there up to any
point: each directory keeps its own order. An fsync of a file does not make its name durable.
"""

from __future__ import annotations

import posixpath
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from .trace import Event, MakeDirectory, Mark, Open, Remove, Rename, Sync, Truncate, Untraceable, Write

SECTOR = 512

Image = Mapping[str, bytes | None]
"""Contents of files by path; None for a directory."""


@dataclass(eq=False)
class File:
    """A file: its contents on the disk, and the changes since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Truncate] = field(default_factory=list)
    _read: bytes | None = None

    def read(self) -> bytes:
        """Return the contents on the disk: the same object until the next fsync."""
        if self._read is None:
            self._read = bytes(self.durable)
        return self._read

    def sync(self) -> None:
        """Let every change reach the disk."""
        for change in self.pending:
            apply(change, self.durable)
        if self.pending:
            self._read = None
        self.pending.clear()


@dataclass(frozen=True, slots=True)
class Step:
    """An atomic change of names: those that are removed or added."""

    names: tuple[tuple[str, Node | None], ...]


@dataclass(eq=False)
class Directory:
    """A directory: the names on the disk, and the changes since."""

    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[Step] = field(default_factory=list)

    def names(self, steps: int | None = None) -> dict[str, Node]:
        """Return the names after this many of the pending steps reached the disk; all of them by default."""
        found = dict(self.durable)
        for step in self.pending[:steps]:
            for name, node in step.names:
                found.pop(name, None)
                if node is not None:
                    found[name] = node
        return found


Node = File | Directory


class Fate(ABC):
    """Decides which unsynced changes have reached the disk."""

    @abstractmethod
    def steps(self, directory: Directory) -> int:
        """Return how many of the pending changes of names did."""

    @abstractmethod
    def contents(self, file: File) -> bytes:
        """Return the contents of the file."""


class Volume:
    """The file system as the running program sees it and as it is on the disk.

    Parameters
    ----------
    image : Image
        The initial contents of the disk.
    """

    def __init__(self, image: Image = MappingProxyType({})) -> None:
        self.root = Directory()
        for path, data in sorted(image.items()):
            parent, name = self._place(path)
            parent.durable[name] = Directory() if data is None else File(bytearray(data))

    def follow(self, event: Event) -> None:
        """Apply an event of the program."""
        match event:
            case Open(path, truncates):
                self._open(path, truncates=truncates)
            case MakeDirectory(path):
                self._step(path, Directory())
            case Write(path) | Truncate(path):
                self._file(path).pending.append(event)
            case Remove(path):
                self._step(path, None)
            case Rename(old, new):
                self._rename(old, new)
            case Sync(path):
                self._sync(self.node(path))
            case Mark():
                pass

    def image(self, fate: Fate) -> Image:
        """Return the contents of the disk if the power fails now."""
        return dict(_walk("", self.root, fate))

    def node(self, path: str) -> Node:
        """Return the node at a path, as the program sees it."""
        node: Node = self.root
        for name in filter(None, path.split("/")):
            if not isinstance(node, Directory):
                raise Untraceable(path)
            node = node.names()[name]
        return node

    def _open(self, path: str, *, truncates: bool) -> None:
        parent, name = self._place(path)
        found = parent.names().get(name)
        if found is None:
            self._step(path, File())
        elif truncates and isinstance(found, File):
            found.pending.append(Truncate(path, 0))

    def _rename(self, old: str, new: str) -> None:
        directory, name = self._place(old)
        target, renamed = self._place(new)
        if directory is not target:
            raise Untraceable(f"rename from one directory to another: {old}, {new}")
        directory.pending.append(Step(((name, None), (renamed, self.node(old)))))

    def _step(self, path: str, node: Node | None) -> None:
        parent, name = self._place(path)
        parent.pending.append(Step(((name, node),)))

    def _place(self, path: str) -> tuple[Directory, str]:
        above, name = posixpath.split(path)
        parent = self.node(above)
        if not isinstance(parent, Directory):
            raise Untraceable(path)
        return parent, name

    def _file(self, path: str) -> File:
        node = self.node(path)
        if not isinstance(node, File):
            raise Untraceable(path)
        return node

    @staticmethod
    def _sync(node: Node) -> None:
        if isinstance(node, Directory):
            node.durable = node.names()
            node.pending.clear()
        else:
            node.sync()


def apply(change: Write | Truncate, data: bytearray) -> None:
    """Apply one change to the contents of a file."""
    if isinstance(change, Truncate):
        del data[change.size :]
        extend(data, change.size)
        return
    extend(data, change.offset + len(change.data))
    data[change.offset : change.offset + len(change.data)] = change.data


def extend(data: bytearray, size: int) -> None:
    """Fill a file with zeros up to a size."""
    if len(data) < size:
        data.extend(bytes(size - len(data)))


def _walk(path: str, directory: Directory, fate: Fate) -> Iterator[tuple[str, bytes | None]]:
    for name, node in directory.names(fate.steps(directory)).items():
        below = f"{path}/{name}" if path else name
        if isinstance(node, Directory):
            yield below, None
            yield from _walk(below, node, fate)
        else:
            yield below, fate.contents(node) if node.pending else node.read()


def write_image(root: Path, image: Image) -> None:
    """Make the files and directories of an image below a directory."""
    for path, data in sorted(image.items()):
        if data is None:
            (root / path).mkdir(0o700)
        else:
            (root / path).write_bytes(data)
