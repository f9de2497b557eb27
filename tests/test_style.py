"""The form of the code: sizes, names, signatures, and constructs that this project does without."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest

from tests.sources import Source, sources
from vecstore import VectorStore

FILE_LINES = 300
FUNCTION_LINES = 60
STORE_METHODS = 30
NAMELESS = {"common", "helper", "helpers", "misc", "util", "utils"}
SAME_ROLE = {"Catalogue", "Client", "FieldType", "Options", "Server", "Upkeep", "VecstoreVectorStore"}
"""Class names that backends, or adapters, share because the classes do the same job; other names have one meaning."""
UNSAFE_MODULES = {"dill", "joblib", "marshal", "pickle", "shelve"}

SHIPPED = list(sources("vecstore"))
ALL = [*SHIPPED, *sources("tests", "examples", "servers", "benchmarks")]


def name(source: Source) -> str:
    return source.name


def has_reason(text: str, lines: int) -> bool:
    return any(line.strip().startswith(f"# Longer than {lines} lines because") for line in text.splitlines())


def length(function: ast.FunctionDef) -> int:
    """Count a function's lines without its docstring, which may be as long as it is useful."""
    total = function.body[-1].end_lineno or 0
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    return total - function.lineno + 1 - (((first.end_lineno or 0) - first.lineno + 1) if documented else 0)


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef]:
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and child.name.startswith("_"):
            continue
        if isinstance(child, ast.ClassDef):
            yield from public_functions(child)
        if isinstance(child, ast.FunctionDef):
            yield child


def unsafe(node: ast.AST) -> str | None:
    """Name the construct that this node is and that shipped code may not use."""
    match node:
        case ast.Import(names=names) if UNSAFE_MODULES & {alias.name.partition(".")[0] for alias in names}:
            return "an import of stored code"
        case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in UNSAFE_MODULES:
            return "an import of stored code"
        case ast.Call(func=ast.Name(id="eval" | "exec")):
            return "eval or exec"
        case ast.keyword(arg="shell" | "allow_pickle", value=ast.Constant(value=True)):
            return f"{node.arg}=True"
        case ast.ExceptHandler(type=None):
            return "a bare except"
        case ast.ExceptHandler(type=ast.expr() as caught) if "Exception" in names_in(caught):
            return "except Exception"
        case ast.AsyncFunctionDef():
            return "async def"
    return None


ASYNC_INTERFACES = {
    "vecstore/integrations/haystack/retriever.py",
    "vecstore/integrations/haystack/store.py",
    "vecstore/integrations/llama_index/store.py",
}
"""The library is synchronous; frameworks ask for coroutines, which run the synchronous methods in a thread."""


def names_in(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("source", ALL, ids=name)
def test_files_are_short(source: Source) -> None:
    lines = len(source.text.splitlines())
    short = lines <= FILE_LINES or has_reason(source.text, FILE_LINES)
    assert short, f"{lines} lines"


@pytest.mark.parametrize("source", ALL, ids=name)
def test_functions_are_short(source: Source) -> None:
    long = [
        f"{node.name}, line {node.lineno}: {length(node)} lines"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef)
        and length(node) > FUNCTION_LINES
        and not has_reason(ast.get_source_segment(source.text, node) or "", FUNCTION_LINES)
    ]
    assert long == []


@pytest.mark.parametrize("source", ALL, ids=name)
def test_files_are_nouns(source: Source) -> None:
    assert not NAMELESS & set(source.module.split(".")[-1].strip("_").split("_"))


@pytest.mark.parametrize("source", SHIPPED, ids=name)
def test_public_functions_name_their_parameters(source: Source) -> None:
    open_ended = [function.name for function in public_functions(source.tree) if function.args.kwarg]
    assert open_ended == []


@pytest.mark.parametrize("source", [*SHIPPED, *sources("examples")], ids=name)
def test_banned_constructs(source: Source) -> None:
    found = [f"{what}, line {getattr(node, 'lineno', '?')}" for node in ast.walk(source.tree) if (what := unsafe(node))]
    if name(source) in ASYNC_INTERFACES:
        found = [each for each in found if not each.startswith("async def")]
    assert found == []


def test_a_class_name_has_one_meaning() -> None:
    places: dict[str, list[str]] = {}
    for source in SHIPPED:
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(source.name)
    doubled = {key: names for key, names in places.items() if len(names) > 1 and not is_one_role(key, names)}
    assert doubled == {}


def is_one_role(key: str, names: list[str]) -> bool:
    """Say whether a class name is one of those that each backend, or each adapter, may use once."""
    within = ("vecstore/backends/", "vecstore/integrations/")
    folders = [each.split("/")[2] for each in names if each.startswith(within)]
    return key in SAME_ROLE and len(set(folders)) == len(names)


def test_the_shared_class_names_are_shared() -> None:
    defined = [node.name for source in SHIPPED for node in source.tree.body if isinstance(node, ast.ClassDef)]
    assert {key for key in SAME_ROLE if defined.count(key) < 2} == set()


def test_vector_store_stays_small() -> None:
    methods = [key for key, _ in inspect.getmembers(VectorStore, inspect.isroutine) if not key.startswith("_")]
    assert len(methods) <= STORE_METHODS, methods


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "f(shell=True)",
        "np.load(p, allow_pickle=True)",
        "try: f()\nexcept: g()",
        "try: f()\nexcept Exception: g()",
        "try: f()\nexcept (OSError, Exception) as e: g()",
        "async def f(): ...",
    ],
)
def test_the_ban_sees_what_it_should(code: str) -> None:
    assert any(unsafe(node) for node in ast.walk(ast.parse(code)))
