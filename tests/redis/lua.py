"""Checks of the Lua scripts, which ``make lint`` runs: ``python -m tests.redis.lua``.

Redis runs Lua 5.1 and refuses an undeclared global only when a script reaches it. The checks find it in the bytecode of
Lua 5.1, where each access to a global is a separate instruction.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import lupa.lua51

from vecstore.backends.redis import scripts
from vecstore.backends.redis.scripts import INCLUDE, Script

GLOBALS = frozenset({"ARGV", "KEYS", "cjson", "ipairs", "math", "next", "pairs", "redis", "string", "table", "tonumber",
    "type", "unpack"})  # fmt: skip
"""Globals of Redis that the scripts may use."""
LINE_LENGTH = 120
SCRIPTS = {each.name: each for each in vars(scripts).values() if isinstance(each, Script)}
_GET_GLOBAL, _SET_GLOBAL = 5, 7
_HEADER = b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00"
"""The header of a chunk of Lua 5.1 on a little-endian machine with 64 bits."""


@dataclass
class _Reader:
    """Reads a compiled chunk."""

    chunk: bytes
    at: int = 0

    def unpack(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self.chunk, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values

    def read_number(self) -> int:
        return int(self.unpack("i")[0])

    def read_string(self) -> bytes:
        [size] = self.unpack("Q")
        return bytes(self.unpack(f"{size}s")[0]).rstrip(b"\0")

    def read_constant(self) -> bytes | None:
        """Return a constant if it is a string, else None."""
        kind = self.unpack("B")[0]
        if kind == 4:
            return self.read_string()
        self.unpack({0: "", 1: "B", 3: "d"}[kind])
        return None

    def list_global_accesses(self) -> Iterator[tuple[str, int]]:
        """Yield each global that a function and its inner functions use, and the line."""
        self.read_string()
        self.unpack("ii4B")
        code = self.unpack(f"{self.read_number()}I")
        constants = [self.read_constant() for _ in range(self.read_number())]
        for _ in range(self.read_number()):
            yield from self.list_global_accesses()
        lines = self.unpack(f"{self.read_number()}i")
        for _ in range(self.read_number()):
            self.read_string()
            self.unpack("ii")
        for _ in range(self.read_number()):
            self.read_string()
        for instruction, line in zip(code, lines, strict=True):
            if instruction & 63 in {_GET_GLOBAL, _SET_GLOBAL}:
                name = constants[instruction >> 14]
                assert name is not None
                yield name.decode(), line


def compile_script(text: str) -> bytes:
    """Return the bytecode of a script.

    Raises
    ------
    lupa.LuaError
        The text is not Lua 5.1.
    """
    runtime = lupa.lua51.LuaRuntime(encoding=None)
    dump: Any = runtime.eval(b"function(text) return string.dump(assert(loadstring(text, '=script'))) end")
    return bytes(dump(text.encode()))


def list_global_accesses(text: str) -> list[tuple[str, int]]:
    """Return each global that a script uses, and the line."""
    chunk = compile_script(text)
    assert chunk.startswith(_HEADER)
    return list(_Reader(chunk, len(_HEADER)).list_global_accesses())


def find_problems(text: str) -> list[str]:
    """Return the problems of a complete script."""
    try:
        accesses = list_global_accesses(text)
    except lupa.lua51.LuaError as error:
        return [f"it does not compile: {error}"]
    lines = text.splitlines()
    return [f"undeclared global {name}: {lines[line - 1].strip()}" for name, line in accesses if name not in GLOBALS]


def find_file_problems() -> Iterator[str]:
    """Yield the problems of the files: bad lines, and parts that are missing or that no script includes."""
    folder = resources.files(scripts)
    parts = {each.name: each.read_text() for each in folder.joinpath("parts").iterdir()}
    files = {each.name: each.read_text() for each in folder.iterdir() if each.name.endswith(".lua")}
    included = set()
    for name, text in (*files.items(), *parts.items()):
        included |= {f"{line.removeprefix(INCLUDE)}.lua" for line in text.splitlines() if line.startswith(INCLUDE)}
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > LINE_LENGTH or line != line.rstrip() or "\t" in line:
                yield f"{name}:{number}: longer than {LINE_LENGTH} characters, a tab, or trailing white space"
        if not text.startswith("-- ") or not text.endswith("\n") or "\n\n" in text:
            yield f"{name}: it does not begin with a comment or end with a line feed, or has an empty line"
    for name in included ^ set(parts):
        yield f"parts/{name}: included but missing, or present but never included"
    for stem in {name.removesuffix(".lua") for name in files} ^ set(SCRIPTS):
        yield f"{stem}.lua: a file without a Script, or a Script without a file"


def main() -> None:
    found = list(find_file_problems())
    found += [f"{name}.lua: {problem}" for name, script in SCRIPTS.items() for problem in find_problems(script.text)]
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
