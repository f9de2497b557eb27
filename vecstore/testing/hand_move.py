"""A move between two places in single steps, by calls of the two backends: tests stop between them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ..backend import Backend, Change, Entry, Generation, Remote, Rows
from ..embedders.base import Embedder
from ..embedders.identity import Identity
from ..rows.conversion import as_records, as_rows


class HandMove:
    """Moves a store to another place, or to another model there.

    Parameters
    ----------
    source, target : Backend
    name, there : str
        The store's names in both places.
    model : Embedder, optional
        Embed all texts again with it.
    kind : {"move", "copy"}
    """

    def __init__(
        self,
        source: Backend,
        target: Backend,
        name: str = "docs",
        there: str = "docs",
        *,
        model: Embedder | None = None,
        kind: Literal["move", "copy"] = "move",
    ) -> None:
        self.source, self.target = source, target
        self._model, self._kind = model, kind
        self._move = uuid.uuid4().hex
        entry = source.find(name=name)
        self._from = entry.active
        schema, identity = entry.active.schema, entry.active.identity
        if model is not None:
            schema, identity = schema.with_dim(model.dim), Identity.of(model).to_json()
        made = Generation(uuid.uuid4().hex, schema, identity)
        coming = target.create(there, replace(made, remote=self._point(source, entry)))
        self._coming = target.create(there, replace(made, id=uuid.uuid4().hex, standby=True))
        self._leaving = source.create(
            name, replace(self._from, id=uuid.uuid4().hex, standby=True, remote=self._point(target, coming))
        )

    @property
    def filled(self) -> Generation:
        """The generation at the target that takes the records."""
        assert self._coming.building is not None
        return self._coming.building

    def copy(self) -> None:
        """Write every record of the source into the target."""
        after = None
        while len(rows := self.source.page(self._from, None, after, 1_000)):
            self._write(rows)
            after = rows.ids[-1]

    def switch(self) -> None:
        """Write what has changed since, and the signpost; from now on the target has the truth."""
        assert self._leaving.building is not None
        self.source.switch(self._leaving.uid, self._leaving.building.id, self._drain)

    def arrive(self) -> None:
        """Let the target know, unless a client was quicker."""
        entry = self.target.find(uid=self._coming.uid)
        if entry.is_incoming:
            self.target.switch(entry.uid, self.filled.id, lambda _: None)

    def run(self) -> None:
        """Take all steps."""
        self.copy()
        self.switch()
        self.arrive()

    def begin_way_back(self) -> None:
        """Copy everything back, and write the signpost of the way back; the source's own signpost ends thereby."""
        here, there = self.source.find(uid=self._leaving.uid), self.target.find(uid=self._coming.uid)
        assert here.active.remote is not None
        assert here.previous is not None
        assert there.previous is not None
        kept, filled = here.previous, there.active
        self.source.amend(replace(here.active, remote=replace(here.active.remote, kind="back")))

        def drain(changes: Sequence[Change]) -> None:
            rows = self.target.page(filled, None, None, 10_000)
            self.source.delete(kept, self.source.page(kept, None, None, 10_000).ids)
            self.source.write(kept, replace(rows, versions=None), insert=False)

        self.target.switch(there.uid, there.previous.id, drain)

    def _point(self, place: Backend, entry: Entry) -> Remote:
        return Remote(place.capabilities.backend, entry.uid, entry.name, self._move, self._kind)

    def _drain(self, changes: Sequence[Change]) -> None:
        ids = list(dict.fromkeys(change.id for change in changes))
        rows = self.source.fetch(self._from, ids)
        self._write(rows)
        self.target.delete(self.filled, sorted({*ids} - {*rows.ids}))

    def _write(self, rows: Rows) -> None:
        if not len(rows):
            return
        fence = rows.versions
        if self._model is not None:
            records = [replace(each, vector=None) for each in as_records(rows, self._from.schema)]
            rows = as_rows(records, self.filled.schema, self._model.embed_documents)
        self.target.write(self.filled, replace(rows, versions=None), insert=False, fence=fence)
