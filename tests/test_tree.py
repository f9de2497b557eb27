"""The tracked tree holds what belongs to the project: known names at its top, and no large file by accident."""

from __future__ import annotations

import subprocess

import pytest

from tests.sources import ROOT

TOP_LEVEL = {
    ".ci", ".env.example", ".gitattributes", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md",
    "LICENSE", "Makefile", "README.md", "benchmarks", "constraints.txt", "docker-compose.yml", "docs", "examples",
    "migrations", "pyproject.toml", "servers", "tests", "vecstore",
}  # fmt: skip
MAX_BYTES = 1 << 20
GOLDEN = "tests/file/golden/"
"""Databases of earlier formats, kept to be read for ever. They may be larger."""


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path]


def test_the_top_level_names_are_known(tracked: list[str]) -> None:
    assert {path.partition("/")[0] for path in tracked} <= TOP_LEVEL


def test_no_tracked_file_is_large(tracked: list[str]) -> None:
    sizes = {path: (ROOT / path).stat().st_size for path in tracked if (ROOT / path).exists()}
    large = {path: size for path, size in sizes.items() if size > MAX_BYTES and not path.startswith(GOLDEN)}
    assert large == {}
