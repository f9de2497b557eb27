"""Names, generations and roles, in the tables that the migrations create."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Text,
    cast,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

from vecstore.backend import Entry, Generation, Superseded
from vecstore.errors import StoreCorrupt, StoreNotFound
from vecstore.names import check_name

from ..shared.generation_json import dump_identity, dump_schema, load_generation
from .catalogue_tables import CatalogueTables
from .statements import Statement, compile_statement, make_parameter
from .transaction import Runner


def _cast_parameter(name: str, type_: TypeEngine[Any] | None = None) -> ColumnElement[Any]:
    return cast(make_parameter(name, type_ or Text()), type_ or Text())


class Catalogue:
    """Reads and writes the catalogue with a runner; holding a transaction is up to the caller."""

    def __init__(self, tables: CatalogueTables) -> None:
        self.tables = tables
        self._statements = _compile_statements(tables)

    def names(self, runner: Runner) -> list[str]:
        """Return the names of all stores, sorted, without those that are still incoming."""
        return [check_name(name, "Store") for (name,) in runner.run(self._statements["names"], {})]

    def find(self, runner: Runner, *, name: str | None = None, uid: str | None = None) -> Entry:
        """Return the entry of a store.

        Raises
        ------
        StoreNotFound
        """
        rows = runner.run(self._statements["find"], {"name": name, "uid": uid})
        if not rows:
            raise StoreNotFound(name or "that was dropped", self.names(runner))
        return _decode_entry(rows)

    def add_store(self, runner: Runner, uid: str, name: str, generation: Generation) -> None:
        """Point a new name at a generation; the database refuses a name that is taken."""
        runner.run(self._statements["add store"], {"uid": uid, "name": name, "active": generation.id})
        self.add_generation(runner, uid, generation)

    def add_generation(self, runner: Runner, uid: str, generation: Generation) -> None:
        """Describe a generation."""
        runner.run(self._statements["add generation"], {"store": uid, **_encode_generation(generation)})

    def read_generation(self, runner: Runner, generation: Generation) -> Generation:
        """Return a generation as it is described now.

        Raises
        ------
        Superseded
        """
        rows = runner.run(self._statements["generation"], {"id": generation.id})
        if not rows:
            raise Superseded
        return load_generation(*rows[0], standby=generation.standby, backend="postgresql")

    def amend(self, runner: Runner, generation: Generation) -> bool:
        """Replace the description of a generation, but not an identity that it has; return whether it exists."""
        return bool(runner.run(self._statements["amend"], _encode_generation(generation)))

    def rename(self, runner: Runner, uid: str, name: str) -> bool:
        """Give a store another name; return whether it exists."""
        return bool(runner.run(self._statements["rename"], {"uid": uid, "name": name}))

    def lock(self, runner: Runner, uid: str) -> Entry:
        """Return a store's entry, its row locked against every other writer of it."""
        if not runner.run(self._statements["lock"], {"uid": uid}):
            raise StoreNotFound("that was dropped")
        return self.find(runner, uid=uid)

    def point(self, runner: Runner, uid: str, active: str, standby: str | None, role: str | None) -> None:
        """Set a store's roles."""
        runner.run(self._statements["point"], {"uid": uid, "active": active, "standby": standby, "role": role})

    def remove_store(self, runner: Runner, uid: str) -> None:
        """Forget a store and its generations."""
        runner.run(self._statements["remove store"], {"uid": uid})

    def remove_generation(self, runner: Runner, generation: str) -> None:
        """Forget a generation."""
        runner.run(self._statements["remove generation"], {"id": generation})


@lru_cache(maxsize=64)
def _compile_statements(tables: CatalogueTables) -> Mapping[str, Statement]:
    store, generation = tables.stores, tables.generations
    this, id_ = store.c.uid == _cast_parameter("uid"), generation.c.id == _cast_parameter("id")
    described = {
        "schema": _cast_parameter("schema", JSON()),
        "identity": _cast_parameter("identity", JSON()),
        "ef": _cast_parameter("ef", Integer()),
    }
    amended = {**described, "identity": func.coalesce(generation.c.identity, described["identity"])}
    roles = {
        "active": _cast_parameter("active"),
        "standby": _cast_parameter("standby"),
        "standby_role": _cast_parameter("role"),
    }
    entry = (
        select(
            store.c.uid, store.c.name, store.c.active, store.c.standby, store.c.standby_role, generation.c.id,
            cast(generation.c.schema, Text()), cast(generation.c.identity, Text()), generation.c.ef,
        )
        .join(generation, generation.c.store == store.c.uid)
        .where(or_(store.c.name == _cast_parameter("name"), this))
    )  # fmt: skip
    # As `Entry.is_incoming`.
    usable = or_(
        func.json_extract_path(generation.c.schema, literal_column("'remote'")).is_(None),
        store.c.standby_role == literal_column("'previous'"),
    )
    adding = insert(store).values(
        uid=_cast_parameter("uid"), name=_cast_parameter("name"), active=_cast_parameter("active")
    )
    describing = insert(generation).values(id=_cast_parameter("id"), store=_cast_parameter("store"), **described)
    return {
        "names": compile_statement(
            select(store.c.name)
            .join(generation, generation.c.id == store.c.active)
            .where(usable)
            .order_by(store.c.name)
        ),
        "find": compile_statement(entry),
        "generation": compile_statement(
            select(
                generation.c.id, cast(generation.c.schema, Text()), cast(generation.c.identity, Text()), generation.c.ef
            ).where(id_)
        ),
        "lock": compile_statement(select(store.c.uid).where(this).with_for_update(key_share=True), writes=True),
        "add store": compile_statement(adding, writes=True),
        "add generation": compile_statement(describing, writes=True),
        "amend": compile_statement(
            update(generation).values(amended).where(id_).returning(generation.c.id), writes=True
        ),
        "rename": compile_statement(
            update(store).values(name=_cast_parameter("name")).where(this).returning(store.c.uid), writes=True
        ),
        "point": compile_statement(update(store).values(roles).where(this), writes=True),
        "remove store": compile_statement(delete(store).where(this), writes=True),
        "remove generation": compile_statement(delete(generation).where(id_), writes=True),
    }


def _encode_generation(generation: Generation) -> dict[str, Any]:
    schema, identity = dump_schema(generation), dump_identity(generation)
    return {"id": generation.id, "schema": schema, "identity": identity, "ef": generation.ef}


def _decode_entry(rows: list[tuple[Any, ...]]) -> Entry:
    uid, name, active, standby, role = rows[0][:5]
    found = {row[5]: row[5:] for row in rows}
    if active not in found or (standby is not None and standby not in found):
        raise StoreCorrupt(f"The catalogue names a generation of store {name!r} that it does not describe.")
    roles = {} if standby is None else {role: load_generation(*found[standby], standby=True, backend="postgresql")}
    if role == "building":
        # A generation without a role is the previous one, parked.
        for id_ in found.keys() - {active, standby}:
            roles["previous"] = load_generation(*found[id_], standby=True, backend="postgresql")
    return Entry(
        uid, check_name(name, "Store"), load_generation(*found[active], standby=False, backend="postgresql"), **roles
    )
