from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecstore.backends.redis.fields import FIELDS, decode_token, encode_token, encode_tokens

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
WHOLE = st.integers(-(2**53), 2**53)


@given(TEXTS)
def test_a_token_is_plain_and_is_read_back(text: str) -> None:
    assert re.fullmatch(r"[ph][a-z0-9]*", encode_token(text))
    assert decode_token(encode_token(text).encode()) == text


@given(TEXTS, TEXTS)
def test_two_strings_never_share_a_token(one: str, other: str) -> None:
    assert (encode_token(one) == encode_token(other)) == (one == other)


@pytest.mark.parametrize("text", ["a,b", " a", "a ", "A", "é", "", "{x}", "a|b", "*", "-a", "ä" * 512])
def test_text_that_the_engine_would_change_is_encoded_in_hex(text: str) -> None:
    assert encode_token(text) == "h" + text.encode().hex()
    assert len(encode_token(text)) < 4_096


@given(st.lists(TEXTS | st.sampled_from(["en", "de7", ""]), max_size=6))
def test_many_tokens_at_once_equal_single_ones(texts: list[str]) -> None:
    assert encode_tokens(texts) == [encode_token(text) for text in texts]


def test_simple_text_stays_readable() -> None:
    assert encode_token("games2") == "pgames2"


@given(st.lists(TEXTS, max_size=5).map(tuple))
def test_lists_keep_order_duplicates_and_emptiness(values: tuple[str, ...]) -> None:
    of_lists = FIELDS["keywords"]
    assert of_lists.read(str(of_lists.write(values)).encode()) == values


@given(NUMBERS, WHOLE, st.booleans())
def test_numbers_and_bools_are_read_back(number: float, whole: int, yes: bool) -> None:  # noqa: FBT001
    for kind, value in (("float", number), ("int", whole), ("datetime", whole), ("bool", yes)):
        found = FIELDS[kind].read(str(FIELDS[kind].write(value)).encode())
        assert (found, type(found)) == (value, type(value))
