"""A place whose stores are all divided into four partitions, so that the conformance suite runs on such tables too.

The suite's schemas name no partitions. So the catalogue adds them where a generation is written and takes them away
where one is read, and the layouts add them again. A process that is started with the place's URL sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psycopg

from vecstore import Database
from vecstore.backend import Backend, Entry, Generation
from vecstore.backends.postgres.backend import PostgresBackend
from vecstore.backends.postgres.catalogue import Catalogue
from vecstore.backends.postgres.generation_table import Layout, Layouts
from vecstore.backends.postgres.transaction import Runner
from vecstore.backends.postgres.upkeep import Upkeep
from vecstore.testing import RawIndex
from vecstore.urls import parse_url

from .namespaces import Namespaces
from .places import PostgresPlace

PARTITIONS = 4


def divide(generation: Generation) -> Generation:
    """Return a generation with partitions."""
    return replace(generation, schema=replace(generation.schema, partitions=PARTITIONS))


def join(generation: Generation) -> Generation:
    """Return a generation as the suite knows it."""
    return replace(generation, schema=replace(generation.schema, partitions=1))


class DividingCatalogue(Catalogue):
    def find(self, runner: Runner, *, name: str | None = None, uid: str | None = None) -> Entry:
        entry = super().find(runner, name=name, uid=uid)
        building, previous = (each and join(each) for each in (entry.building, entry.previous))
        return replace(entry, active=join(entry.active), building=building, previous=previous)

    def read_generation(self, runner: Runner, generation: Generation) -> Generation:
        return join(super().read_generation(runner, generation))

    def add_generation(self, runner: Runner, uid: str, generation: Generation) -> None:
        super().add_generation(runner, uid, divide(generation))

    def amend(self, runner: Runner, generation: Generation) -> bool:
        return super().amend(runner, divide(generation))


class DividingLayouts(Layouts):
    def get(self, generation: Generation) -> Layout:
        return super().get(divide(generation))


class DividedBackend(PostgresBackend):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._catalogue = DividingCatalogue(self._tables)
        self._layouts = DividingLayouts(
            self._client.options.namespace, self._server.extension, has_citus=self._server.has_citus
        )
        self._upkeep = Upkeep(self._client, self._server, self._layouts, self._catalogue)


class PartitionedPlace(PostgresPlace):
    """A namespace in which every table is divided, and gets its graphs from 32 records on too."""

    def __init__(self, server: str, namespaces: Namespaces | None = None) -> None:
        super().__init__(server, 24, namespaces)

    def connect(self) -> Database:
        return Database(self._open())

    def backend(self) -> Backend:
        self._backends.append(backend := self._open())
        return backend

    def _open(self) -> DividedBackend:
        url = parse_url(self.url)
        return DividedBackend.connect(url.location, url.parameters)

    def indexes(self, store: str) -> Sequence[RawIndex]:
        """Return the graphs that the whole table has, because each of its partitions has one."""
        with psycopg.connect(self.server) as link:
            generation, _ = self._active(link, store)
        name = f"vecstore_g_{generation}"
        parts = [self._list_graphs(f"{name}_p{number}") for number in range(PARTITIONS)]
        assert not self._list_graphs(name)
        assert all(each == parts[0] for each in parts)
        return parts[0]
