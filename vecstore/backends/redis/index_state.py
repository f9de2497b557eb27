"""What the server says of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from vecstore.errors import IndexNotReady

from .failures import meaning


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index as FT.INFO describes it.

    Attributes
    ----------
    complete : bool
        Whether all hashes have been read into it.
    records : int
        Hashes in it.
    failures : int
        Hashes that it refused.
    failed : str
        The key of the last of them.
    bytes : int
        Memory that it takes.
    """

    complete: bool
    records: int
    failures: int
    failed: str
    bytes: int

    @classmethod
    def of(cls, reply: Any) -> IndexFacts | None:
        """Read a reply; None where there is no such index."""
        if isinstance(reply, redis.RedisError):
            error = meaning(reply)
            if isinstance(error, IndexNotReady):
                return None
            raise error from reply
        known = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        errors = known.get(b"Index Errors", {})
        megabytes = sum(_number(known.get(name)) for name in (b"vector_index_sz_mb", b"total_index_memory_sz_mb"))
        return cls(
            complete=not int(_number(known.get(b"indexing"))) and _number(known.get(b"percent_indexed", 1)) >= 1,
            records=int(_number(known.get(b"num_docs"))),
            failures=int(_number(known.get(b"hash_indexing_failures"))),
            failed=errors.get(b"last indexing error key", b"").decode(errors="replace") if errors else "",
            bytes=int(megabytes * (1 << 20)),
        )


def _number(value: Any) -> float:
    return float(value or 0)
