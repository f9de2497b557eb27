"""Errors of the server and of gRPC in vecstore's words. Their own texts quote expressions, and so metadata."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import grpc

from vecstore.errors import (
    BackendUnavailable,
    IndexNotReady,
    StorageFailed,
    StoreCorrupt,
    Timeout,
    VecstoreError,
)

_LOGS = "Its log says why."
_UNREACHABLE = (
    "Milvus cannot be reached, or it closed the connection. Check that it runs, and its host, port and tls in vectors=."
)
_NO_MILVUS = (
    "What answers there is no Milvus of version 2.3 or newer. Check host and port in vectors=, or upgrade the server."
)
_NO_DATABASE = "Milvus has no database of that name. Correct it in vectors=, or create it there."
_DENIED = "Milvus refused the user or the password. Check them in vectors=."
_FULL = "Milvus has no memory or disk left for writes, or its quota is used up. Give it more, or delete what is old."


class CollectionMissing(StoreCorrupt):
    """The server has no such collection: it was emptied, restored or replaced. What follows a store is made anew."""


def make_timeout() -> Timeout:
    """Return the error of a request that got no answer in time."""
    return Timeout("Milvus did not answer within the timeout. Try again, or raise timeout= in vectors=.")


def make_missing() -> CollectionMissing:
    """Return the error for a collection that is not there."""
    return CollectionMissing("Milvus does not have the collection that follows this store. reindex() makes it anew.")


def _make_unavailable() -> VecstoreError:
    return BackendUnavailable(f"Milvus is not ready to answer, or has too much to do. Try again. {_LOGS}")


def _make_not_loaded() -> VecstoreError:
    return IndexNotReady("Milvus has not loaded the collection that follows this store yet. Try again later.")


_BY_GRPC: Mapping[grpc.StatusCode, Callable[[], VecstoreError]] = MappingProxyType(
    {
        grpc.StatusCode.UNAVAILABLE: lambda: BackendUnavailable(_UNREACHABLE),
        grpc.StatusCode.CANCELLED: lambda: BackendUnavailable(_UNREACHABLE),
        grpc.StatusCode.DEADLINE_EXCEEDED: make_timeout,
        grpc.StatusCode.UNAUTHENTICATED: lambda: BackendUnavailable(_DENIED),
        grpc.StatusCode.PERMISSION_DENIED: lambda: StorageFailed("Milvus does not let this user do that. Grant it."),
        grpc.StatusCode.RESOURCE_EXHAUSTED: _make_unavailable,
        grpc.StatusCode.UNIMPLEMENTED: lambda: StorageFailed(_NO_MILVUS),
    }
)
_BY_CODE: Mapping[int, Callable[[], VecstoreError]] = MappingProxyType(
    {
        **dict.fromkeys((1, 2, 4, 8), _make_unavailable),
        **dict.fromkeys((3, 7, 9), lambda: StorageFailed(_FULL)),
        100: make_missing,
        **dict.fromkeys((101, 103), _make_not_loaded),
        800: lambda: StorageFailed(_NO_DATABASE),  # not the caller's fault alone: it may be dropped at any time
    }
)
"""By the number in a status, of the server's table of errors since 2.3."""
_BY_WORDS: tuple[tuple[str, Callable[[], VecstoreError]], ...] = (
    ("can't find collection", make_missing),
    ("collection not found", make_missing),
    ("not loaded", _make_not_loaded),
    ("not fully loaded", _make_not_loaded),
    ("database not found", _BY_CODE[800]),
    (r"^database:.* not found$", _BY_CODE[800]),
    ("quota", lambda: StorageFailed(_FULL)),
    ("rate limit", _make_unavailable),
    ("not ready", _make_unavailable),
    ("no available", _make_unavailable),
    ("deadline exceeded", make_timeout),
    ("auth check failure", lambda: BackendUnavailable(_DENIED)),
)
"""By a pattern of what a status says. Older servers give one number to many things."""


def translate(error: grpc.RpcError) -> VecstoreError:
    """Return vecstore's error for one of gRPC."""
    code = error.code() if isinstance(error, grpc.Call) else None
    known = _BY_GRPC.get(code) if code is not None else None
    if known is not None:
        return known()
    return StorageFailed(f"Milvus refused a request ({code.name if code else 'no status'}). {_LOGS}")


def check_status(status: Any) -> None:
    """Raise vecstore's error for a status that is not a success.

    Parameters
    ----------
    status : common_pb2.Status
    """
    if status.code == 0 and status.error_code == 0:
        return
    known = _BY_CODE.get(status.code)
    said = status.reason.lower()
    for words, make in () if known else _BY_WORDS:
        if re.search(words, said):
            known = make
            break
    if known is not None:
        raise known()
    raise StorageFailed(f"Milvus refused a request (code {status.code or status.error_code}). {_LOGS}")
