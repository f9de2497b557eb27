"""The embedder of a store: the one that fits a generation, checked before its first use."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from .embedders.base import Embedder
from .embedders.identity import Identity
from .errors import EmbedderMismatch, EmbedderRequired, InvalidArgument
from .retries import Attempts
from .rows.conversion import Embed, ItemsOnly

if TYPE_CHECKING:
    from .backend import Generation
    from .lookup import CurrentEntry


class StoreEmbedder:
    """The embedders that a store was opened with. At most one of them fits the active generation.

    Two are given while a rebuild changes the model, as ``(old, new)``, so that the process continues to work
    after the switch.
    """

    def __init__(self, given: Any = None) -> None:
        self._given: tuple[Embedder[Any], ...] = (
            given if isinstance(given, tuple) else () if given is None else (given,)
        )
        for embedder in self._given:
            if not isinstance(embedder, Embedder):
                raise InvalidArgument(
                    f"embedder must be an Embedder, not {type(embedder).__name__}. "
                    "For a function use vecstore.embedders.FunctionEmbedder."
                )
        self.takes_items = any(embedder.item_types != (str,) for embedder in self._given)
        self._lock = Lock()
        self._fitting: dict[tuple[str, bool], Embedder[Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._given)

    @property
    def item_types(self) -> tuple[type, ...]:
        """The types of items that one of the embedders takes."""
        return tuple(dict.fromkeys(kind for embedder in self._given for kind in embedder.item_types))

    @property
    def takes_texts(self) -> bool:
        """Whether an item that is a str is a text, by whose words it is found."""
        return any(embedder.takes_texts for embedder in self._given)

    def embeds_texts(self, generation: Generation, store: str) -> bool:
        """Return whether a vector comes from the text of a record; also without an embedder, which a text would need.

        Raises
        ------
        EmbedderMismatch
        """
        return not self._given or self._find_fitting(generation, store).takes_texts

    def choose_for_documents(self, generation: Generation, store: str) -> Embed | None:
        """Return the function that embeds documents, or None without an embedder.

        Raises
        ------
        EmbedderMismatch
        """
        return embed_records(self._find_fitting(generation, store)) if self._given else None

    def identify(self, generation: Generation, store: str) -> Identity:
        """Return the identity of the embedder that fits the generation."""
        return self._find_fitting(generation, store).identity

    def choose_for_queries(self, generation: Generation, store: str) -> Embed:
        """Return the function that embeds queries.

        Raises
        ------
        EmbedderRequired, EmbedderMismatch
        """
        if not self._given:
            raise EmbedderRequired(
                "The query is to be embedded, but the store has no embedder. Open the store with embedder=…, or give "
                "a vector."
            )
        return self._find_fitting(generation, store).embed_queries

    def refresh(self, current: CurrentEntry, generation: Generation) -> Generation:
        """Look up a generation without an identity again; another process may have stored one since."""
        if generation.identity is not None or not self._given:
            return generation
        return current.read_active(generation)

    def may_claim(self, current: CurrentEntry) -> bool:
        """Return whether a text may be embedded for the store: its embedder is known, or no record has a vector.

        Without an embedder the answer is True and nothing is read.
        """
        if not self._given or current.entry.active.identity is not None:
            return True
        attempts = Attempts(current)
        while True:
            with attempts as generation:
                present = current.read_active(generation)
                if present.identity is not None:
                    return True
                if present.schema.has_optional_vectors:
                    return not len(current.backend.sample(present, None, 1))
                return not len(current.backend.page(present, None, None, 1))

    def check_claim(self, generation: Generation, store: str, *, claimable: bool) -> None:
        """Refuse to embed texts for a generation whose vectors are of an unknown embedder.

        Raises
        ------
        EmbedderMismatch
        """
        if self._given and generation.identity is None and not claimable:
            raise EmbedderMismatch(
                f"Store {store!r} contains vectors, and nothing says which embedder made them. If it was this one, "
                f"say so once: check_embedder(claim=True). Otherwise embed its texts again: db.rebuild({store!r}, "
                "embedder=…)."
            )

    def claim(self, current: CurrentEntry, generation: Generation) -> Generation:
        """Store the embedder's identity if the generation has none, and return the generation with its identity.

        A generation that is being built for the same store without an embedder has the same vectors, and gets
        the same identity.

        Raises
        ------
        EmbedderMismatch
            Another embedder has claimed the generation in the meantime.
        """
        if generation.identity is not None:
            return generation
        identity = self.identify(generation, current.entry.name).to_json()
        present = current.read_active(generation)
        if present.identity is None:
            current.backend.amend(replace(present, identity=identity))
            present = current.read_active(generation)  # of several that claim at once, the first one stays
            building = current.entry.building
            if building is not None and building.identity is None:
                current.backend.amend(replace(building, identity=present.identity))
        if present.identity != identity:
            self.identify(present, current.entry.name)
        return present

    def check(self, current: CurrentEntry, *, claim: bool) -> None:
        """Do what `VectorStore.check_embedder` promises.

        Raises
        ------
        EmbedderRequired, EmbedderMismatch
        """
        if not self._given:
            raise EmbedderRequired(
                f"Store {current.entry.name!r} was opened without an embedder. Open it with embedder=…"
            )
        claimable = claim or self.may_claim(current)
        attempts = Attempts(current)
        while True:
            with attempts as generation:
                present = current.read_active(generation)
                if (
                    claim
                    and present.identity is None
                    and [each.dim for each in self._given].count(present.schema.width) > 1
                ):
                    raise InvalidArgument("claim=True says which embedder made the vectors. Open the store with one.")
                self.identify(present, current.entry.name)
                self.check_claim(present, current.entry.name, claimable=claimable)
                if claim:
                    self.claim(current, present)
                return

    def _find_fitting(self, generation: Generation, store: str) -> Embedder[Any]:
        key = (generation.id, generation.identity is None)
        with self._lock:
            if key not in self._fitting:
                self._fitting[key] = self._choose(generation, store)
            return self._fitting[key]

    def _choose(self, generation: Generation, store: str) -> Embedder[Any]:
        reasons: list[EmbedderMismatch] = []
        for embedder in self._given:
            try:
                _check(embedder, generation, store)
            except EmbedderMismatch as error:
                reasons.append(error)
            else:
                return embedder
        raise reasons[0]


def embed_records(embedder: Embedder[Any]) -> Embed:
    """Return what makes the vectors of records, from their texts only where a text is an item for the embedder."""
    embed = embedder.embed_documents
    return embed if embedder.takes_texts else ItemsOnly(embed, embedder.modality)


def _check(embedder: Embedder[Any], generation: Generation, store: str) -> None:
    schema = generation.schema
    if embedder.dim != schema.width:
        raise EmbedderMismatch(
            f"The embedder makes {embedder.dim} dimensions, but store {store!r} has {schema.width}. Open it with the "
            f"embedder that filled it, or embed its texts again: db.rebuild({store!r}, embedder=…)."
        )
    if generation.identity is not None:
        Identity.from_json(generation.identity).check(embedder, schema.metric, store=store)
