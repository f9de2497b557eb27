"""The catalogue as data and as rows of two tables: which store has which generations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vecstore.backend import Entry, Generation, Superseded
from vecstore.errors import InvalidArgument, StoreCorrupt, StoreExists, StoreNotFound
from vecstore.names import check_name

from ..shared.generation_json import dump_identity, dump_schema, load_schema
from ..shared.guards import refuse_newer
from .state.ledger import Ledger, Total
from .storage.checksums import checksum_row
from .storage.layout import check_id

OWNER = "catalog"
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "stores": ("uid", "name", "active", "building", "previous", "crc"),
        "generations": ("id", "schema", "identity", "ef", "crc"),
    }
)
"""The columns of both tables; the last one is the checksum of the others."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One state of the catalogue: entries by uid."""

    ledger: Ledger
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def find_by_name(self, name: str) -> Entry:
        """Return the entry of a name.

        Raises
        ------
        StoreNotFound
        """
        for entry in self.entries.values():
            if entry.name == name:
                return entry
        raise StoreNotFound(name, self.list_names())

    def find_by_uid(self, uid: str) -> Entry:
        """Return the entry of a uid.

        Raises
        ------
        StoreNotFound
        """
        try:
            return self.entries[uid]
        except KeyError:
            raise StoreNotFound("that was dropped", self.list_names()) from None

    def replace_generation(self, generation: Generation) -> Entry:
        """Return the entry that holds a generation in any role, with the generation replaced by this one.

        Raises
        ------
        Superseded
        """
        for entry in self.entries.values():
            if generation.id in {each.id for each in entry.generations}:
                return entry.replace_generation(generation)
        raise Superseded

    def list_names(self) -> list[str]:
        """Return the names of all stores, sorted, without those that are still incoming."""
        return sorted(entry.name for entry in self.entries.values() if not entry.is_incoming)

    def check_free(self, name: str) -> None:
        """Refuse a name that is already taken.

        Raises
        ------
        StoreExists
        """
        if any(entry.name == name for entry in self.entries.values()):
            raise StoreExists(f"Store {name!r} already exists.")

    def list_generations(self) -> dict[str, Generation]:
        """Return every generation by its id."""
        return {each.id: each for entry in self.entries.values() for each in entry.generations}


def make_empty_ledger() -> Ledger:
    """Return the ledger of an empty catalogue."""
    return Ledger(OWNER, tables={name: Total() for name in COLUMNS})


def make_rows(state: Catalogue) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of both tables."""
    stores = [
        (entry.uid, entry.name, entry.active.id, *(each and each.id for each in (entry.building, entry.previous)))
        for entry in state.entries.values()
    ]
    generations = [
        (
            each.id,
            dump_schema(each),
            dump_identity(each),
            each.ef,
        )
        for each in state.list_generations().values()
    ]
    tables: dict[str, list[tuple[Any, ...]]] = {"stores": [*stores], "generations": [*generations]}
    return {name: [(*row, checksum_row(row)) for row in table] for name, table in tables.items()}


def parse_entries(rows: Mapping[str, list[tuple[Any, ...]]], ledger: Ledger, path: Path) -> dict[str, Entry]:
    """Return the entries that the rows of both tables describe.

    Raises
    ------
    StoreCorrupt, Unsupported
    """
    for name, table in rows.items():
        for row in table:
            if checksum_row(row[:-1]) != row[-1]:
                raise StoreCorrupt(f"{path}: a row of {name} is damaged. Restore it from a backup.")
        found = Total()
        found.add(row[-1] for row in table)
        if found != ledger.tables[name]:
            raise StoreCorrupt(f"{path}: rows of {name} are missing or duplicated. Restore it from a backup.")
    try:
        generations = {row[0]: _parse_generation(row) for row in rows["generations"]}
        entries = {}
        for uid, name, active, building, previous, _ in rows["stores"]:
            entries[check_id(uid)] = Entry(
                uid,
                check_name(name, "Store"),
                replace(generations[active], standby=False),
                generations[building] if building else None,
                generations[previous] if previous else None,
            )
    except (InvalidArgument, KeyError):
        # The checksums match, so a newer version wrote something that this one cannot read.
        refuse_newer("what the catalogue holds", "file")
    return entries


def _parse_generation(row: tuple[Any, ...]) -> Generation:
    generation_id, schema, identity, ef, _ = row
    declared, calibration, remote = load_schema(schema)
    return Generation(
        check_id(generation_id),
        declared,
        None if identity is None else json.loads(identity),
        ef,
        standby=True,
        calibration=calibration,
        remote=remote,
    )
