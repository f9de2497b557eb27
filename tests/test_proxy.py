"""The proxy breaks what it should, at the byte that it should."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.proxy import Proxy

PATIENCE = 60.0
"""Seconds after which something that should come has not come."""


def echo(listener: socket.socket) -> None:
    """Send back what comes, on each connection, and FIN after FIN."""
    with suppress(OSError):  # the listener was closed
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=echo_on, args=(connection,)).start()


def echo_on(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while data := connection.recv(4096):
            connection.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=echo, args=(listener,))
        thread.start()
        with Proxy("127.0.0.1", listener.getsockname()[1]) as proxy:
            yield proxy
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connected(proxy) as client:
        yield client


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)


def read_to_end(client: socket.socket) -> bytes:
    """Read up to the end of the connection."""
    found = b""
    while data := client.recv(4096):
        found += data
    return found


def read_whole(client: socket.socket, size: int) -> bytes:
    """Read so many bytes, or up to the end of the connection."""
    found = b""
    while len(found) < size and (data := client.recv(size - len(found))):
        found += data
    return found


def is_silent(client: socket.socket) -> bool:
    """Say whether neither bytes nor an end come for a while."""
    client.settimeout(0.2)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(PATIENCE)
    return False


def test_bytes_pass_in_both_directions(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(b"x" * 100_000)
    client.shutdown(socket.SHUT_WR)
    assert read_to_end(client) == b"x" * 100_000
    assert proxy.forwarded == {"client": 100_000, "server": 100_000}


@pytest.mark.parametrize("kept", [0, 1, 777, 5_000])
def test_a_connection_ends_after_so_many_bytes_of_the_server(proxy: Proxy, client: socket.socket, kept: int) -> None:
    done = proxy.cut_after(server_bytes=kept)
    client.sendall(b"x" * 9_000)
    found = b""
    with suppress(ConnectionResetError):  # an end too, where the proxy had not read all of the 9,000
        while data := client.recv(4096):
            found += data
    assert found == b"x" * kept
    assert done.is_set()


def test_a_connection_ends_after_so_many_bytes_of_the_client(proxy: Proxy, client: socket.socket) -> None:
    done = proxy.cut_after(client_bytes=777)
    client.sendall(b"x" * 9_000)
    assert done.wait(PATIENCE)
    assert proxy.forwarded["client"] == 777


def test_a_cut_happens_once(proxy: Proxy, client: socket.socket) -> None:
    assert proxy.cut_after(client_bytes=0) is not None
    client.sendall(b"x")
    assert client.recv(1) == b""
    with connected(proxy) as other:
        other.sendall(b"y")
        assert other.recv(1) == b"y"


def test_a_reset_is_no_end(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut_after(client_bytes=3, fate="reset")
    client.sendall(b"abc")
    with pytest.raises(ConnectionResetError):
        read_to_end(client)


def test_a_half_close_leaves_the_other_direction(proxy: Proxy, client: socket.socket) -> None:
    done = proxy.cut_after(server_bytes=2, fate="half-close")
    client.sendall(b"abc")
    assert done.wait(PATIENCE)
    assert read_to_end(client) == b"ab"
    passed_on = proxy.cut_after(client_bytes=3)
    client.sendall(b"def")
    assert passed_on.wait(PATIENCE)


def test_a_hole_keeps_the_connection_open_and_silent(proxy: Proxy, client: socket.socket) -> None:
    proxy.cut_after(server_bytes=2, fate="hole")
    client.sendall(b"abc")
    client.sendall(b"def")
    assert read_whole(client, 2) == b"ab"
    assert is_silent(client)
    assert proxy.connections == 1


def test_a_black_hole_swallows_until_it_is_healed(proxy: Proxy, client: socket.socket) -> None:
    proxy.swallow_everything()
    client.sendall(b"abc")
    assert is_silent(client)
    proxy.heal()
    client.sendall(b"def")
    assert is_silent(client), "a stream with a gap is no stream"
    with connected(proxy) as other:
        other.sendall(b"y")
        assert other.recv(1) == b"y"


def test_a_delay_holds_each_chunk(proxy: Proxy, client: socket.socket) -> None:
    proxy.delay(0.05, chunk=100)
    begin = time.monotonic()
    client.sendall(b"x" * 300)
    found = b""
    while len(found) < 300:
        found += client.recv(300)
    assert time.monotonic() - begin >= 0.15


def test_refusing_resets_new_connections(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    proxy.refuse()
    with pytest.raises(ConnectionResetError), connected(proxy) as other:
        other.recv(1)
    client.sendall(b"x")
    assert client.recv(1) == b"x"


def test_all_connections_can_be_cut_now(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    proxy.cut()
    assert client.recv(1) == b""
    assert proxy.connections == 0


def test_all_connections_can_be_reset_now(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    proxy.cut(reset=True)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_server_that_is_not_there_is_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    with Proxy("127.0.0.1", free) as proxy, pytest.raises(ConnectionResetError), connected(proxy) as client:
        client.recv(1)
