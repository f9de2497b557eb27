"""Scripts that the server runs, each one atomic step. A text is ours alone: names and values are arguments."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A script.

    Attributes
    ----------
    text : str
    writes : bool
    sha : str
        What the server knows it by.
    """

    text: str
    writes: bool = False
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())
