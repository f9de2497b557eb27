"""A built wheel, installed where nothing of this work tree is visible, works."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sources import ROOT

PROGRAM = """
import vecstore
from vecstore import F, Record, Schema, fields

docs = vecstore.connect("memory:").create(
    "articles", Schema(dim=3, metric="cosine", fields={"lang": fields.Keyword(), "year": fields.Int()})
)
written = docs.upsert([
    Record("a", [1, 0, 0], "first", {"lang": "en", "year": 2024, "author": "x"}),
    Record("b", [0, 1, 0], "second", {"lang": "de", "year": 2019}),
    Record("c", [1, 1, 0], "third", {"lang": "en", "year": 2021}),
])
assert written == 3
hits = docs.search([1, 0.1, 0], k=2, where=(F.lang == "en") & (F.year >= 2020))
assert [hit.id for hit in hits] == ["a", "c"]
assert hits[0].text == "first" and hits[0].metadata == {"lang": "en", "year": 2024, "author": "x"}
print(vecstore.__file__)
"""


@dataclass(frozen=True)
class Installed:
    wheel: Path
    environment: Path

    def run(self, program: str, *arguments: str) -> str:
        command = [str(self.environment / "bin" / program), *arguments]
        # Away from the work tree, whose vecstore Python would find first.
        answer = subprocess.run(command, capture_output=True, text=True, cwd=self.environment, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout


def build_wheel(folder: Path) -> Path:
    """Build from a copy: setuptools leaves files in its source that would slip into the next wheel."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "vecstore", source / "vecstore", ignore=shutil.ignore_patterns("__pycache__"))
    pip(sys.executable, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def pip(python: str, *arguments: str) -> None:
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def empty_environment(folder: Path) -> Path:
    """Make an environment that sees this one's libraries, but not its editable vecstore.

    A path in a .pth file is searched last and its own .pth files, among them that of the editable install,
    are not read. So the tests need no network, and the vecstore found is the wheel's.
    """
    venv.create(folder, with_pip=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text("\n".join(sorted(libraries)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    wheel = build_wheel(folder)
    environment = empty_environment(folder / "environment")
    pip(str(environment / "bin" / "python"), "install", "--no-index", "--no-deps", str(wheel))
    return Installed(wheel, environment)


def test_wheel_holds_the_whole_package(installed: Installed) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "vecstore").rglob("*.py")}
    assert modules - names == set()
    assert "vecstore/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_holds_nothing_else(installed: Installed) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(installed.wheel).namelist()}
    assert tops == {"vecstore", "vecstore-0.1.0.dist-info"}


def test_installed_package_works(installed: Installed) -> None:
    place = Path(installed.run("python", "-W", "error", "-c", PROGRAM).strip())
    assert place.is_relative_to(installed.environment)


def test_installed_command_works(installed: Installed) -> None:
    assert "search" in installed.run("vecstore", "--help")


def test_every_package_folder_has_its_init() -> None:
    folders = {path.parent for path in (ROOT / "vecstore").rglob("*.py")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []
