"""What belongs to the process that opened it: connections, locks, caches."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from .errors import Unsupported


class OneProcess:
    """Neither pickles nor copies, and says what to do instead of naming a lock that nobody knows of."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        kind = type(self).__name__
        raise Unsupported(
            f"pickling or copying a {kind}",
            "vecstore",
            "Give the other process the URL and the store's name, and call vecstore.connect() there.",
        )
