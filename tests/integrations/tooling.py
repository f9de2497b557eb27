"""Calls of tools by the client of the protocol's SDK, in this process."""

from __future__ import annotations

import json
from typing import Any

from mcp import Client


class Tooling:
    """Calls tools, each over a connection of its own."""

    def __init__(self, server: Any, mode: str = "auto") -> None:
        self.server, self._mode = server, mode

    async def list_tools(self) -> list[Any]:
        async with Client(self.server, mode=self._mode) as client:
            return list((await client.list_tools()).tools)

    async def call(self, tool: str, **arguments: Any) -> Any:
        is_error, text = await self._call(tool, arguments)
        assert not is_error, text
        return json.loads(text)

    async def fail(self, tool: str, **arguments: Any) -> str:
        is_error, text = await self._call(tool, arguments)
        assert is_error, text
        assert "Traceback" not in text
        return text

    async def _call(self, tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        async with Client(self.server, mode=self._mode) as client:
            result = await client.call_tool(tool, arguments)
        (content,) = result.content
        return bool(result.is_error), str(getattr(content, "text", ""))
