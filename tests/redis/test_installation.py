from __future__ import annotations

import pytest

from servers import NoServer
from servers.redis.installation import format_source, prepare, select_main_uris
from servers.redis.programs import LIBRARY, Programs, find_programs

LINES = [
    "bookworm main https://mirror.example/debian/",
    "bookworm main https://mirror.example/debian/",
    "bookworm contrib https://mirror.example/debian/",
    "bookworm-updates main https://mirror.example/debian/",
    "bookworm-security main https://mirror.example/security/",
    "nodistro main https://vendor.example/",
]


def test_the_mirror_of_the_machine_is_used() -> None:
    assert select_main_uris(LINES, {"bookworm", "stable"}) == ["https://mirror.example/debian/"]
    assert select_main_uris(LINES, {"trixie"}) == []


def test_downloads_are_signed_by_debian() -> None:
    lines = format_source(["https://mirror.example/debian/"]).splitlines()
    assert "URIs: https://mirror.example/debian/" in lines
    assert any(line.startswith("Signed-By: /") for line in lines)


def test_a_second_run_downloads_nothing() -> None:
    assert prepare().startswith("Redis ")


def test_the_error_about_a_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = f"error while loading shared libraries: {LIBRARY}: cannot open shared object file"
    monkeypatch.setattr(Programs, "complaint", complaint)
    find_programs.cache_clear()
    with pytest.raises(NoServer, match="make redis"):
        find_programs()
    find_programs.cache_clear()
