"""The pages for maintainers are true: what they name exists, and their lists are those of the code."""

from __future__ import annotations

import inspect
import io
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import vecstore
from tests.sources import ROOT, sources
from vecstore import Metric, backend, capabilities, embedders, errors, fields, index_options, registry
from vecstore.backends.file.options import Options
from vecstore.embedders.adapters import ADAPTERS

PAGES = sorted([ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
LISTED = [page for page in PAGES if page.name not in {"CHANGELOG.md"}]
GLOSSARY = ROOT / "docs" / "glossary.md"
BACKENDS = {"files": "file", "PostgreSQL": "postgres", "Redis": "redis"}
FIELD_TABLES = {"file": "file.state.fields", "postgres": "postgres.fields", "redis": "redis.fields"}
KINDS = sorted(cls.kind for cls in vars(fields).values() if inspect.isclass(cls) and hasattr(cls, "kind"))


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(page), re.DOTALL | re.MULTILINE)


def loaded(module: str) -> Any:
    return import_module(f"vecstore.backends.{module}")


@pytest.mark.parametrize("page", LISTED, ids=name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    content = page.read_text("utf-8")
    linked = [page.parent / target for target in re.findall(r"\]\(([\w/.-]+?)(?:#[\w-]+)?\)", content)]
    quoted = [
        ROOT / path
        for path in re.findall(r"`((?:tests|docs|vecstore|examples|benchmarks|migrations)/[\w/.-]+)`", content)
    ]
    missing = [str(path) for path in [*linked, *quoted] if not path.exists()]
    assert missing == []


@pytest.mark.parametrize("page", LISTED, ids=name)
def test_every_heading_that_a_page_links_to_exists(page: Path) -> None:
    content = page.read_text("utf-8")
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", content, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", content)) <= headings


def test_the_index_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/.-]+)\)", text("docs/README.md")))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= linked
    assert {"../ARCHITECTURE.md", "../CONTRIBUTING.md", "../CHANGELOG.md"} <= linked


@pytest.mark.parametrize("page", ["docs/files.md"])
def test_examples_run(tmp_path: Path, page: str) -> None:
    for block in blocks(page, "python"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


GUIDES = [
    "docs/alembic.md",
    "docs/web-applications.md",
    "docs/bulk.md",
    "docs/dataframes.md",
    "docs/embedders.md",
    "docs/evaluation.md",
    "docs/exports.md",
    "docs/changing-a-store.md",
    "docs/coming-over.md",
    "docs/filters.md",
    "docs/langchain.md",
    "docs/reading-and-loading.md",
    "docs/haystack.md",
    "docs/llama-index.md",
    "docs/mcp.md",
    "docs/orm.md",
    "docs/swap.md",
]


@pytest.mark.parametrize("page", GUIDES)
def test_the_examples_of_a_guide_run_one_after_another(tmp_path: Path, page: str) -> None:
    """A guide is one program, which its text interrupts."""
    program = "\n".join(blocks(page, "python"))
    # Haystack reports its use unless this says no.
    environment = os.environ | {"HAYSTACK_TELEMETRY_ENABLED": "False"}
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_examples_about_backends_run() -> None:
    for block in re.findall(
        r"^( *)```python\n(.*?)^ *```$", text("docs/writing-a-backend.md"), re.DOTALL | re.MULTILINE
    ):
        lines = "\n".join(line.removeprefix(block[0]) for line in block[1].splitlines())
        subprocess.run([sys.executable, "-W", "error", "-c", lines], cwd=ROOT, check=True, capture_output=True)


def test_the_page_about_files_has_every_parameter() -> None:
    named = set(re.findall(r"^\| `(\w+)` \| ", text("docs/files.md"), re.MULTILINE))
    assert named == {"mode" if each == "read_only" else each for each in Options.__dataclass_fields__}


# -- architecture


def jobs() -> list[tuple[str, str]]:
    """Return the pairs of backend and file in the table of jobs."""
    table = text("ARCHITECTURE.md").partition("## The same job, the same file")[2]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return [
        (BACKENDS[column], cell.strip("`"))
        for row in rows
        for column, cell in zip(head, row, strict=True)
        if column in BACKENDS and cell
    ]


def test_the_same_job_has_the_same_file_name() -> None:
    found = jobs()
    assert len(found) > 30
    missing = [each for each in found if not (ROOT / "vecstore" / "backends" / each[0] / each[1]).exists()]
    assert missing == []


def test_the_table_of_jobs_is_complete() -> None:
    """Whatever file name two backends share at their top, the table has it."""
    named = {Path(file).name for _, file in jobs()}
    tops = [{path.name for path in (ROOT / "vecstore" / "backends" / each).glob("*.py")} for each in BACKENDS.values()]
    shared = {file for first in tops for second in tops if first is not second for file in first & second}
    assert shared - {"__init__.py"} <= named


# -- checklists


def checklist(what: str) -> set[str]:
    marked = text("CONTRIBUTING.md").partition(f"<!-- checklist: {what} -->\n")[2].partition("\n\n")[0]
    return set(re.findall(r"`([\w.-]+(?:/[\w.-]*)+|\w+\.(?:toml|md))`", marked))


@pytest.mark.parametrize("what", ["backend", "metric", "field", "embedder", "index", "importer"])
def test_a_checklist_names_files_that_exist(what: str) -> None:
    listed = checklist(what)
    assert len(listed) >= 5
    assert [path for path in listed if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("folder", FIELD_TABLES)
def test_every_field_kind_is_in_the_table_of_each_backend(folder: str) -> None:
    module = FIELD_TABLES[folder]
    assert f"vecstore/backends/{module.replace('.', '/')}.py" in checklist("field")
    assert sorted(loaded(module).FIELDS) == KINDS


@pytest.mark.parametrize("folder", BACKENDS.values())
def test_every_metric_is_in_the_table_of_each_backend(folder: str) -> None:
    assert f"vecstore/backends/{folder}/metrics.py" in checklist("metric")
    assert set(loaded(f"{folder}.metrics").METRICS) == set(Metric)


def test_every_index_kind_is_offered_by_each_backend() -> None:
    everywhere = set(index_options._KINDS) - {index_options.MilvusIndex.kind}
    for target in set(registry.schemes().values()):
        module, _, cls = target.partition(":")
        assert set(getattr(import_module(module), cls).capabilities.indexes) == everywhere, target


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_embedder_has_its_file_extra_and_test(adapter: str) -> None:
    module, cls = ADAPTERS[adapter]
    assert (ROOT / "vecstore" / "embedders" / f"{module}.py").exists()
    assert embedders._MODULES[cls] == module
    assert adapter in tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    assert any(cls in path.read_text("utf-8") for path in (ROOT / "tests").glob("test_embedder_*.py"))


# -- glossary


def words(part: str) -> list[str]:
    listed = text("docs/glossary.md").partition(f"<!-- {part} -->\n")[2].partition("\n\n")[0]
    lines = listed.splitlines()
    assert [line for line in lines if not re.match(r"\* \*\*[^*]+\*\*: .*[.]$", line)] == []
    return [line[4:].partition("**")[0] for line in lines]


@pytest.mark.parametrize("part", ["words", "errors"])
def test_the_glossary_is_alphabetical(part: str) -> None:
    plain = [word.strip("`").lower() for word in words(part)]
    assert plain == sorted(set(plain))


def test_the_glossary_has_every_public_name_and_every_class_of_the_contract() -> None:
    modules = {backend.__name__, capabilities.__name__}
    contract = {key for key, value in vars(backend).items() if inspect.isclass(value) and value.__module__ in modules}
    quoted = {word.strip("`") for part in ("words", "errors") for word in words(part) if word.startswith("`")}
    assert quoted - {"Embedder"} == {*vecstore.__all__, *contract}
    assert {word.strip("`") for word in words("errors")} == set(errors.__all__)
    assert "Embedder" in embedders.__all__


def test_the_glossary_has_every_field_type() -> None:
    [line] = [each for each in text("docs/glossary.md").splitlines() if each.startswith("* **`fields`**")]
    assert all(cls.__name__ in line for cls in vars(fields).values() if inspect.isclass(cls) and hasattr(cls, "kind"))


# -- decisions


def test_decisions_are_numbered_dated_and_have_a_consequence() -> None:
    content = text("docs/decisions.md")
    entries = re.split(r"^\*\*(?=D\d+\. )", content, flags=re.MULTILINE)[1:]
    numbers = [int(re.match(r"D(\d+)", entry)[1]) for entry in entries]  # type: ignore[index]
    assert len(numbers) > 70
    assert len(set(numbers)) == len(numbers)
    bare = [
        number
        for number, entry in zip(numbers, entries, strict=True)
        if not re.search(r"\(20\d\d-\d\d-\d\d\)$", entry, re.MULTILINE) or entry.count("*Consequence: ") != 1
    ]
    assert bare == []
    referred = {int(number) for number in re.findall(r"\bD(\d+)\b", content)}
    assert referred <= set(numbers)


# -- docstrings and comments


def identifiers() -> set[str]:
    """Return every name that is used in the package, and the names of its files and folders."""
    found: set[str] = set()
    for source in sources("vecstore"):
        found.update(source.path.relative_to(ROOT).with_suffix("").parts)
        tokens = tokenize.generate_tokens(io.StringIO(source.text).readline)
        found.update(token.string for token in tokens if token.type == tokenize.NAME)
    return found


def test_every_name_that_the_code_quotes_exists() -> None:
    known = identifiers()
    stale = [
        f"{source.name}: {quoted}"
        for source in sources("vecstore")
        for quoted in re.findall(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)", source.text)
        if not set(quoted.split(".")) <= known
    ]
    assert stale == []
