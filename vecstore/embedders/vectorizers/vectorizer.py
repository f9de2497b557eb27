"""The base class of embedders that are fitted to data: fit once, save, load, and never change again."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidArgument, ModelDamaged, NotFitted, close_matches
from ...metric import Metric
from ..base import Embedder, OnUnknown, T, check_whole
from ..canaries import MAX_CANARIES, are_alike
from ..item_bytes import hash_item
from ..item_checks import check_items
from .kinds import KINDS
from .model_files import hash_description, read_folder, serialize, write_folder
from .saved_model import Arrays, SavedModel

MAX_DIM = 4096
"""Vectors are stored dense, so a dimension for each of 50,000 words would be 200 kB a record."""
_CANARIES = 6


class Vectorizer(Embedder[T]):
    """An embedder that learns from items what its dimensions mean.

    It is fitted once. Another fit is another model, whose vectors mean something else, so it takes another instance,
    and a store that was filled with the first refuses it until it is rebuilt. Its `identity` has the SHA-256 of its
    files as the revision, before and after it is saved.

    An adapter implements `_encode`, `_fit`, `_params`, `_take_apart` and `_put_together`, and stands in the closed
    registry of kinds.
    """

    kind: str
    libraries: Sequence[str] = ("numpy",)

    def __init__(
        self, *, name: str, normalize: bool = True, batch_size: int = 256, on_unknown: OnUnknown = "error"
    ) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidArgument("name must be a non-empty str, under which messages know the model.")
        if not isinstance(normalize, bool):
            raise InvalidArgument(f"normalize must be True or False, not {normalize!r}.")
        super().__init__(kind=self.kind, model=name, normalize=normalize, batch_size=batch_size, on_unknown=on_unknown)
        self._saved: SavedModel | None = None
        self._files: tuple[bytes, bytes] | None = None
        self._revision: str | None = None

    @property
    def fitted(self) -> bool:
        """Whether it can embed."""
        return self._saved is not None

    @property
    def dim(self) -> int:
        """Length of the vectors.

        Raises
        ------
        NotFitted
        """
        self._get_saved()
        return super().dim

    def fit(self, items: Iterable[T], *, seed: int = 0) -> Self:
        """Learn from items.

        Parameters
        ----------
        items : iterable
            All that there are; they are held in memory.
        seed : int
            The same items and the same seed give the same model.

        Returns
        -------
        Vectorizer
            Itself.

        Raises
        ------
        InvalidArgument, InvalidMetadata
            It is fitted already, or the items cannot be learned from.
        MissingExtra
        """
        check_whole("seed", seed, 0)
        with self._lock:
            if self.fitted:
                raise InvalidArgument(
                    f"{self.name!r} is fitted already. Another fit is another model: make a new {type(self).__name__}, "
                    "and rebuild the stores that are to use it."
                )
            listed = self._check_examples(items)
            if not listed:
                raise InvalidArgument(f"{self.name!r} needs at least one item to learn from.")
            digest = hashlib.sha256()
            for item in listed:
                digest.update(hash_item(item))
            self._fit(listed, seed)
            self._finish_fit({"items": len(listed), "seed": seed, "sha256": digest.hexdigest()})
        return self

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the model into a new folder, which appears complete or not at all.

        Raises
        ------
        NotFitted, MissingExtra, StorageFailed
        InvalidArgument
            There is something with that name.
        """
        with self._lock:
            self._get_saved()
            write_folder(folder, *self._serialize())

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote, of this class or one below it.

        Nothing of the files is run. Every byte is checked, and its canaries are embedded again and compared.

        Raises
        ------
        InvalidArgument
            There is no model, or one of another kind, or a newer vecstore saved it.
        ModelDamaged, MissingExtra
        """
        model, revision = read_folder(folder)
        if model.kind not in KINDS:
            raise ModelDamaged(f"There is no vectoriser of the kind {model.kind[:40]!a}.{close_matches('', KINDS)}")
        module, name = KINDS[model.kind]
        found: type[Vectorizer[Any]] = getattr(import_module(f".{module}", __package__), name)
        if not issubclass(found, cls):
            raise InvalidArgument(f"{str(folder)!r} has a {found.__name__}, not a {cls.__name__}.")
        try:
            loaded = found(**model.params)
        except (TypeError, InvalidArgument) as error:
            raise ModelDamaged(f"The parameters of the {model.kind} model are not those of its kind.") from error
        loaded._restore(model, revision)
        return loaded

    @classmethod
    def from_spec(cls, model: str | None) -> Self:
        """Load from the part after the colon of ``vectorizer:FOLDER``."""
        if model is None:
            raise InvalidArgument("The folder is missing. Write vectorizer:FOLDER.")
        return cls.load(model)

    @abstractmethod
    def _fit(self, items: list[T], seed: int) -> None:
        """Learn from at least one item, which is of a type that it takes."""

    @abstractmethod
    def _params(self) -> dict[str, Any]:
        """Return the arguments of the class that make such an instance, as JSON data."""

    @abstractmethod
    def _take_apart(self) -> tuple[Sequence[Any], Arrays]:
        """Return the vocabulary and the arrays of what was learned."""

    @abstractmethod
    def _put_together(self, model: SavedModel) -> None:
        """Take over what was learned; raise `ModelDamaged` where lengths and shapes do not fit."""

    def _choose_canaries(self) -> Sequence[Any]:
        """Return a few items, as JSON has them, each of which it makes a vector of."""
        return self._take_apart()[0][:_CANARIES]

    def _canaries(self) -> Sequence[T]:
        return self._get_saved().canaries

    def _details(self) -> Mapping[str, Any]:
        return {"fitted": True, "revision": self.revision, "params": self._params()}

    @property
    def revision(self) -> str:
        """The SHA-256 of its files, saved or not.

        Raises
        ------
        NotFitted, MissingExtra
        """
        with self._lock:
            self._get_saved()
            if self._revision is None:
                self._revision = f"sha256:{hash_description(self._serialize()[0])}"
            return self._revision

    def _check_examples(self, items: Iterable[T]) -> list[T]:
        return check_items(items, self.item_types, lambda position: f"items[{position}]", self.name, self._find_fault)

    def _serialize(self) -> tuple[bytes, bytes]:
        return serialize(self._get_saved())

    def _get_saved(self) -> SavedModel:
        if self._saved is None:
            raise NotFitted(f"{self.name!r} is not fitted. Call fit(items), or load a saved one.")
        return self._saved

    def _finish_fit(self, facts: Mapping[str, Any]) -> None:
        """Keep what was learned as data, with the vectors of its canaries."""
        vocabulary, arrays = self._take_apart()
        canaries = list(self._choose_canaries())
        self._saved = SavedModel(
            self.kind, self._params(), list(vocabulary), canaries, dict(facts), _list_versions(self.libraries), arrays
        )
        try:
            made = self._embed_canaries()
        except BaseException:
            self._saved = None
            raise
        self._saved = SavedModel(
            self.kind, self._params(), list(vocabulary), canaries, dict(facts), _list_versions(self.libraries),
            {**arrays, "canaries": made},
        )  # fmt: skip

    def _restore(self, model: SavedModel, revision: str) -> None:
        """Become the model of a file, if it makes the same of its canaries."""
        self._put_together(model)
        self._saved = model
        self._revision = f"sha256:{revision}"
        stored = model.arrays["canaries"]
        if len(model.canaries) > MAX_CANARIES:
            raise ModelDamaged(f"The {self.kind} model has {len(model.canaries)} canaries, more than {MAX_CANARIES}.")
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # weights may be of any size
                made = self._embed_canaries()
        except (InvalidArgument, ValueError, IndexError, TypeError, OverflowError) as error:
            raise ModelDamaged(f"The {self.kind} model cannot embed its own canaries.") from error
        if not are_alike(made, stored, Metric.L2, 0.9999):
            raise ModelDamaged(
                f"The {self.kind} model makes other vectors of its canaries than it did when it was saved."
            )

    def _embed_canaries(self) -> NDArray[np.float32]:
        items = self._canaries()
        if not items:
            raise InvalidArgument(f"{self.name!r} has learned nothing to make a vector of.")
        # One by one: the last bits depend on the batch, and the revision would depend on its size.
        both = [[embed([item])[0] for item in items] for embed in (self.embed_documents, self.embed_queries)]
        return np.array(both, np.float32)


def check_dim(dim: int, what: str) -> None:
    """Refuse more dimensions than are sensible for vectors that are stored dense.

    Raises
    ------
    InvalidArgument
    """
    if dim > MAX_DIM:
        raise InvalidArgument(
            f"There are {dim:,} {what}, and each would be a dimension of vectors that are stored dense; at most "
            f"{MAX_DIM:,} are sensible. Use Tfidf(svd=256), Hashing(dim=1024), or fewer of them."
        )


def _list_versions(libraries: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in ("vecstore-db", *libraries):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a checkout that is not installed
            continue
    return found
