"""The docstrings of the installed interpreter's standard library.

Python source is parsed and not imported, so none of it runs. Modules written in C are imported from a list of harmless
ones. Objects have the names that they are documented under: ``asyncio.gather``, not ``asyncio.tasks.gather``.
"""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BUILT_IN = (
    "array", "binascii", "builtins", "cmath", "collections", "datetime", "decimal", "errno", "fcntl", "functools", "gc",
    "io", "itertools", "math", "mmap", "operator", "os", "random", "resource", "select", "signal", "socket", "sqlite3",
    "ssl", "struct", "sys", "threading", "time", "unicodedata", "weakref", "zlib",
)  # fmt: skip
LEFT_OUT = {
    "__pycache__", "antigravity", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3", "ntpath", "nturl2path",
    "pydoc_data", "test", "tests", "this", "turtledemo",
}  # fmt: skip
RENAMED = {"_collections_abc": "collections.abc", "posixpath": "os.path"}
SHORTEST, LONGEST = 20, 1_000  # characters of a summary

Parsed = dict[str, ast.Module]
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Entry:
    """A documented object.

    Attributes
    ----------
    name : str
        The full name: ``itertools.groupby``.
    signature : str
        The call: ``itertools.groupby(iterable, key=None)``.
    module : str
    kind : {"module", "class", "method", "function"}
    summary : str
        The first paragraph of its docstring.
    """

    name: str
    signature: str
    module: str
    kind: str
    summary: str


def read_standard_library() -> list[Entry]:
    """Return everything public that has a docstring, each name once."""
    found: dict[str, Entry] = {}
    gc.disable()  # repeated passes over millions of syntax nodes would take longer than parsing
    modules = _parse_modules(Path(sysconfig.get_path("stdlib")))
    public = _find_public_names(modules)
    for module, tree in modules.items():
        for entry in _read_source(module, tree, public):
            found.setdefault(entry.name, entry)
    for name in BUILT_IN:
        for entry in _read_module(name):
            found.setdefault(entry.name, entry)
    gc.enable()
    return list(found.values())


def _parse_modules(root: Path) -> Parsed:
    modules: Parsed = {}
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(each for each in subfolders if each not in LEFT_OUT and each.isidentifier())
        for file in sorted(files):
            stem, ending = os.path.splitext(file)
            if ending == ".py" and stem not in LEFT_OUT:
                parts = (Path(folder) / stem).relative_to(root).parts
                name = ".".join(part for part in parts if part != "__init__")
                modules.setdefault(RENAMED.get(name, name), ast.parse(Path(folder, file).read_bytes()))
    return modules


def _find_public_names(modules: Parsed) -> dict[str, str]:
    """Map the names of definitions to the public names under which other modules export them."""
    public: dict[str, str] = {}
    for module, tree in modules.items():
        if _is_private(module):
            continue
        for node in _iterate_statements(tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            source = f"{module}.{node.module}" if node.level == 1 else node.module or ""
            if source not in modules or not (source.startswith((f"{module}.", "_"))):
                continue
            names = {alias.name for alias in node.names}
            if source.startswith("_") and "*" not in names:
                names &= _find_exported(tree)
            for name in _find_exported(modules[source]) if "*" in names else names:
                public.setdefault(f"{source}.{name}", f"{module}.{name}")
    return public


def _iterate_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Iterate over a module's statements, including those in ``try``, where C versions are imported."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.Try):
            yield from node.body
            for handler in node.handlers:
                yield from handler.body


def _find_exported(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
            return {each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)}  # type: ignore[misc]
    return {node.name for node in tree.body if isinstance(node, Definition) and not node.name.startswith("_")}


def _read_source(module: str, tree: ast.Module, public: dict[str, str]) -> Iterator[Entry]:
    if not _is_private(module):
        yield from _make_entry(module, module, module, "module", ast.get_docstring(tree))
    for node in tree.body:
        name = public.get(f"{module}.{getattr(node, 'name', '')}", f"{module}.{getattr(node, 'name', '')}")
        if not isinstance(node, Definition) or _is_private(name):
            continue
        home, doc = name.rpartition(".")[0], ast.get_docstring(node)
        if not isinstance(node, ast.ClassDef):
            yield from _make_entry(name, name + _format_arguments(node), home, "function", doc)
            continue
        methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        init = next((each for each in methods if each.name == "__init__"), None)
        yield from _make_entry(name, name + (_format_arguments(init, method=True) if init else ""), home, "class", doc)
        for method in methods:
            if not method.name.startswith("_"):
                full = f"{name}.{method.name}"
                signature = full + _format_arguments(method, method=True)
                yield from _make_entry(full, signature, home, "method", ast.get_docstring(method))


def _format_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef, *, method: bool = False) -> str:
    arguments = node.args
    first = arguments.posonlyargs or arguments.args
    if method and first and first[0].arg in {"self", "cls"}:
        del first[0]
    for each in ast.walk(arguments):
        if isinstance(each, ast.arg):
            each.annotation = None
    arguments.posonlyargs, arguments.args = [], arguments.posonlyargs + arguments.args
    return f"({ast.unparse(arguments)})"


def _read_module(name: str) -> Iterator[Entry]:
    try:
        module = importlib.import_module(name)
    except ImportError:  # this interpreter was built without it
        return
    yield from _make_entry(name, name, name, "module", module.__doc__)
    for key, value in list(vars(module).items()):
        home = getattr(value, "__module__", None) or name
        if key.startswith("_") or home.strip("_") not in {name, "posix"}:
            continue
        full = key if name == "builtins" else f"{name}.{key}"
        if inspect.isbuiltin(value):
            yield from _make_entry(full, full + _format_signature(value), name, "function", value.__doc__)
        elif inspect.isclass(value):
            yield from _make_entry(full, full + _format_signature(value), name, "class", value.__doc__)
            for method, function in vars(value).items():
                if inspect.ismethoddescriptor(function) and not method.startswith("_"):
                    title = f"{full}.{method}"
                    yield from _make_entry(title, title + _format_signature(function), name, "method", function.__doc__)


def _format_signature(value: object) -> str:
    try:
        shown = str(inspect.signature(value))  # type: ignore[arg-type]
    except (AttributeError, NameError, TypeError, ValueError):  # no signature, or defaults without a representation
        return ""
    return re.sub(r"^\((?:\$?self|type)(?:, )?", "(", shown.replace(", /", "").replace("/, ", ""))


def _make_entry(name: str, signature: str, module: str, kind: str, doc: str | None) -> Iterator[Entry]:
    """Yield an entry if there is documentation."""
    summary = inspect.cleandoc(doc or "").replace("\0", "").partition("\n\n")[0][:LONGEST]
    if len(summary) >= SHORTEST:
        yield Entry(name, signature, module, kind, summary)


def _is_private(name: str) -> bool:
    return any(part.startswith("_") for part in name.split("."))
