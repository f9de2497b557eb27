"""Which URLs name a directory, and which parameters they may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.file.samples import connect_backend, make_busy_store, make_generation, make_rows, read_contents
from vecstore.backends.file.backend import FileBackend
from vecstore.errors import InvalidUrl


def test_the_place_itself_may_be_a_link(tmp_path: Path) -> None:
    store = make_busy_store(tmp_path / "kb")
    (tmp_path / "link").symlink_to(tmp_path / "kb")
    assert read_contents(connect_backend(tmp_path / "link"), store.active) == store.model


def test_odd_characters_in_the_path(tmp_path: Path) -> None:
    place = tmp_path / "ü ?#%41&x=y'\";--" / "kb"
    location = str(place).replace("%", "%25").replace("?", "%3F")
    backend = FileBackend.connect(location, {})
    active = backend.create("docs", make_generation()).active
    backend.write(active, make_rows(range(100), 1), insert=True)
    assert place.is_dir()
    assert FileBackend.connect(location, {}).count(active, None) == 100


def test_the_working_directory_may_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backend = FileBackend.connect("./kb", {})
    active = backend.create("docs", make_generation()).active
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert backend.write(active, make_rows([1], 1), insert=True) == 1
    assert (tmp_path / "kb" / "catalog.db").exists()


@pytest.mark.parametrize("location", ["", "//", "//host/kb", "//kb", "a%00b", "///"])
def test_urls_that_name_no_directory(location: str) -> None:
    if location == "///":
        assert not FileBackend.connect("///nonexistent-vecstore-place", {}).names()
        return
    with pytest.raises(InvalidUrl):
        FileBackend.connect(location, {})


@pytest.mark.parametrize(
    "name,value,message",
    [
        ("timout", "3", "Did you mean 'timeout'"),
        ("timeout", "soon", "timeout must be seconds"),
        ("timeout", "nan", "timeout must be seconds"),
        ("lock_timeout", "-1", "lock_timeout must be seconds"),
        ("mode", "r", "mode must be rw or ro"),
        ("index_min_rows", "0", "index_min_rows must be a whole number"),
        ("index_min_rows", "many", "index_min_rows must be a whole number"),
    ],
)
def test_parameters_are_checked(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidUrl, match=message):
        connect_backend(tmp_path, **{name: value})
