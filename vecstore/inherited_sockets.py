"""Sockets that this process has from its parent by a fork.

Two processes that use one connection read each other's answers. A driver's connection on such a socket therefore
belongs to the parent, also one that the application opened before it gave its engine or client to vecstore.

The sockets are listed in each forked child. If this module is first imported in a child, those count that an ancestor
has open too; only Linux tells.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress

Identity = tuple[int, int]
"""Device and inode of a socket, which differ from those of every other open one."""


def is_inherited(descriptor: int) -> bool:
    """Say whether a descriptor's socket was opened before this process was forked."""
    if not _inherited:
        return False
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino) in _inherited


def has_any() -> bool:
    """Say whether this process has inherited sockets."""
    return bool(_inherited)


def sever(descriptors: Iterable[int]) -> None:
    """Replace this process's copies of sockets by a closed one, so that nothing can be sent to or read from them.

    A driver then sees a lost connection. The other processes that have the sockets notice nothing.
    """
    import socket

    ours, other = socket.socketpair()
    other.close()
    with ours:
        for descriptor in descriptors:
            os.dup2(ours.fileno(), descriptor, inheritable=False)


def _list_sockets(process: int | str = "self") -> frozenset[Identity]:
    """Return the open sockets of a process; of another one, none if they cannot be read."""
    found = set()
    folder = f"/proc/{process}/fd"
    if process == "self" and not os.path.isdir(folder):
        folder = "/dev/fd"
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):  # closed meanwhile, as the descriptor of the folder itself
                status = os.stat(f"{folder}/{name}")
                if stat.S_ISSOCK(status.st_mode):
                    found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def _list_ancestors() -> Iterator[int]:
    process = os.getppid()
    while process > 0:
        yield process
        try:
            with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
                process = int(file.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return


def _find_shared() -> frozenset[Identity]:
    """Return the open sockets that an ancestor has open too."""
    present = _list_sockets()
    if not present:
        return present
    return present & frozenset().union(*map(_list_sockets, _list_ancestors()))


def _note_in_child() -> None:
    global _inherited
    _inherited = _list_sockets()


_inherited = _find_shared()
os.register_at_fork(after_in_child=_note_in_child)
