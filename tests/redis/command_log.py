"""The commands that a server received, from MONITOR."""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from servers.redis.own_server import OwnServer

_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.S)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_KEYLESS = {
    b"CLIENT", b"CONFIG", b"ECHO", b"EXEC", b"FT._LIST", b"HELLO", b"INFO", b"MULTI", b"PING", b"SCRIPT", b"SELECT",
}  # fmt: skip
_ONE_KEY = {
    b"EXISTS", b"FT.AGGREGATE", b"FT.CREATE", b"FT.DROPINDEX", b"FT.INFO", b"FT.SEARCH", b"GET", b"HDEL", b"HEXISTS",
    b"HGET", b"HINCRBY", b"HKEYS", b"HMGET", b"HSET", b"PEXPIRE", b"PTTL", b"SADD", b"SET", b"SMEMBERS",
    b"SREM", b"TYPE", b"ZADD", b"ZCARD",
    b"ZMSCORE", b"ZRANGE", b"ZRANGEBYLEX", b"ZREM", b"ZREMRANGEBYRANK", b"ZSCORE",
}  # fmt: skip
_KEYS_ONLY = {b"DEL", b"UNLINK"}


@dataclass(frozen=True)
class Command:
    """The words of one command, sent by a client or run by a script."""

    words: tuple[bytes, ...]

    @property
    def name(self) -> bytes:
        return self.words[0].upper()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys and indexes that the command names."""
        if self.name in _KEYLESS:
            return ()
        if self.name in {b"EVAL", b"EVALSHA"}:
            return self.words[3 : 3 + int(self.words[2])]
        if self.name in _KEYS_ONLY:
            return self.words[1:]
        if self.name == b"SCAN":
            return (self.words[self.words.index(b"MATCH") + 1],)
        if (self.name, *self.words[1:2]) == (b"MEMORY", b"USAGE"):
            return self.words[2:3]
        assert self.name in _ONE_KEY, self.name
        prefix = self.words[6:7] if self.name == b"FT.CREATE" else ()
        return (self.words[1], *prefix)


@dataclass
class CommandLog:
    """The recorded commands."""

    commands: list[Command] = field(default_factory=list)

    def list_queries(self) -> Iterator[str]:
        """Yield the query of each search."""
        for command in self.commands:
            if command.name == b"FT.SEARCH":
                yield command.words[2].decode("ascii")

    def list_scripts(self) -> set[bytes]:
        """Return the texts of all scripts that were sent."""
        loaded = {each.words[2] for each in self.commands if each.name == b"SCRIPT"}
        return loaded | {each.words[1] for each in self.commands if each.name == b"EVAL"}


@contextmanager
def record_commands(server: OwnServer) -> Iterator[CommandLog]:
    """Record the commands of a server. The log is filled when the context ends."""
    log = CommandLog()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link, link.makefile("rb") as lines:
        link.sendall(f"AUTH {server.password}\r\nMONITOR\r\n".encode())
        assert [lines.readline(), lines.readline()] == [b"+OK\r\n"] * 2
        yield log
        mark = secrets.token_hex(8)
        with server.connect() as client:
            client.echo(mark)
        for line in lines:
            if mark.encode() in line:
                return
            log.commands.append(Command(tuple(map(_read, _WORD.findall(line)))))


def _read(word: bytes) -> bytes:
    return _ESCAPE.sub(_unescape, word)


def _unescape(found: re.Match[bytes]) -> bytes:
    what = found[1]
    return bytes.fromhex(what[1:].decode()) if len(what) == 3 else _ESCAPES.get(what, what)
