"""A part of the conformance suite that nobody runs proves nothing."""

from __future__ import annotations

import importlib
import pkgutil

from vecstore import testing
from vecstore.testing import StoreSuite
from vecstore.testing.place import Places


def parts() -> set[type]:
    modules = [
        importlib.import_module(f"vecstore.testing.{each.name}") for each in pkgutil.iter_modules(testing.__path__)
    ]
    return {
        value
        for module in modules
        for name, value in vars(module).items()
        if name.endswith("Tests") and isinstance(value, type) and issubclass(value, Places)
    }


def test_every_part_is_in_the_suite() -> None:
    inside = {value for name, value in vars(StoreSuite).items() if name.startswith("Test")}
    assert inside == parts()
    assert len(inside) > 30


def test_every_part_has_tests_and_says_what_it_is_about() -> None:
    for part in parts():
        assert any(name.startswith("test_") for name in dir(part)), part
        assert part.__doc__, part
