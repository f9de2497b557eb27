"""A TCP proxy on the loopback address that breaks connections on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

Sender = Literal["client", "server"]
Fate = Literal["close", "reset", "half-close", "hole"]
_CHUNK = 65_536
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Link:
    """A client's connection and the matching connection to the server."""

    writers: dict[Sender, asyncio.StreamWriter]  # by the sender whose bytes are written to it
    lost: bool = False

    def end(self, *, reset: bool) -> None:
        for writer in self.writers.values():
            if writer.is_closing():
                continue
            if reset:
                # Closing then sends RST instead of FIN.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                writer.transport.abort()
            else:
                writer.close()


@dataclass
class Cut:
    """A fault on the connection that sends the byte after the next ``left`` bytes."""

    sender: Sender
    left: int
    fate: Fate
    done: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Forwards bytes between clients and a server. It is a context manager.

    A fault applies to all connections, later ones too, until `heal`.

    Attributes
    ----------
    forwarded : dict
        Number of forwarded bytes by sender.
    """

    def __init__(self, host: str, port: int) -> None:
        self.forwarded: dict[Sender, int] = {"client": 0, "server": 0}
        self._target = (host, port)
        self._cut: Cut | None = None
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._ready = threading.Event()
        self.heal()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def replace_address(self, url: str) -> str:
        """Return a server's URL with the address of this proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def cut_after(
        self, *, client_bytes: int | None = None, server_bytes: int | None = None, fate: Fate = "close"
    ) -> threading.Event:
        """Forward this many more bytes from one side, then break one connection and set the returned event.

        ``close`` sends a FIN both ways (an RST to a sender whose bytes were not read), ``reset`` an RST both ways,
        ``half-close`` sends a FIN to the receiver while the other direction goes on, and ``hole`` forwards nothing more
        in either direction while the connection stays open.
        """
        sender: Sender = "server" if client_bytes is None else "client"
        left = server_bytes if client_bytes is None else client_bytes
        if left is None or (client_bytes is not None and server_bytes is not None):
            raise ValueError("Give client_bytes or server_bytes.")
        cut = self._cut = Cut(sender, left, fate)
        return cut.done

    def delay(self, seconds: float, *, chunk: int = _CHUNK) -> None:
        """Delay each chunk of bytes. Small chunks simulate a slow network."""
        self._delay, self._chunk = seconds, chunk

    def swallow_everything(self) -> None:
        """Drop all bytes. Connections stay open, and new ones are accepted."""
        self._hole = True

    def refuse(self) -> None:
        """Reset new connections."""
        self._refusing = True

    def heal(self) -> None:
        """Forward again. A connection that has lost bytes stays silent."""
        self._cut = None
        self._delay, self._chunk = 0.0, _CHUNK
        self._hole = self._refusing = False

    def cut(self, *, reset: bool = False) -> None:
        """Break all connections, and return when they are closed."""

        async def all_of_them() -> None:
            for link in list(self._links):
                link.end(reset=reset)
            await asyncio.gather(*self._tasks)

        asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._links)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listener.close()
        for link in list(self._links):
            link.end(reset=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link({"client": writer})
        self._links.add(link)
        try:
            if self._refusing:
                link.end(reset=True)
                return
            from_server, link.writers["server"] = await asyncio.open_connection(*self._target)
            await asyncio.gather(self._pump("client", reader, link), self._pump("server", from_server, link))
        except OSError:
            link.end(reset=True)  # an error on one side breaks the other side too
        finally:
            link.end(reset=False)
            self._links.discard(link)

    async def _pump(self, sender: Sender, reader: asyncio.StreamReader, link: Link) -> None:
        sink = link.writers["server" if sender == "client" else "client"]
        while data := await reader.read(_CHUNK):
            while data:
                chunk, data = data[: self._chunk], data[self._chunk :]
                if self._delay:
                    await asyncio.sleep(self._delay)
                if not await self._pass_on(sender, chunk, sink, link):
                    return
        if not link.lost and not sink.is_closing():
            sink.write_eof()

    async def _pass_on(self, sender: Sender, chunk: bytes, sink: asyncio.StreamWriter, link: Link) -> bool:
        """Forward a chunk, and return whether this direction continues."""
        link.lost |= self._hole
        if link.lost:
            return True
        cut = self._cut if self._cut and self._cut.sender == sender else None
        kept = chunk[: cut.left] if cut else chunk
        sink.write(kept)
        self.forwarded[sender] += len(kept)
        await sink.drain()
        if cut is None:
            return True
        cut.left -= len(kept)
        if cut.left == 0:
            self._cut = None
            self._apply(cut, link, sink)
        return cut.left > 0 or link.lost

    def _apply(self, cut: Cut, link: Link, sink: asyncio.StreamWriter) -> None:
        match cut.fate:
            case "half-close":
                sink.write_eof()
            case "hole":
                link.lost = True
            case fate:
                link.end(reset=fate == "reset")
        cut.done.set()


def make_proxy(url: str) -> Proxy:
    """Return a proxy in front of a server."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return Proxy(parts.hostname, parts.port)
