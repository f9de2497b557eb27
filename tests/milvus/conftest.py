"""A client of the shared server, and collections, which are slow to make, for several tests each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from servers import NoServer
from vecstore.backends.milvus.client import MilvusClient
from vecstore.backends.milvus.options import parse_milvus_url

from .server import get_shared_url


@pytest.fixture(scope="session")
def milvus_url() -> str:
    """The URL of the shared server. Without one the tests fail, because a skip would hide that nothing was tested."""
    try:
        return get_shared_url()
    except NoServer as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def client(milvus_url: str) -> Iterator[MilvusClient]:
    opened = MilvusClient(parse_milvus_url(milvus_url))
    yield opened
    opened.close()


@pytest.fixture
def name() -> str:
    """A name of a collection that nobody has."""
    return f"t_{secrets.token_hex(8)}"
