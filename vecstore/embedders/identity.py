"""The identity of an embedder, by which a store recognises the one that filled it.

A name alone is too weak, because a server may replace the model behind it, and too strict, because another
library may run the same model. So a store keeps the embedder's config and its *canaries*: the vectors of a
few fixed texts in both roles. Canaries are compared by angle and, for metrics that depend on lengths, by
norm, because single bits differ with the batch size and the machine. Stored identities are compared and
shown, and never used to find or load anything.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import EmbedderMismatch, InvalidArgument, StoreCorrupt
from ..metric import Metric

_LOG = logging.getLogger("vecstore")

CANARY_SET = 1
"""Version of the texts below. It is stored with their vectors and incremented if the texts change."""

CANARY_TEXTS: tuple[str, ...] = (
    "water",
    "The cat sat on the windowsill and watched the rain.",
    "Quarterly revenue rose by 12.5 % to $3,400,000, well above forecast.",
    "def area(radius): return 3.14159 * radius ** 2",
    "How do I reset a forgotten password?",
    "Grüße aus Köln, привет из Москвы, 東京より愛をこめて",
)
"""Short enough for every model, unlike each other, and in several scripts and registers."""

MIN_COSINE = 0.999
MAX_NORM_DIFFERENCE = 0.01

_MAX_DIM = 16_000
_COMPARES_NORMS: Mapping[Metric, bool] = MappingProxyType({Metric.COSINE: False, Metric.IP: True, Metric.L2: True})


class CanarySource(Protocol):
    """The part of an embedder from which an identity is measured."""

    @property
    def config(self) -> Mapping[str, Any]:
        """JSON data with at least ``kind``, ``model`` and ``dim``."""

    def embed_documents(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Embed the texts of documents."""

    def embed_queries(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Embed the texts of queries."""


@runtime_checkable
class Identified(Protocol):
    """An object that keeps its measured identity, as every `Embedder` does."""

    @property
    def identity(self) -> Identity:
        """The config and the canaries."""


@dataclass(frozen=True, eq=False)
class Identity:
    """The embedder that made a store's vectors.

    Parameters
    ----------
    config : mapping
        JSON data with at least ``kind``, ``model`` and ``dim``.
    canaries : ndarray, shape (2, n, dim), float32
        The embedder's vectors of `CANARY_TEXTS` as documents and as queries.
    """

    config: Mapping[str, Any]
    canaries: NDArray[np.float32]

    @classmethod
    def of(cls, embedder: CanarySource) -> Identity:
        """Return the identity that an embedder keeps, or measure it. Loads the model."""
        return embedder.identity if isinstance(embedder, Identified) else cls.measure(embedder)

    @classmethod
    def measure(cls, embedder: CanarySource) -> Identity:
        """Read an embedder's config and let it embed the canaries."""
        try:
            # Convert it to JSON and back, because it is compared with configs that were stored as JSON.
            config = json.loads(json.dumps(dict(embedder.config), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"An embedder's config must be plain JSON data: {error}.") from error
        both = [embedder.embed_documents(CANARY_TEXTS), embedder.embed_queries(CANARY_TEXTS)]
        canaries = np.array(both, np.float32)
        canaries.setflags(write=False)
        return cls(config, canaries)

    @property
    def name(self) -> str:
        """``kind:model (dim dimensions)``, the name in messages."""
        label = f"{self.config.get('kind')}:{self.config.get('model')}"
        return f"{label!a} ({self.canaries.shape[2]} dimensions)"

    def matches(self, other: Identity, metric: Metric) -> bool:
        """Return whether both make the same vectors, as far as ``metric`` can tell.

        All canaries must agree with a cosine of at least 0.999 and, if the metric depends on lengths, their
        norms must agree within 1 %.
        """
        if self.canaries.shape != other.canaries.shape:
            return False
        ours, theirs = self.canaries.astype(np.float64), other.canaries.astype(np.float64)
        norms, other_norms = np.linalg.norm(ours, axis=2), np.linalg.norm(theirs, axis=2)
        product = norms * other_norms
        # Two zero vectors are equal; a zero vector differs from any other vector.
        empty = product == 0
        if (empty & (norms != other_norms)).any():
            return False
        cosines = np.einsum("ijk,ijk->ij", ours, theirs) / np.where(empty, 1, product)
        if (~empty & (cosines < MIN_COSINE)).any():
            return False
        close = np.abs(norms - other_norms) <= MAX_NORM_DIFFERENCE * np.maximum(norms, other_norms)
        return bool(close.all()) or not _COMPARES_NORMS[metric]

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
            raise EmbedderMismatch(_explain_refusal(self, found, store))
        if found.config == self.config:
            return None
        _LOG.info(
            "%s was filled with %s and is now used with %s; they make the same vectors.",
            _name_store(store),
            self.name,
            found.name,
        )
        return Identity(found.config, self.canaries)

    def to_json(self) -> dict[str, Any]:
        """Return JSON data, with vectors as little-endian float32 in base64."""
        data = base64.b64encode(self.canaries.astype("<f4").tobytes()).decode("ascii")
        return {
            "config": json.loads(json.dumps(dict(self.config))),
            "canaries": {"set": CANARY_SET, "shape": list(self.canaries.shape), "data": data},
        }

    @classmethod
    def from_json(cls, data: object) -> Identity:
        """Read the output of `to_json`; raise `StoreCorrupt` for anything else."""
        config, canaries = _take_members(data, "config", "canaries")
        if not isinstance(config, Mapping) or not all(isinstance(config.get(key), str) for key in ("kind", "model")):
            raise _report_damage("its config does not name an embedder")
        number, shape, encoded = _take_members(canaries, "set", "shape", "data")
        if number != CANARY_SET:
            raise _report_damage(f"its canaries are of set {number!r}, which this version of vecstore does not support")
        dim = config.get("dim")
        if type(dim) is not int or not 1 <= dim <= _MAX_DIM or shape != [2, len(CANARY_TEXTS), dim]:
            raise _report_damage("the shape of its canaries does not match its config")
        vectors = np.frombuffer(_decode_canaries(encoded, 4 * 2 * len(CANARY_TEXTS) * dim), "<f4").reshape(shape)
        if not np.isfinite(vectors).all():
            raise _report_damage("its canaries contain NaN or infinity")
        vectors = vectors.astype(np.float32)
        vectors.setflags(write=False)
        return cls(dict(config), vectors)


def _name_store(store: str | None) -> str:
    return "The store" if store is None else f"Store {store!r}"


def _explain_refusal(stored: Identity, found: Identity, store: str | None) -> str:
    again = f"embed its texts again: db.rebuild({'name' if store is None else repr(store)}, embedder=...)."
    if stored.config == found.config:
        return (
            f"The model behind {stored.name} changed. {_name_store(store)} contains vectors of the earlier model. "
            f"Restore that model, or {again}"
        )
    advice = f"Open it with that embedder, or {again}"
    if stored.name != found.name:
        return f"{_name_store(store)} was filled with {stored.name}, not with {found.name}. {advice}"
    keys = sorted({*stored.config, *found.config})
    unlike = ", ".join(key for key in keys if stored.config.get(key) != found.config.get(key))
    return f"{_name_store(store)} was filled with {stored.name} with different settings: {unlike}. {advice}"


def _take_members(data: object, *keys: str) -> list[Any]:
    if not isinstance(data, Mapping) or set(data) != set(keys):
        raise _report_damage(f"it should have exactly {', '.join(keys)}")
    return [data[key] for key in keys]


def _decode_canaries(encoded: object, size: int) -> bytes:
    if not isinstance(encoded, str):
        raise _report_damage("its canaries are not text")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _report_damage("its canaries are not base64") from error
    if len(decoded) != size:
        raise _report_damage(f"its canaries have {len(decoded)} bytes instead of {size}")
    return decoded


def _report_damage(reason: str) -> StoreCorrupt:
    return StoreCorrupt(f"The stored identity of the embedder is damaged: {reason}.")
