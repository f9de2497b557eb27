"""Row security: where a role sees only a part of a table, nothing may take that part for the whole."""

from __future__ import annotations

from types import MappingProxyType

from vecstore.errors import Unsupported

from .column_types import quote_table
from .generation_table import Layout
from .statements import Statement
from .transaction import Runner

_ACTIVE = Statement(
    "SELECT row_security_active(c.oid), quote_ident(current_user), relforcerowsecurity "
    "FROM pg_catalog.pg_class c WHERE oid = to_regclass(%(table)s)",
    MappingProxyType({}),
)


def check_sees_all(runner: Runner, layout: Layout, what: str = "a rebuild") -> None:
    """Refuse a call that would take the rows that the role may see for the whole table.

    Raises
    ------
    Unsupported
    """
    table = quote_table(layout.table)
    for is_active, role, is_forced in runner.run(_ACTIVE, {"table": table}):
        if is_active:
            forced = f"or run ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY while it lasts, " if is_forced else ""
            raise Unsupported(
                f"{what} of table {table} as role {role}, to which its row security applies",
                "postgres",
                f"It would take the rows that the role may see for all of them. Connect as the table's owner, {forced}"
                f"or have a superuser run: ALTER ROLE {role} BYPASSRLS",
            )
