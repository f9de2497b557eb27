"""What a rebuild cannot carry to a new table, by the server's own record of what depends on what.

Everything that depends on a generation's table is ours, is carried over (`table_properties`), or stands in a refusal.
So an object of a kind that nobody thought of is refused, and not lost.
"""

from __future__ import annotations

from types import MappingProxyType

from vecstore.errors import Unsupported

from .column_types import quote_table
from .generation_table import Layout
from .statements import Statement
from .transaction import Runner

_DEPENDENTS = Statement(
    """
WITH ours AS (SELECT c.*, c.oid = to_regclass(%(table)s) AS whole FROM pg_catalog.pg_class c
    WHERE oid = ANY (SELECT to_regclass(each) FROM unnest(%(table)s::text || %(parts)s::text[]) AS each)),
dependent AS (
    SELECT classid, objid, objsubid FROM pg_catalog.pg_depend, ours
    WHERE refclassid = 'pg_catalog.pg_class'::regclass AND refobjid = ours.oid
        AND NOT (classid = refclassid AND objid = refobjid)
    UNION SELECT classid, objid, objsubid FROM pg_catalog.pg_depend, ours
    WHERE refclassid = 'pg_catalog.pg_type'::regclass
        AND refobjid IN (SELECT oid FROM pg_catalog.pg_type WHERE typrelid = ours.oid
            UNION SELECT typarray FROM pg_catalog.pg_type WHERE typrelid = ours.oid)
),
foreign_object AS (
    SELECT classid, objid, objsubid FROM dependent
    WHERE NOT (classid = 'pg_catalog.pg_publication_rel'::regclass AND objid IN (
            SELECT p.oid FROM pg_catalog.pg_publication_rel p, ours WHERE prrelid = ours.oid AND whole))
        AND NOT (classid = 'pg_catalog.pg_policy'::regclass AND objid IN (
            SELECT p.oid FROM pg_catalog.pg_policy p, ours WHERE polrelid = ours.oid AND whole))
        AND NOT (classid = 'pg_catalog.pg_type'::regclass AND objid IN (
            SELECT type.oid FROM pg_catalog.pg_type type, ours WHERE type.typrelid = ours.oid
            UNION SELECT type.typarray FROM pg_catalog.pg_type type, ours WHERE type.typrelid = ours.oid))
        AND NOT (classid = 'pg_catalog.pg_class'::regclass AND objid IN (
            SELECT reltoastrelid FROM ours
            UNION SELECT oid FROM ours
            UNION SELECT indexrelid FROM pg_catalog.pg_index JOIN pg_catalog.pg_class i ON i.oid = indexrelid, ours
            WHERE indrelid = ours.oid
                AND (i.relname = ANY (%(indexes)s::text[]) OR starts_with(i.relname, %(graphs)s)
                    OR i.relispartition)))
        AND NOT (classid = 'pg_catalog.pg_constraint'::regclass AND objid IN (
            SELECT c.oid FROM pg_catalog.pg_constraint c, ours WHERE conrelid = ours.oid AND (
                (contype = 'p' AND conname = ANY (%(indexes)s::text[]))
                OR conparentid <> 0
                OR (contype = 'n' AND conkey <@ (SELECT array_agg(attnum) FROM pg_catalog.pg_attribute
                    WHERE attrelid = ours.oid AND attname IN ('id', 'version'))))))
        AND NOT (classid = 'pg_catalog.pg_trigger'::regclass AND objid IN (
            SELECT t.oid FROM pg_catalog.pg_trigger t, ours WHERE tgrelid = ours.oid
                AND (tgisinternal OR tgparentid <> 0 OR starts_with(tgname, 'vecstore_follow_'))))
),
named AS (
    SELECT CASE WHEN is_elsewhere THEN 'pg_catalog.pg_class'::regclass ELSE classid END AS classid,
        CASE WHEN is_elsewhere THEN rule.ev_class ELSE objid END AS objid, objsubid
    FROM foreign_object LEFT JOIN pg_catalog.pg_rewrite rule
        ON classid = 'pg_catalog.pg_rewrite'::regclass AND rule.oid = objid,
    LATERAL (SELECT rule.ev_class NOT IN (SELECT oid FROM ours) AS is_elsewhere) AS place
)
SELECT DISTINCT object.type || ' ' || object.identity
FROM named, pg_catalog.pg_identify_object(classid, objid, objsubid) AS object
UNION SELECT 'parent table ' || inhparent::regclass::text FROM pg_catalog.pg_inherits, ours
    WHERE inhrelid = ours.oid AND inhparent NOT IN (SELECT oid FROM ours)
UNION SELECT 'column ' || quote_ident(attname) FROM pg_catalog.pg_attribute, ours
    WHERE attrelid = ours.oid AND attnum > 0 AND NOT attisdropped AND attname <> ALL (%(columns)s::text[])
UNION SELECT 'security label of ' || provider FROM pg_catalog.pg_seclabel, ours
    WHERE classoid = 'pg_catalog.pg_class'::regclass AND objoid = ours.oid
UNION SELECT 'access method ' || quote_ident(amname) FROM pg_catalog.pg_am JOIN ours ON relam = pg_am.oid
    WHERE amname <> current_setting('default_table_access_method')
ORDER BY 1
""",
    MappingProxyType({}),
)
_MOST = 10
"""Objects that an error names."""


def check_dependents(runner: Runner, layout: Layout) -> None:
    """Refuse to replace a table that others depend on.

    Raises
    ------
    Unsupported
        The message names them.
    """
    table, name = layout.table, str(layout.table.name)
    values = {
        "table": quote_table(table),
        "parts": [quote_table(each.table) for each in layout.list_parts()] if layout.partitions > 1 else [],
        "columns": [str(each.name) for each in table.columns],
        "indexes": [f"{name}_pkey", *(str(each.name) for each in table.indexes)],
        "graphs": f"vecstore_h_{layout.id[:16]}_",
    }
    found = [str(each) for (each,) in runner.run(_DEPENDENTS, values)]
    if not found:
        return
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    raise Unsupported(
        f"a rebuild of table {quote_table(table)}, to which more belongs than it can carry: "
        f"{', '.join(found[:_MOST])}{more}",
        "postgres",
        "Drop that, rebuild, and make it again for the new table, which stats() names.",
    )
