"""Names of collections: pure."""

from __future__ import annotations

import re

from vecstore.errors import InvalidArgument

_FEED = re.compile(r"[a-z0-9]{1,16}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def name_collection(generation: str, feed: str) -> str:
    """Return the name of the collection that follows a generation.

    Parameters
    ----------
    generation : str
        Its id.
    feed : str
        1 to 16 of a-z and 0-9, drawn by whoever writes to it: a restored copy of the database has the generation too.
    """
    if not _FEED.fullmatch(feed):
        raise InvalidArgument("A feed must be 1 to 16 of a-z and 0-9.")
    return f"vecstore_g_{generation}_{feed}"


def check_collection_name(name: str) -> str:
    """Return a name, or raise `InvalidArgument` for one that the server does not take."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument("The name of a collection is up to 255 letters, digits and _.")
    return name
