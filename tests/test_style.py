"""The form of the code: sizes, names, signatures, and constructs that this project does without."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.sources import Source, reading, sources
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


@pytest.fixture(scope="module", autouse=True)
def no_search_for_garbage() -> Iterator[None]:
    with reading(ALL):
        yield


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


def find_broken(rule: Callable[[Source], list[str]], checked: Iterable[Source] = ALL) -> list[str]:
    """Return what a rule says of each file, with the file's name: one test a rule, not one a file and rule."""
    return [f"{source.name}: {what}" for source in checked for what in rule(source)]


ASYNC_INTERFACES = {
    "examples/notes/app.py",
    "examples/notes/guard.py",
    "vecstore/integrations/haystack/retriever.py",
    "vecstore/integrations/haystack/store.py",
    "vecstore/integrations/llama_index/store.py",
}
"""The library is synchronous; frameworks ask for coroutines, which run the synchronous methods in a thread."""


def names_in(expression: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def test_files_are_short() -> None:
    def find(source: Source) -> list[str]:
        lines = len(source.text.splitlines())
        return [f"{lines} lines"] if lines > FILE_LINES and not has_reason(source.text, FILE_LINES) else []

    assert find_broken(find) == []


def test_functions_are_short() -> None:
    def find(source: Source) -> list[str]:
        return [
            f"{node.name}, line {node.lineno}: {length(node)} lines"
            for node in ast.walk(source.tree)
            if isinstance(node, ast.FunctionDef)
            and length(node) > FUNCTION_LINES
            and not has_reason(ast.get_source_segment(source.text, node) or "", FUNCTION_LINES)
        ]

    assert find_broken(find) == []


def test_files_are_nouns() -> None:
    assert find_broken(lambda source: sorted(NAMELESS & set(source.module.split(".")[-1].strip("_").split("_")))) == []


def test_public_functions_name_their_parameters() -> None:
    def find(source: Source) -> list[str]:
        return [function.name for function in public_functions(source.tree) if function.args.kwarg]

    assert find_broken(find, SHIPPED) == []


def test_banned_constructs() -> None:
    def find(source: Source) -> list[str]:
        found = [
            f"{what}, line {getattr(node, 'lineno', '?')}" for node in ast.walk(source.tree) if (what := unsafe(node))
        ]
        allowed = source.name in ASYNC_INTERFACES
        return [each for each in found if not (allowed and each.startswith("async def"))]

    assert find_broken(find, [*SHIPPED, *sources("examples")]) == []


def test_the_rules_are_asked_of_every_file() -> None:
    assert len(ALL) > 800
    assert find_broken(lambda source: [source.module], SHIPPED[:2]) == [f"{s.name}: {s.module}" for s in SHIPPED[:2]]


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
