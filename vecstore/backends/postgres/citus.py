"""Tables that Citus has divided over servers are refused: each part would answer for itself, and the sum be wrong."""

from __future__ import annotations

from types import MappingProxyType

from vecstore.errors import Unsupported

from .column_types import quote_table
from .generation_table import Layout
from .statements import Statement
from .transaction import Runner

_DIVIDED = Statement(
    "SELECT 1 FROM pg_catalog.pg_dist_partition WHERE logicalrelid = to_regclass(%(table)s) AND partmethod <> 'n'",
    MappingProxyType({}),
)


def check_undivided(runner: Runner, layout: Layout) -> None:
    """Refuse a table that is distributed by a column.

    Raises
    ------
    Unsupported
    """
    name = quote_table(layout.table)
    if runner.run(_DIVIDED, {"table": name}):
        raise Unsupported(
            f"table {name}, which Citus has divided over servers",
            "postgres",
            "Run undistribute_table() on it. citus_schema_distribute() lays a whole namespace on one server "
            "(docs/citus.md).",
        )
