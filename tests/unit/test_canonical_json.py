"""Equal values of undeclared metadata have one spelling, and others do not share it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecstore.filters.canonical_json import encode_member, encode_value, make_canonical
from vecstore.filters.key_values import KeyValue, read_value

SCALARS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)


@pytest.mark.parametrize(
    "spelled, canonical",
    [
        ('{"a":1}', '{"a":1.0}'),
        ('{"a":-0.0}', '{"a":0.0}'),
        ('{"a":9007199254740993}', '{"a":9007199254740992.0}'),
        (json.dumps({"a": 10**400}), '{"a":1.7976931348623157e+308}'),
        ('{"a":true,"b":"1"}', '{"a":true,"b":"1"}'),
        ('{"a":{"b":null,"c":[null,{"d":null}]}}', '{"a":{"c":[null,{}]}}'),
        ("{}", "{}"),
    ],
)
def test_a_value_has_one_spelling(spelled: str, canonical: str) -> None:
    assert make_canonical(spelled) == canonical


@given(SCALARS | st.lists(SCALARS, max_size=3), SCALARS | st.lists(SCALARS, max_size=3))
def test_equal_values_and_no_others_are_spelled_equally(one: object, other: object) -> None:
    first, second = read_value(one), read_value(other)
    assert (encode_value(first) == encode_value(second)) == (first == second)
    assert make_canonical(json.dumps({"k": one})) == encode_member(("k",), first)


def test_a_path_becomes_objects() -> None:
    number = KeyValue("number", 1.0)
    assert encode_member(("a", '"b"'), number) == '{"a":{"\\"b\\"":1.0}}'
    assert encode_member(("a",), number, KeyValue("str", "x"), listed=True) == '{"a":[1.0,"x"]}'
