"""Groups: several records that belong to one key of an application, such as the parts of a long text.

The records of a group are replaced together, see `Backend.write_groups`. Which ones they are is told by their ids
alone, so that no backend keeps a list of them:

* The *head* is the first record of a group. Its id is the key, in which each ``#`` is doubled.
* The other members have ``#`` and a number after the id of the head, from 1 on.

So every run of ``#`` in a head has an even length, and the last one in the id of another member, which digits alone
follow, an odd one: no id is a member of two groups, whatever the keys are. All members but the head lie between two
bounds in the order of ids, and nothing of another group does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_MARK = "#"
_MEMBER = re.compile(r"(.*?(?<!#)(?:##)*)#([1-9][0-9]*)", re.DOTALL)


def make_head(key: str) -> str:
    """Return the id of the first record of a key's group."""
    return key.replace(_MARK, _MARK * 2)


def make_member(head: str, number: int) -> str:
    """Return the id of a record of a group by its number, which is 0 for the head."""
    return f"{head}{_MARK}{number}" if number else head


def find_bounds(head: str) -> tuple[str, str]:
    """Return two strings: the ids of the members but the head are at least the first one and below the second one."""
    return f"{head}{_MARK}0", f"{head}{_MARK}:"  # the colon follows the digits


def read_member(id_: str) -> tuple[str, int]:
    """Return the head of the group that has a record, and the record's number in it."""
    found = _MEMBER.fullmatch(id_)
    return (id_, 0) if found is None else (found[1], int(found[2]))


def read_key(head: str) -> str:
    """Return the key of a group.

    Raises
    ------
    ValueError
        There is none: the id is not one that `make_head` makes.
    """
    key = head.replace(_MARK * 2, _MARK)
    if make_head(key) != head:
        raise ValueError("the id is not that of a group")
    return key


def choose_members(ids: Iterable[str], heads: Mapping[str, object]) -> list[str]:
    """Return those ids that are members of some groups."""
    return [id_ for id_ in ids if read_member(id_)[0] in heads]
