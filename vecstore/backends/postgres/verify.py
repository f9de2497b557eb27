"""The check of one generation: its indexes, every value of every record, and the copy of metadata that filters use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import MappingProxyType

from sqlalchemy import Text, cast, func, literal_column, null, or_, select

from vecstore.backend import Verification
from vecstore.errors import StoreCorrupt
from vecstore.filters.canonical_json import make_canonical

from .client import Client
from .column_types import name_function, quote_name, quote_table
from .generation_table import Layout
from .indexes import list_graphs
from .reads import is_live
from .statements import Statement, compile_statement, make_parameter

_PAGE = 5_000
_SHOWN = 10
_ATTACHED = Statement("SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass(%(table)s)", MappingProxyType({}))


def verify_table(client: Client, layout: Layout) -> Verification:
    """Read every value of every record, which makes the server check its page checksums."""
    problems = [f"index {each.name} is not valid: reindex()" for each in list_graphs(client, layout) if not each.valid]
    if layout.partitions > 1:
        [(attached,)] = client.run(_ATTACHED, {"table": quote_table(layout.table)})
        if attached != layout.partitions:
            problems.append(
                f"{attached} of {layout.partitions} partitions are attached to the table, so the records of the others "
                "are missing: ALTER TABLE … ATTACH PARTITION, or restore a backup"
            )
    try:
        [(count, sound)] = client.run(_compile_reading(layout), {})
        strange = list(_find_strange_copies(client, layout)) if layout.schema.dynamic else []
    except StoreCorrupt as error:
        return Verification(0, (*problems, str(error)))
    if sound != count:
        problems.append(f"{count - sound} records have a vector of another dimension")
    if strange:
        named = ", ".join(f"{id_!a}" for id_ in strange[:_SHOWN])
        problems.append(
            f"{len(strange)} records have other metadata in extra_values, which filters read, than in extra: {named}. "
            "upsert(get(ids)) writes both"
        )
    return Verification(count, tuple(problems))


def _compile_reading(layout: Layout) -> Statement:
    """Hash every record as text, which reads each of its values, those in TOAST tables too."""
    table = layout.table
    hashed = func.hashtextextended(cast(literal_column(quote_name(table.name)), Text()), literal_column("0"))
    dims = name_function(layout.extension)("vector_dims", table.c.embedding)
    is_whole = dims == literal_column(str(layout.schema.width))
    if layout.schema.has_optional_vectors:
        is_whole = or_(is_whole, table.c.embedding.is_(null()))
    sound = func.count().filter(is_whole, hashed.is_not(None))
    return compile_statement(select(func.count(), sound).where(is_live(layout, None)))


def _find_strange_copies(client: Client, layout: Layout) -> Iterator[str]:
    """Yield the ids of records whose values for filters are not those of their metadata."""
    first, later = (_compile_copies(layout, after=after) for after in (False, True))
    page = client.run(first, {})
    while page:
        for id_, extra, values in page:
            if values is None or _normalise(extra) != _normalise(values):
                yield id_
        page = client.run(later, {"after": page[-1][0]})


def _compile_copies(layout: Layout, *, after: bool) -> Statement:
    table = layout.table
    rows = select(table.c.id, cast(table.c.extra, Text()), cast(table.c.extra_values, Text()))
    rows = rows.where(is_live(layout, None)).order_by(table.c.id).limit(literal_column(str(_PAGE)))
    if after:
        rows = rows.where(table.c.id > cast(make_parameter("after", Text()), Text()))
    return compile_statement(rows)


def _normalise(text: str) -> str:
    """Return JSON in one spelling, also of numbers that the server writes in another way."""
    return json.dumps(json.loads(make_canonical(text)), sort_keys=True)
