"""The Lua scripts that the server runs, each of them one atomic step.

A file beside this one is a script and has its name; ``parts`` holds what several scripts share, which a line
``--#include NAME`` puts in its place. The text of a script never depends on values: names and values are arguments.

The scripts about one generation, which `GenerationGuard.run` calls, begin with ``parts/gate.lua``. Their keys:

1. the generation's hash,
2. its ids,
3. the ids of its tombstones,
4. the versions of its tombstones,
5. its change list,
6. the lease of a switch.

Their arguments: the key prefix of records, ``0`` for the active generation or ``1`` for a standby, the index that the
caller takes for the present one or an empty word, then those that each script describes. A list is its length and its
items. Their answers begin with a word:

- ``ok``
- ``gone``: the generation has another role.
- ``moved``: it has another index.
- ``locked``: a switch holds writes up; its token follows.
- ``many``: more records match than one step may change.
- ``again``: a record has changed since it was read.
- ``taken``: ids exist that an insert may not replace; they follow.
- ``failed``: an error of the server; its message follows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

INCLUDE = "--#include "


@dataclass(frozen=True)
class Script:
    """One script, which is read when it is first used.

    Attributes
    ----------
    name : str
        The name of its file.
    writes : bool
        Whether it changes keys.
    """

    name: str
    writes: bool = False

    @cached_property
    def text(self) -> str:
        """The script with its parts."""
        return _read_text(f"{self.name}.lua")

    @cached_property
    def sha(self) -> str:
        """The digest by which the server knows it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _read_text(path: str) -> str:
    lines = resources.files(__name__).joinpath(path).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(
        _read_text(f"parts/{line.removeprefix(INCLUDE).strip()}.lua") if line.startswith(INCLUDE) else line
        for line in lines
    )


CHANGES = Script("changes", writes=True)
COUNT = Script("count")
DELETE = Script("delete", writes=True)
EXTRAS = Script("extras")
FETCH = Script("fetch")
FETCH_MATCHING = Script("fetch_matching")
VERIFY_PAGE = Script("verify_page")
PAGE = Script("page")
SAMPLE = Script("sample")
SCAN = Script("scan")
SELECT = Script("select")
TALLY = Script("tally")
TOMBSTONES = Script("tombstones")
UPDATE = Script("update", writes=True)
WRITE = Script("write", writes=True)

AMEND = Script("amend", writes=True)
CREATE = Script("create", writes=True)
DROP = Script("drop", writes=True)
FIND = Script("find")
NAMES = Script("names")
RENAME = Script("rename", writes=True)
REPLACE_INDEX = Script("replace_index", writes=True)
SWEEP = Script("sweep", writes=True)
SWITCH = Script("switch", writes=True)

TAKE_LEASE = Script("take_lease", writes=True)
RENEW_LEASE = Script("renew_lease", writes=True)
RELEASE_LEASE = Script("release_lease", writes=True)
