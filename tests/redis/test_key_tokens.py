"""Tokens of undeclared metadata: a condition has a record's token exactly if the definition says that it matches."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vecstore import F, Schema
from vecstore.backends.redis.key_tokens import list_operand_tokens, list_tokens
from vecstore.filters.binding import bind
from vecstore.filters.matching import matches
from vecstore.filters.nodes import CompareKey

DYNAMIC = Schema(dim=2, dynamic=True)
KEYS = st.sampled_from(["a", "b", "exists", "value", "a,b"])
SCALARS = st.sampled_from([0, -0.0, 1, 1.0, True, False, "1", "a", "exists", 2**53, 2**53 + 1, 10**400, ""])
VALUES = st.recursive(
    SCALARS | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=2)
)
OPERANDS = SCALARS | st.lists(SCALARS, max_size=2)


@given(st.dictionaries(KEYS, VALUES, max_size=3), st.lists(KEYS, min_size=1, max_size=2), OPERANDS)
def test_a_token_is_there_exactly_if_the_condition_matches(metadata: Any, path: list[str], operand: Any) -> None:
    extra = json.dumps({key: value for key, value in metadata.items() if value is not None})
    found = list_tokens(extra)
    key = F.path(*path)
    conditions = [key == operand, key.exists(), key.in_([operand, "other"])]
    if not isinstance(operand, list):
        conditions.append(key.contains(operand))
    for condition in conditions:
        bound = bind(condition, DYNAMIC)
        assert isinstance(bound, CompareKey)
        tokens = list_operand_tokens(bound)
        assert any(each in found for each in tokens) == matches(bound, "x", {}, extra)


@given(st.dictionaries(st.text(max_size=5).filter(str.isprintable), VALUES, max_size=4))
def test_a_token_is_plain_whatever_the_metadata(metadata: Any) -> None:
    for token in list_tokens(json.dumps(metadata)):
        assert re.fullmatch(r"[0-9a-f]{32}", token)
