"""Common to the subjects on Redis: keys and indexes under their own prefix, on one server."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import redis

from ..redis_server import VARIABLE, clear_keys
from ..subject import Subject

_PAUSE = 0.02


class RedisNamespace(Subject):
    """A subject whose records are hashes.

    Attributes
    ----------
    namespace : str
        What the names of its keys and indexes begin with.
    """

    durable = "in memory"
    has_rows = True
    has_filters = True
    is_persistent = True
    namespace: ClassVar[str]
    _used_before: int | None = None

    @property
    def url(self) -> str:
        """The server's URL."""
        return os.environ[VARIABLE]

    def clear(self) -> None:
        """Remove what an earlier run left, and note how much memory the server needs without this subject."""
        with redis.Redis.from_url(self.url) as client:
            clear_keys(client, self.namespace)
            self._used_before = client.info("memory")["used_memory"]

    def wait(self, index: str, rows: int) -> None:
        """Return when an index covers all rows.

        Raises
        ------
        ValueError
            It left some out.
        """
        with redis.Redis.from_url(self.url) as client:
            while True:
                state = client.ft(index).info()
                if int(state["hash_indexing_failures"]):
                    raise ValueError(f"{index} leaves rows out: {state['Index Errors']}")
                if not int(state["indexing"]) and int(state["num_docs"]) == rows:
                    return
                time.sleep(_PAUSE)

    def remarks(self) -> Mapping[str, Any]:
        """Say what the server is, and how much memory the subject takes there."""
        with redis.Redis.from_url(self.url) as client:
            state = client.info()
            search = next(one["ver"] for one in state["modules"] if one["name"] == "search")
            found: dict[str, Any] = {"server": f"Redis {state['redis_version']}, search {_format_version(search)}"}
            if self._used_before is not None:
                found["server_mib"] = (state["used_memory"] - self._used_before) / 2**20
        return {**super().remarks(), **found}


def _format_version(number: int) -> str:
    """Turn 21005 into 2.10.5, as the module counts."""
    return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
