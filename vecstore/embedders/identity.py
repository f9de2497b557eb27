"""How a store recognises the embedder that it was filled with.

A name alone is too weak (a server may swap the model behind it) and too strict (the same model may
come through another library). So a store keeps the embedder's config and its *canaries*: the
vectors that it makes of a few fixed texts, in both roles. They are compared by angle and, where the
metric looks at lengths, by norm; bits differ with the batch size and the machine. What is stored is
compared and shown, and never used to find or load anything.
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
"""Number of the texts below: stored with what was made of them, raised if they ever change."""

CANARY_TEXTS: tuple[str, ...] = (
    "water",
    "The cat sat on the windowsill and watched the rain.",
    "Quarterly revenue rose by 12.5 % to $3,400,000, well above forecast.",
    "def area(radius): return 3.14159 * radius ** 2",
    "How do I reset a forgotten password?",
    "Grüße aus Köln, привет из Москвы, 東京より愛をこめて",
)
"""Short, so that no model truncates them; unlike each other; in several scripts and registers."""

MIN_COSINE = 0.999
MAX_NORM_DIFFERENCE = 0.01

_MAX_DIM = 16_000
_COMPARES_NORMS: Mapping[Metric, bool] = MappingProxyType({Metric.COSINE: False, Metric.IP: True, Metric.L2: True})


class CanarySource(Protocol):
    """What an identity is made of."""

    @property
    def config(self) -> Mapping[str, Any]:
        """JSON data with at least ``kind``, ``model`` and ``dim``."""

    def embed_documents(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Embed texts that are to be found."""

    def embed_queries(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Embed texts that search."""


@runtime_checkable
class Identified(Protocol):
    """Something that keeps its identity once it was measured, as every `Embedder` does."""

    @property
    def identity(self) -> Identity:
        """The config and the canaries."""


@dataclass(frozen=True, eq=False)
class Identity:
    """Which embedder made a store's vectors.

    Parameters
    ----------
    config : mapping
        JSON data with at least ``kind``, ``model`` and ``dim``.
    canaries : ndarray, shape (2, n, dim), float32
        What the embedder makes of `CANARY_TEXTS` as documents and as queries.
    """

    config: Mapping[str, Any]
    canaries: NDArray[np.float32]

    @classmethod
    def of(cls, embedder: CanarySource) -> Identity:
        """Return an embedder's identity: the one it keeps, or else a measured one. Loads the model."""
        return embedder.identity if isinstance(embedder, Identified) else cls.measure(embedder)

    @classmethod
    def measure(cls, embedder: CanarySource) -> Identity:
        """Ask an embedder for its config and let it embed the canaries."""
        try:
            # Compared after a round trip through JSON: what is stored must equal what is asked later.
            config = json.loads(json.dumps(dict(embedder.config), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"An embedder's config must be plain JSON data: {error}.") from error
        both = [embedder.embed_documents(CANARY_TEXTS), embedder.embed_queries(CANARY_TEXTS)]
        canaries = np.array(both, np.float32)
        canaries.setflags(write=False)
        return cls(config, canaries)

    @property
    def name(self) -> str:
        """``kind:model (dim dimensions)``, as messages call it."""
        label = f"{self.config.get('kind')}:{self.config.get('model')}"
        return f"{label!a} ({self.canaries.shape[2]} dimensions)"

    def matches(self, other: Identity, metric: Metric) -> bool:
        """Say whether both make the same vectors, as far as ``metric`` can tell.

        Every canary must agree by a cosine of at least 0.999 and, where the metric looks at lengths,
        by a norm within 1 %.
        """
        if self.canaries.shape != other.canaries.shape:
            return False
        ours, theirs = self.canaries.astype(np.float64), other.canaries.astype(np.float64)
        norms, other_norms = np.linalg.norm(ours, axis=2), np.linalg.norm(theirs, axis=2)
        product = norms * other_norms
        # Two vectors of zeros are the same vector; one of zeros is like no other.
        empty = product == 0
        if (empty & (norms != other_norms)).any():
            return False
        cosines = np.einsum("ijk,ijk->ij", ours, theirs) / np.where(empty, 1, product)
        if (~empty & (cosines < MIN_COSINE)).any():
            return False
        close = np.abs(norms - other_norms) <= MAX_NORM_DIFFERENCE * np.maximum(norms, other_norms)
        return bool(close.all()) or not _COMPARES_NORMS[metric]

    def check(self, embedder: CanarySource, metric: Metric, *, store: str | None = None) -> Identity | None:
        """Let an embedder use the store that has this identity, or refuse it.

        ======= ======== =================================================
        config  canaries
        ======= ======== =================================================
        same    match    accepted
        differs match    accepted and noted: the same model by another way
        same    differ   refused: the model behind the name changed
        differs differ   refused
        ======= ======== =================================================

        Parameters
        ----------
        embedder : CanarySource
            The one that is to be used now.
        metric : Metric
        store : str, optional
            Name of the store, for messages.

        Returns
        -------
        Identity or None
            What may be stored instead, if the config differs: the new config with the *old* canaries, so
            that many small steps never add up to another model. None where nothing changed.

        Raises
        ------
        EmbedderMismatch
            The embedder makes other vectors than those in the store.
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
        """Return plain JSON data; vectors as little-endian float32 in base64."""
        data = base64.b64encode(self.canaries.astype("<f4").tobytes()).decode("ascii")
        return {
            "config": json.loads(json.dumps(dict(self.config))),
            "canaries": {"set": CANARY_SET, "shape": list(self.canaries.shape), "data": data},
        }

    @classmethod
    def from_json(cls, data: object) -> Identity:
        """Read what `to_json` gave; anything else is `StoreCorrupt`."""
        config, canaries = _take_members(data, "config", "canaries")
        if not isinstance(config, Mapping) or not all(isinstance(config.get(key), str) for key in ("kind", "model")):
            raise _report_damage("its config names no embedder")
        number, shape, encoded = _take_members(canaries, "set", "shape", "data")
        if number != CANARY_SET:
            raise _report_damage(f"its canaries are of set {number!r}, which this version of vecstore does not know")
        dim = config.get("dim")
        if type(dim) is not int or not 1 <= dim <= _MAX_DIM or shape != [2, len(CANARY_TEXTS), dim]:
            raise _report_damage("the shape of its canaries is not that of its config")
        vectors = np.frombuffer(_decode_canaries(encoded, 4 * 2 * len(CANARY_TEXTS) * dim), "<f4").reshape(shape)
        if not np.isfinite(vectors).all():
            raise _report_damage("its canaries hold NaN or infinity")
        vectors = vectors.astype(np.float32)
        vectors.setflags(write=False)
        return cls(dict(config), vectors)


def _name_store(store: str | None) -> str:
    return "The store" if store is None else f"Store {store!r}"


def _explain_refusal(stored: Identity, found: Identity, store: str | None) -> str:
    again = f"embed its texts again: db.rebuild({'name' if store is None else repr(store)}, embedder=...)."
    if stored.config == found.config:
        return (
            f"The model behind {stored.name} changed. {_name_store(store)} holds vectors of what it was before. "
            f"Bring that model back, or {again}"
        )
    advice = f"Open it with that embedder, or {again}"
    if stored.name != found.name:
        return f"{_name_store(store)} was filled with {stored.name}, not with {found.name}. {advice}"
    keys = sorted({*stored.config, *found.config})
    unlike = ", ".join(key for key in keys if stored.config.get(key) != found.config.get(key))
    return f"{_name_store(store)} was filled with {stored.name} under another setting of {unlike}. {advice}"


def _take_members(data: object, *keys: str) -> list[Any]:
    if not isinstance(data, Mapping) or set(data) != set(keys):
        raise _report_damage(f"it should have exactly {', '.join(keys)}")
    return [data[key] for key in keys]


def _decode_canaries(encoded: object, size: int) -> bytes:
    if not isinstance(encoded, str):
        raise _report_damage("its canaries are no text")
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _report_damage("its canaries are not base64") from error
    if len(decoded) != size:
        raise _report_damage(f"its canaries have {len(decoded)} bytes instead of {size}")
    return decoded


def _report_damage(reason: str) -> StoreCorrupt:
    return StoreCorrupt(f"The stored identity of the embedder is damaged: {reason}.")
