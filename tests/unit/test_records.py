from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
import pytest

from vecstore import Hit, Hits, InvalidArgument, InvalidId, Record
from vecstore.ids import check_id, check_ids


class Colour(str, Enum):  # noqa: UP042 - str() of it is not what it holds
    RED = "red"


def test_records_are_equal_by_value() -> None:
    one = Record("a", [1.0, 2.0], "text", {"x": 1})
    assert one == Record("a", np.array([1.0, 2.0], np.float32), "text", {"x": 1})
    for other in (
        Record("b", [1.0, 2.0], "text", {"x": 1}),
        Record("a", [1.0, 3.0], "text", {"x": 1}),
        Record("a", None, "text", {"x": 1}),
        Record("a", [1.0, 2.0], None, {"x": 1}),
        Record("a", [1.0, 2.0], "text", {"x": 2}),
        "a",
    ):
        assert one != other
    with pytest.raises(TypeError):
        hash(one)


def test_representations_hold_no_contents() -> None:
    record = Record("a'\n", [0.125], "secret", {"secret": "secret"})
    hit = Hit("a", 0.5, 0.5, "secret", {"secret": "secret"}, np.array([0.125]))
    shown = f"{record!r} {hit!r} {Hits([hit] * 9, exact=True, complete=False)!r}"
    assert "secret" not in shown
    assert "0.125" not in shown
    assert "\n" not in shown
    assert "0.5000" in shown
    assert "exact=True complete=False" in shown


def test_hits_are_a_sequence() -> None:
    listed = [Hit(f"{number}", -number, number) for number in range(7)]
    hits = Hits(iter(listed), exact=False, complete=True)
    assert isinstance(hits, Sequence)
    assert (len(hits), hits[0], hits[-1], hits[2:4]) == (7, listed[0], listed[-1], tuple(listed[2:4]))
    assert list(hits) == listed
    assert list(reversed(hits)) == listed[::-1]
    assert not Hits((), exact=True, complete=True)


@pytest.mark.parametrize("id_", ["a", "a" * 512, "é" * 256, "\U0001f600" * 128, " ", "../..", "\x01"])
def test_ids(id_: str) -> None:
    assert check_id(id_) == id_


def test_an_id_is_what_a_string_holds_not_what_it_prints() -> None:
    assert (type(check_id(Colour.RED)), check_id(Colour.RED)) == (str, "red")
    assert check_id(np.str_("a")) == "a"


@pytest.mark.parametrize(
    "wrong, reason",
    [
        ("", "is empty"),
        ("a" * 513, "513 bytes"),
        ("é" * 257, "514 bytes"),
        ("a\0", "NUL"),
        ("a\udc80", "surrogate"),
        (b"a", "not bytes"),
        (1, "not int"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_id(wrong: Any, reason: str) -> None:
    with pytest.raises(InvalidId, match=reason) as caught:
        check_id(wrong)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 300


def test_ids_are_listed() -> None:
    assert check_ids(id_ for id_ in "ab") == ["a", "b"]
    assert check_ids(()) == []
    for wrong in ("ab", b"ab", None, 3):
        with pytest.raises(InvalidArgument, match="list of ids"):
            check_ids(wrong)
    with pytest.raises(InvalidId):
        check_ids(["a", ""])
