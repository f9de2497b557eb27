"""Where the vectors of an application are, if they are not in its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postgres.stores import add_parameters, prepare_namespace
from tests.redis.places import add_parameters as add_redis_parameters

KINDS = ("file", "postgres", "redis")


def make_url(kind: str, request: pytest.FixtureRequest, folder: Path, namespace: str) -> str:
    """Return the URL of an empty Database of a kind, on a server of the tests if it needs one."""
    if kind == "file":
        return f"file:{folder / 'kb'}"
    if kind == "redis":
        url: str = add_redis_parameters(request.getfixturevalue("redis_server"), namespace=namespace)
        return url
    url = request.getfixturevalue("postgres_url")
    prepare_namespace(url, f"{namespace}_store")
    return add_parameters(url, f"{namespace}_store")
