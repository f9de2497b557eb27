"""The check of one generation: its indexes, and every value of every record."""

from __future__ import annotations

from sqlalchemy import Text, cast, func, literal_column, null, or_, select

from vecstore.backend import Verification
from vecstore.errors import StoreCorrupt

from .client import Client
from .column_types import name_function, quote_name
from .generation_table import Layout
from .indexes import list_graphs
from .reads import is_live
from .statements import Statement, compile_statement


def verify_table(client: Client, layout: Layout) -> Verification:
    """Read every value of every record, which makes the server check its page checksums."""
    problems = [f"index {each.name} is not valid: reindex()" for each in list_graphs(client, layout) if not each.valid]
    try:
        [(count, sound)] = client.run(_compile_reading(layout), {})
    except StoreCorrupt as error:
        return Verification(0, (*problems, str(error)))
    if sound != count:
        problems.append(f"{count - sound} records have a vector of another dimension")
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
