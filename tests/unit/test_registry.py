from __future__ import annotations

from typing import Any

import pytest

import vecstore
from vecstore import InvalidUrl, Unsupported, registry
from vecstore.backends.memory import MemoryBackend


def test_a_url_names_a_backend() -> None:
    assert isinstance(registry.connect("memory:"), MemoryBackend)
    assert {"file", "memory"} <= set(registry.schemes())


def test_each_memory_is_a_new_one() -> None:
    one, two = vecstore.connect("memory:"), vecstore.connect("memory:")
    one.create("docs", vecstore.Schema(dim=1))
    assert (one.names(), two.names()) == (["docs"], [])


@pytest.mark.parametrize(
    "url, hint",
    [
        ("memroy:", "Did you mean 'memory'"),
        ("fil:./kb", "Did you mean 'file'"),
        ("kb", "write 'file:./directory'"),
        ("", "write 'file:./directory'"),
        (":memory:", "Known: file, memory"),
        ("MEMORY:", "Unknown database URL. Known: file, memory"),
        ("memory:name", "takes no name"),
        ("memory:?timeout=3", "takes no parameters"),
        ("file:./kb?tiemout=3", "Did you mean 'timeout'"),
        (
            "file:./kb?vectors=milvus://u:SECRET@h",
            r"^file: has no parameter 'vectors'\. Milvus follows stores of PostgreSQL",
        ),
        ("file:./kb?timeout=1&timeout=2", "'timeout' more than once"),
        ("file:./kb?timeout", "name=value"),
    ],
)
def test_what_is_no_url(url: str, hint: str) -> None:
    with pytest.raises(InvalidUrl, match=hint):
        vecstore.connect(url)


@pytest.mark.parametrize("url", [None, 3, b"memory:", ["memory:"]])
def test_a_database_is_a_url_or_an_engine(url: Any) -> None:
    with pytest.raises(InvalidUrl, match="is a URL"):
        vecstore.connect(url)


@pytest.mark.parametrize(
    "url",
    [
        "user:hunter2@host/db",
        "postgresqll://user:hunter2@host/db",
        "host/hunter2",
        "file:./kb?hunter=hunter2",
        "memory:?password=hunter2",
    ],
)
def test_a_message_shows_no_password(url: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        vecstore.connect(url)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_what_a_backend_does_not_have_is_refused() -> None:
    with pytest.raises(Unsupported, match="namespaces"):
        vecstore.connect("memory:", namespace="a")
    with pytest.raises(Unsupported, match="migrations"):
        vecstore.connect("memory:", migrate=True)


def test_third_parties_add_schemes_but_take_none_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def __init__(self, name: str, value: str) -> None:
            self.name, self.value = name, value

    target = "vecstore.backends.memory:MemoryBackend"
    points = [Point("mine", target), Point("file", target)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if group == "vecstore.backends" else [])
    assert isinstance(registry.connect("mine:"), MemoryBackend)
    assert registry.schemes()["file"] != target
