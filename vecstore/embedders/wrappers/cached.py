"""An embedder that remembers what it made, also in other processes and after a restart."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...errors import InvalidArgument, StoreCorrupt
from ...metric import Metric
from ..base import Embedder, Progress, Role, T, check_whole
from ..identity import Identity
from ..item_bytes import hash_item
from ..vector_checks import Float32Array
from .vector_cache import VectorCache
from .wrapper import Wrapper


class Cached(Wrapper[T]):
    """Keep vectors in a folder, and make only those that are not there.

    A vector is kept under the model's config and canaries, what it does with items that are too long or unknown, the
    role, and the SHA-256 of the item, so another model, another prompt or a changed file never gets it. Of a model
    whose canaries are all zeros nothing is kept, because nothing tells it from others. Texts and items are not kept.
    Canaries are always made anew, so a service that changed its model under the same name is found out. A damaged
    file of the cache is made anew.

    Parameters
    ----------
    inner : Embedder
    folder : path
        Threads, processes and several models may share it.
    max_bytes : int, at least 65,536
        The vectors that were not used for longest are removed beyond it.
    """

    _is_outermost = True

    def __init__(self, inner: Embedder[T], folder: str | os.PathLike[str], *, max_bytes: int = 1 << 30) -> None:
        super().__init__(inner)
        if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
            raise InvalidArgument("folder must be the path of a directory for the cache.")
        try:
            Path(folder).expanduser().mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidArgument(f"{str(folder)!r} cannot be the folder of a cache: {error.strerror}.") from error
        self._cache = VectorCache(folder, check_whole("max_bytes", max_bytes, 1 << 16))
        self._fingerprint: str | None = None

    @property
    def identity(self) -> Identity:
        """That of the embedder inside, whose canaries never come from the cache."""
        return self._inner.identity

    def close(self) -> None:
        """Close the file of the cache, as far as this thread has it open."""
        self._cache.close()

    def _embed_whole(
        self, items: list[T], role: Role, label: Callable[[int], str], on_progress: Progress | None
    ) -> Float32Array:
        if not items:
            return super()._embed_whole(items, role, label, on_progress)
        fingerprint = self._find_fingerprint()
        if fingerprint is None:
            return super()._embed_whole(items, role, label, on_progress)
        keys = [self._make_key(fingerprint, role, item) for item in items]
        found = self._cache.read(list(dict.fromkeys(keys)), self.dim)
        missing = list({key: place for place, key in enumerate(keys) if key not in found}.values())
        if missing:
            done = len(items) - len(missing)
            report = on_progress and (lambda made, _: on_progress(done + made, len(items)))
            made = super()._embed_whole(
                [items[place] for place in missing], role, lambda number: label(missing[number]), report
            )
            new = {keys[place]: vector for place, vector in zip(missing, made, strict=True)}
            self._cache.write(new)
            found.update(new)
        elif on_progress is not None:
            on_progress(len(items), len(items))
        return np.stack([found[key] for key in keys])

    def _find_fingerprint(self) -> str | None:
        with self._lock:
            mine = self.identity
            if self._fingerprint is None and mine.has_marks:
                config = json.dumps([dict(mine.config), dict(self._policies())], sort_keys=True)

                def matches(stored: str) -> bool:
                    try:
                        return Identity.from_json(json.loads(stored)).matches(mine, Metric.L2)
                    except (ValueError, StoreCorrupt):
                        return False

                self._fingerprint = self._cache.find_model(config, matches, json.dumps(mine.to_json(), sort_keys=True))
            return self._fingerprint

    def _make_key(self, fingerprint: str, role: Role, item: T) -> bytes:
        return hashlib.sha256(f"{fingerprint}|{role}|".encode() + hash_item(item)).digest()
