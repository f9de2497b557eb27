"""Run a program in a network namespace of its own: ``python -m servers.milvus.namespace LISTENER PORT PROGRAM WORDS…``.

LISTENER is the descriptor of a listening socket of the caller's network. Each connection to it is passed on to PORT in
the network of the program. The first line of the output is the program's process id, or why it could not be started.
Neither process outlives the one that started it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress

_NEW_NETWORK, _NEW_USERS = 0x4000_0000, 0x1000_0000
_SET_DEATH_SIGNAL = 1
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_REQUEST = "16sh22x"  # struct ifreq: the interface's name and its flags
_CHUNK = 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends."""
    _check(_libc.prctl(_SET_DEATH_SIGNAL, signal.SIGKILL))
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def separate() -> bool:
    """Move this process into a new network, whose loopback interface is up; return whether it needed new users, too.

    Who is not root may have a network only together with a namespace of users.
    """
    needs_users = False
    try:
        _check(_libc.unshare(_NEW_NETWORK))
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        _check(_libc.unshare(_NEW_NETWORK | _NEW_USERS))
        for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)
        needs_users = True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name, flags = struct.unpack(_REQUEST, fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack(_REQUEST, b"lo", 0)))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack(_REQUEST, name, flags | _UP))
    return needs_users


def join(pid: int, *, users: bool) -> None:
    """Move this process into the network of another one. Its sockets stay where they are."""
    for kind in ("user", "net") if users else ("net",):
        handle = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        try:
            _check(_libc.setns(handle, 0))
        finally:
            os.close(handle)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def run_child(listener: int, report: int, parent: int, command: list[str]) -> None:
    """Become the program, and report before whether its network is ready."""
    try:
        end_with_parent(parent)
        os.close(listener)
        needs_users = separate()
        os.write(report, b"users" if needs_users else b"ready")
        os.set_inheritable(report, False)
        os.dup2(2, 1)  # nobody reads the pipe of this process's output, and a server that fills it stands still
        os.execv(command[0], command)  # noqa: S606 - the program
    except OSError as error:
        os.write(report, f"No network of its own for the server: {error.strerror}.".encode())
        os._exit(1)


def relay(listener: socket.socket, port: int) -> None:
    """Pass the connections to a listener on to a port of this process's network, for ever."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_connect, args=(client, port), daemon=True).start()


def _connect(client: socket.socket, port: int) -> None:
    try:
        server = socket.create_connection(("127.0.0.1", port))
    except OSError:
        client.close()
        return
    for each in (client, server):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
    back.start()
    _pump(client, server)
    back.join()
    client.close()
    server.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(_CHUNK))
    with suppress(OSError):
        while read := source.recv_into(buffer):
            sink.sendall(buffer[:read])
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def main(descriptor: int, port: int, command: list[str]) -> int:
    end_with_parent(os.getppid())
    read, report = os.pipe()
    supervisor = os.getpid()
    pid = os.fork()
    if not pid:
        run_child(descriptor, report, supervisor, command)
    os.close(report)
    said = os.read(read, 500)
    if said not in {b"ready", b"users"}:
        sys.stdout.write(f"{said.decode(errors='replace')}\n")
        return 1
    join(pid, users=said == b"users")
    listener = socket.socket(fileno=descriptor)
    threading.Thread(target=relay, args=(listener, port), daemon=True).start()
    sys.stdout.write(f"{pid}\n")
    sys.stdout.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF


if __name__ == "__main__":
    os._exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
