"""Ids of groups: no id is in two of them, whatever the keys are."""

from __future__ import annotations

import itertools
import random

import pytest

from vecstore.groups import choose_members, find_bounds, make_head, make_member, read_key, read_member

ALL_KEYS = ["".join(letters) for length in range(1, 6) for letters in itertools.product("#1a", repeat=length)]


def test_every_id_leads_back_to_its_key_and_number() -> None:
    seen: set[str] = set()
    for key in ALL_KEYS:
        for number in (0, 1, 9, 10, 11):
            id_ = make_member(make_head(key), number)
            assert id_ not in seen
            seen.add(id_)
            head, found = read_member(id_)
            assert (read_key(head), found) == (key, number)


def test_between_the_bounds_are_members_alone() -> None:
    ids = sorted(make_member(make_head(key), number) for key in ALL_KEYS for number in (0, 1, 10))
    for key in random.Random(7).sample(ALL_KEYS, 60):
        head = make_head(key)
        low, high = find_bounds(head)
        assert [id_ for id_ in ids if low <= id_ < high] == [make_member(head, 1), make_member(head, 10)]
        assert choose_members(ids, {head: 1}) == [head, make_member(head, 1), make_member(head, 10)]


@pytest.mark.parametrize("id_", ["#", "a#", "a#1b", "a###", "a#b"])
def test_other_ids_have_no_key(id_: str) -> None:
    with pytest.raises(ValueError, match="not that of a group"):
        read_key(read_member(id_)[0])
