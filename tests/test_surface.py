"""The public names and the signatures of backends, as lists that a change has to touch."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType

import pytest

import vecstore
from vecstore import errors
from vecstore.backend import Backend

BACKENDS = ["vecstore.backends.memory:MemoryBackend", "vecstore.backends.file.backend:FileBackend"]
CONTRACT = [name for name, _ in inspect.getmembers(Backend, inspect.isroutine) if not name.startswith("_")]


def public_names(module: ModuleType) -> list[str]:
    """List what a module defines or exports; submodules count only where the module lists them."""
    return sorted(
        name
        for name, value in ((name, getattr(module, name)) for name in dir(module))
        if not name.startswith("_")
        and name != "annotations"  # what a future import leaves behind
        and (not isinstance(value, ModuleType) or name in module.__all__)
    )


def implementation(path: str) -> type[Backend]:
    module, _, name = path.partition(":")
    loaded: type[Backend] = getattr(importlib.import_module(module), name)
    assert issubclass(loaded, Backend)
    return loaded


def test_all_is_sorted_and_complete() -> None:
    assert list(vecstore.__all__) == sorted(set(vecstore.__all__))
    assert public_names(vecstore) == list(vecstore.__all__)


def test_every_error_is_exported() -> None:
    assert sorted(set(errors.__all__) - set(vecstore.__all__)) == []
    defined = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert sorted(errors.__all__) == sorted(defined)
    assert all(getattr(vecstore, name) is getattr(errors, name) for name in errors.__all__)


def test_every_error_is_in_the_drawn_tree() -> None:
    assert errors.__doc__ is not None
    assert [name for name in errors.__all__ if name not in errors.__doc__.split()] == []


@pytest.mark.parametrize("method", CONTRACT)
@pytest.mark.parametrize("path", BACKENDS)
def test_backend_signatures_equal_the_contract(path: str, method: str) -> None:
    assert inspect.signature(getattr(implementation(path), method)) == inspect.signature(getattr(Backend, method))


@pytest.mark.parametrize("path", BACKENDS)
def test_backends_implement_everything(path: str) -> None:
    assert not inspect.isabstract(implementation(path))
