"""A part of the conformance suite that nobody runs proves nothing."""

from __future__ import annotations

import importlib
import pkgutil

from vecstore import testing
from vecstore.testing import StoreSuite
from vecstore.testing.place import Places
from vecstore.testing.secrecy import WHOLE, find_leaks


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


def test_an_id_that_happens_to_have_the_digits_of_a_secret_is_no_leak() -> None:
    assert find_leaks("t_46ef4711d1c283ab:index:5ecc76dd02c14e66b3783e074f228765:0") == []
    for shown in (f"{WHOLE}{10**20}", "8765432187654321", "a4711", "in 46ef4711d1c283ab5", "nightingale"):
        assert find_leaks(f"({shown})")
