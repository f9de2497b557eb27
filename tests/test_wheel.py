"""A built wheel, installed where nothing of this work tree is visible, works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.postgres import conftest
from tests.sources import ROOT

namespace = conftest.namespace
postgres_server = conftest.postgres_server
postgres_url = conftest.postgres_url

SHIPPED = {"vecstore": "vecstore", "migrations": "vecstore/migrations"}
"""Where each folder of code lies in the wheel."""

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

    def run(self, program: str, *arguments: str, folder: Path | None = None) -> str:
        command = [str(self.environment / "bin" / program), *arguments]
        # Away from the work tree, whose vecstore Python would find first.
        answer = subprocess.run(command, capture_output=True, text=True, cwd=folder or self.environment, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout


def build_wheel(folder: Path) -> Path:
    """Build from a copy: setuptools leaves files in its source that would slip into the next wheel."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
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
    modules = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in SHIPPED.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".lua"}
    }
    assert modules - names == set()
    assert "vecstore/migrations/versions/vs0001_stores.py" in names
    assert "vecstore/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_holds_nothing_else(installed: Installed) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(installed.wheel).namelist()}
    assert tops == {"vecstore", "vecstore_db-0.1.0.dist-info"}


def test_installed_package_works(installed: Installed) -> None:
    place = Path(installed.run("python", "-W", "error", "-c", PROGRAM).strip())
    assert place.is_relative_to(installed.environment)


def test_installed_command_works(installed: Installed) -> None:
    assert "search" in installed.run("vecstore", "--help")


def test_the_versions_of_the_command_the_module_and_the_metadata_agree(installed: Installed) -> None:
    version = installed.run("python", "-c", "import importlib.metadata as m; print(m.version('vecstore-db'))").strip()
    assert installed.run("vecstore", "--version").strip() == f"vecstore {version}"
    assert installed.run("python", "-c", "import vecstore; print(vecstore.__version__)").strip() == version


def test_no_text_advises_the_package_of_someone_else() -> None:
    """On the public index ``vecstore`` is another project's; ours is ``vecstore-db``."""
    advice = re.compile(r"pip3? install[^\n]*?[ '\"]vecstore(?![-\w./])|(?<![-\w.])vecstore\[[a-z]")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # golden files
            continue
        found += [f"{name}: {match[0]}" for match in advice.finditer(text)]
    assert found == []


def test_installed_migrations_work_from_any_directory(
    installed: Installed, postgres_url: str, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "migrations").mkdir()  # what a project of its own may have there
    for folder, step, left in ((Path("/"), ("upgrade",), "vs0004"), (tmp_path, ("downgrade", "vs0001"), "vs0001")):
        place = ("--url", postgres_url, "--namespace", namespace, "--json")
        answer = installed.run("vecstore", "migrate", *step, *place, folder=folder)
        assert json.loads(answer)["revision"] == left


def test_every_package_folder_has_its_init() -> None:
    folders = {path.parent for name in SHIPPED for path in (ROOT / name).rglob("*.py")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []
