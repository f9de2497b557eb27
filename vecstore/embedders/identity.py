"""The identity of an embedder, by which a store recognises the one that filled it.

A name alone is too weak, because a server may replace the model behind it, and too strict, because another
library may run the same model. So a store keeps the embedder's config and its *canaries*: the vectors of a
few fixed texts in both roles, or of items of the embedder's own kind. Canaries are compared by angle and, for
metrics that depend on lengths, by norm, because single bits differ with the batch size and the machine. Stored
identities are compared and shown, and never used to find or load anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbedderMismatch, InvalidArgument, InvalidVector, StoreCorrupt
from ..metric import Metric
from .canaries import (
    CANARY_SET,
    CANARY_TEXTS,
    LOWEST_COSINE,
    MAX_CANARIES,
    MIN_COSINE,
    OWN_SET,
    are_alike,
    decode_canaries,
    encode_canaries,
)
from .mismatch import explain_mismatch, name_store

_MAX_DIM = 16_000


class CanarySource(Protocol):
    """The part of an embedder from which an identity is measured."""

    @property
    def config(self) -> Mapping[str, Any]:
        """JSON data with at least ``kind``, ``model`` and ``dim``."""

    def embed_documents(self, items: Sequence[Any], /) -> NDArray[np.float32]:
        """Embed documents."""

    def embed_queries(self, items: Sequence[Any], /) -> NDArray[np.float32]:
        """Embed queries."""


@runtime_checkable
class Identified(Protocol):
    """An object that keeps its measured identity, as every `Embedder` does."""

    @property
    def identity(self) -> Identity:
        """The config and the canaries."""


@runtime_checkable
class _OwnCanaries(Protocol):
    """An embedder that says what its canaries are, as every `Embedder` does."""

    def _canaries(self) -> Sequence[Any]: ...


@dataclass(frozen=True, eq=False)
class Identity:
    """The embedder that made a store's vectors.

    Parameters
    ----------
    config : mapping
        JSON data with at least ``kind``, ``model`` and ``dim``.
    canaries : ndarray, shape (2, n, dim), float32
        The embedder's vectors of `CANARY_TEXTS`, or of its own canaries, as documents and as queries.
    canary_set : int
        Whose canaries they are.
    """

    config: Mapping[str, Any]
    canaries: NDArray[np.float32]
    canary_set: int = CANARY_SET

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return NotImplemented
        return dict(self.config) == dict(other.config) and np.array_equal(self.canaries, other.canaries)

    def __hash__(self) -> int:
        return hash((json.dumps(dict(self.config), sort_keys=True), self.canaries.tobytes()))

    @classmethod
    def of(cls, embedder: CanarySource) -> Identity:
        """Return the identity that an embedder keeps, or measure it. Loads the model."""
        return embedder.identity if isinstance(embedder, Identified) else cls.measure(embedder)

    @classmethod
    def measure(cls, embedder: CanarySource) -> Identity:
        """Read an embedder's config and let it embed the canaries."""
        given = dict(embedder.config)
        try:
            # Convert it to JSON and back, because it is compared with configs that were stored as JSON.
            config = json.loads(json.dumps(given, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"An embedder's config must be plain JSON data: {error}.") from error
        items = embedder._canaries() if isinstance(embedder, _OwnCanaries) else CANARY_TEXTS
        if not 1 <= len(items) <= MAX_CANARIES:
            raise InvalidArgument(
                f"The embedder {config.get('kind')}:{config.get('model')} has {len(items)} canaries, and a store keeps "
                f"the vectors of 1 to {MAX_CANARIES}. Let its _canaries() return that many."
            )
        both = [embedder.embed_documents(items), embedder.embed_queries(items)]
        canaries = np.array(both, np.float32)
        if not np.isfinite(canaries).all():
            raise InvalidVector(
                f"The embedder {config.get('kind')}:{config.get('model')} knows nothing of its canaries, by "
                "which a store would recognise it. It needs _canaries of its own."
            )
        canaries.setflags(write=False)
        measured = cls(config, canaries, CANARY_SET if items is CANARY_TEXTS else OWN_SET)
        try:
            cls.from_json(measured.to_json())  # what cannot be read back would make its store unreadable
        except StoreCorrupt as error:
            raise InvalidArgument(f"A store could not read back the identity of this embedder. {error}") from error
        return measured

    @property
    def name(self) -> str:
        """``kind:model (dim dimensions)``, the name in messages."""
        label = f"{self.config.get('kind')}:{self.config.get('model')}"
        return f"{label!a} ({self.canaries.shape[2]} dimensions)"

    @property
    def modality(self) -> str:
        """What the embedder's items are: ``"text"``, or another word."""
        return str(self.config.get("modality", "text"))

    @property
    def is_fitted(self) -> bool:
        """Whether it was fitted to data, so that another fit is another model."""
        return self.config.get("fitted") is True

    @property
    def has_marks(self) -> bool:
        """Whether a canary has a vector other than zeros, by which the model is told from others."""
        return bool(self.canaries.any())

    def matches(self, other: Identity, metric: Metric) -> bool:
        """Return whether both make the same vectors, as far as ``metric`` can tell; see `are_alike`."""
        if (self.modality, self.canary_set) != (other.modality, other.canary_set):  # vectors of other items
            return False
        mine, theirs = self.config, other.config
        if not _read_alike(mine, theirs):
            return False
        same_weights = all(mine.get(key) == theirs.get(key) for key in ("kind", "revision"))
        # Each fit has canaries of its own, and the first words of any two vocabularies may have the same vectors.
        if (self.is_fitted or other.is_fitted) and not same_weights:
            return False
        if not self.has_marks and not other.has_marks and dict(mine) != dict(theirs):
            return False
        ours, others = self.canaries, other.canaries
        if self.canary_set == OWN_SET and same_weights and isinstance(mine.get("revision"), str):
            # A later version of the adapter may have more canaries, after those that a store has.
            shared = min(ours.shape[1], others.shape[1])
            ours, others = ours[:, :shared], others[:, :shared]
        return are_alike(ours, others, metric, self._find_min_cosine(other))

    def _find_min_cosine(self, other: Identity) -> float:
        """Return how near the canaries must be: less where both have the same weights and say that they need it."""
        mine, theirs = self.config, other.config
        revision, wanted = mine.get("revision"), mine.get("min_cosine")
        same = all(mine.get(key) == theirs.get(key) for key in ("kind", "revision", "min_cosine"))
        if not same or not isinstance(revision, str) or type(wanted) is not float:
            return MIN_COSINE
        return min(max(wanted, LOWEST_COSINE), MIN_COSINE)

    def check(self, embedder: CanarySource, metric: Metric, *, store: str | None = None) -> Identity | None:
        """Accept an embedder for the store that has this identity, or refuse it.

        ======= ======== =======================================================
        config  canaries
        ======= ======== =======================================================
        same    match    accepted
        differs match    accepted and logged: the same model from another source
        same    differ   refused: the model behind the name changed
        differs differ   refused
        ======= ======== =======================================================

        Parameters
        ----------
        embedder : CanarySource
            The embedder to check.
        metric : Metric
        store : str, optional
            Name of the store, for messages.

        Returns
        -------
        Identity or None
            The identity to store instead if the config differs: the new config with the *old* canaries, so
            that many small steps cannot add up to another model. None if nothing changed.

        Raises
        ------
        EmbedderMismatch
            The embedder makes different vectors from those in the store.
        """
        found = Identity.of(embedder)
        if not self.matches(found, metric):
            raise EmbedderMismatch(explain_mismatch(self, found, store))
        if found.config == self.config:
            return None
        import logging

        logging.getLogger("vecstore.embedders").info(
            "%s was filled with %s and is now used with %s; they make the same vectors.",
            name_store(store),
            self.name,
            found.name,
        )
        return Identity(found.config, self.canaries, self.canary_set)

    def to_json(self) -> dict[str, Any]:
        """Return JSON data, with vectors as little-endian float32 in base64."""
        data = encode_canaries(self.canaries)
        return {
            "config": json.loads(json.dumps(dict(self.config))),
            "canaries": {"set": self.canary_set, "shape": list(self.canaries.shape), "data": data},
        }

    @classmethod
    def from_json(cls, data: object) -> Identity:
        """Read the output of `to_json`; raise `StoreCorrupt` for anything else."""
        config, canaries = _take_members(data, "config", "canaries")
        if not isinstance(config, Mapping) or not all(isinstance(config.get(key), str) for key in ("kind", "model")):
            raise _report_damage("its config does not name an embedder")
        number, shape, encoded = _take_members(canaries, "set", "shape", "data")
        if type(number) is not int or number not in (CANARY_SET, OWN_SET):
            raise _report_damage(f"its canaries are of set {number!r}, which this version of vecstore does not support")
        dim = config.get("dim")
        counts = range(1, MAX_CANARIES + 1) if number == OWN_SET else (len(CANARY_TEXTS),)
        count = shape[1] if isinstance(shape, list) and len(shape) == 3 else None
        if type(dim) is not int or not 1 <= dim <= _MAX_DIM or type(count) is not int or count not in counts:
            raise _report_damage("the shape of its canaries does not match its config")
        if shape != [2, count, dim]:
            raise _report_damage("the shape of its canaries does not match its config")
        try:
            vectors = decode_canaries(encoded, count, dim)
        except ValueError as error:
            raise _report_damage(str(error)) from error
        vectors.setflags(write=False)
        return cls(dict(config), vectors, number)


def _read_alike(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Return whether both read as much of a long text, which the canaries, being short, cannot tell."""
    if (mine.get("on_long") == "mean") != (theirs.get("on_long") == "mean"):
        return False
    limits = [config.get("max_tokens") for config in (mine, theirs)]
    return any(type(limit) is not int for limit in limits) or limits[0] == limits[1]


def _take_members(data: object, *keys: str) -> list[Any]:
    if not isinstance(data, Mapping) or set(data) != set(keys):
        raise _report_damage(f"it should have exactly {', '.join(keys)}")
    return [data[key] for key in keys]


def _report_damage(reason: str) -> StoreCorrupt:
    return StoreCorrupt(f"The stored identity of the embedder is damaged: {reason}.")
