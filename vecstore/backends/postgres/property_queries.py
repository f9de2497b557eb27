"""Queries for the statements that give one table the properties of another; see `table_properties`.

The server writes the statements, so it quotes every name in them. Each query takes the qualified names ``source`` and
``target`` and returns the name of a property with a statement. What each partition has of its own is listed for pairs
of tables, ``sources`` and ``targets``.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from .statements import Statement

_SHARED_COLUMNS = """
FROM pg_attribute a JOIN pg_attribute other ON other.attname = a.attname AND other.attrelid = to_regclass(%(target)s)
WHERE a.attrelid = to_regclass(%(source)s) AND a.attnum > 0 AND NOT a.attisdropped AND NOT other.attisdropped
"""

_PROPERTIES = (
    """
    SELECT 'row security',
        format('ALTER TABLE %%s %%s ROW LEVEL SECURITY, %%s ROW LEVEL SECURITY', %(target)s::text,
        CASE WHEN relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END,
        CASE WHEN relforcerowsecurity THEN 'FORCE' ELSE 'NO FORCE' END)
    FROM pg_class WHERE oid = to_regclass(%(source)s)""",
    # Where an expression has a query inside, the server writes the table's own columns with the table's name,
    # which no other word contains: it ends in 32 random digits.
    """
    SELECT 'policy ' || quote_ident(polname),
        format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', polname, %(target)s::text,
        CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                ELSE 'ALL' END,
        (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', '
                ORDER BY role) FROM unnest(polroles) role),
        replace(' USING (' || pg_get_expr(polqual, polrelid) || ')', source.relname, target.relname),
        replace(' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')',
                source.relname, target.relname))
    FROM pg_policy, pg_class source, pg_class target
    WHERE polrelid = source.oid AND source.oid = to_regclass(%(source)s)
        AND target.oid = to_regclass(%(target)s)
    ORDER BY polname""",
    """
    SELECT 'comment of policy ' || quote_ident(polname),
        format('COMMENT ON POLICY %%I ON %%s IS %%L', polname, %(target)s::text,
        obj_description(oid, 'pg_policy'))
    FROM pg_policy WHERE polrelid = to_regclass(%(source)s) AND obj_description(oid, 'pg_policy') IS NOT NULL
    ORDER BY polname""",
    """
    SELECT 'comment',
        format('COMMENT ON TABLE %%s IS %%L', %(target)s::text,
        obj_description(to_regclass(%(source)s), 'pg_class'))
    WHERE obj_description(to_regclass(%(source)s), 'pg_class')
        IS DISTINCT FROM obj_description(to_regclass(%(target)s), 'pg_class')""",
    """
    SELECT 'comments of columns',
        format('COMMENT ON COLUMN %%s.%%I IS %%L', %(target)s::text, a.attname,
        col_description(a.attrelid, a.attnum))
    {shared columns} AND col_description(a.attrelid, a.attnum)
        IS DISTINCT FROM col_description(other.attrelid, other.attnum)
    ORDER BY a.attname""",
    """
    SELECT 'statistics targets',
        format('ALTER TABLE %%s ALTER COLUMN %%I SET STATISTICS %%s', %(target)s::text, a.attname,
        coalesce(a.attstattarget, -1))
    {shared columns} AND a.attstattarget IS DISTINCT FROM other.attstattarget
    ORDER BY a.attname""",
    """
    SELECT 'options of columns',
        format('ALTER TABLE %%s ALTER COLUMN %%I SET (%%s)', %(target)s::text, a.attname,
        (SELECT string_agg(format('%%I = %%L', option_name, option_value), ', ')
                FROM pg_options_to_table(a.attoptions)))
    {shared columns} AND a.attoptions IS NOT NULL AND a.attoptions IS DISTINCT FROM other.attoptions
    ORDER BY a.attname""",
    """
    SELECT 'storage of columns',
        format('ALTER TABLE %%s ALTER COLUMN %%I SET STORAGE %%s', %(target)s::text, a.attname,
        CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                ELSE 'EXTENDED' END)
    {shared columns} AND a.atttypid = other.atttypid AND a.attstorage <> other.attstorage
    ORDER BY a.attname""",
    """
    SELECT 'compression of columns',
        format('ALTER TABLE %%s ALTER COLUMN %%I SET COMPRESSION %%s', %(target)s::text, a.attname,
        CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'DEFAULT' END)
    {shared columns} AND a.atttypid = other.atttypid AND a.attcompression <> other.attcompression
    ORDER BY a.attname""",
)

_PAIRS = """
FROM unnest(%(sources)s::text[], %(targets)s::text[]) WITH ORDINALITY AS pair(of_source, of_target, number)
JOIN pg_class source ON source.oid = to_regclass(pair.of_source)
JOIN pg_class target ON target.oid = to_regclass(pair.of_target)
"""
_STORAGE = (
    """
    SELECT 'options of the table',
        format('ALTER TABLE %%s SET (%%s)', pair.of_target,
        string_agg(format('%%s%%I = %%L', prefix, option_name, option_value), ', ' ORDER BY prefix, option_name))
    {pairs} CROSS JOIN LATERAL (
        SELECT '' AS prefix, source.reloptions
        UNION ALL SELECT 'toast.', toast.reloptions FROM pg_class toast WHERE toast.oid = source.reltoastrelid
    ) AS options, pg_options_to_table(options.reloptions)
    WHERE target.relkind <> 'p'
    GROUP BY pair.number, pair.of_target ORDER BY pair.number""",
    """
    SELECT 'persistence',
        format('ALTER TABLE %%s SET %%s', pair.of_target,
        CASE source.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END)
    {pairs} WHERE target.relpersistence <> source.relpersistence AND target.relkind <> 'p' ORDER BY pair.number""",
    """
    SELECT 'tablespace',
        format('ALTER TABLE %%s SET TABLESPACE %%I', pair.of_target, coalesce(spcname, 'pg_default'))
    {pairs} LEFT JOIN pg_tablespace space ON space.oid = source.reltablespace
    WHERE target.reltablespace <> source.reltablespace ORDER BY pair.number""",
    """
    SELECT 'replica identity',
        format('ALTER TABLE %%s REPLICA IDENTITY %%s', pair.of_target,
        CASE source.relreplident WHEN 'n' THEN 'NOTHING' WHEN 'f' THEN 'FULL' ELSE 'DEFAULT' END)
    {pairs} WHERE target.relreplident <> source.relreplident ORDER BY pair.number""",
)

_OWNER = """
SELECT 'owner ' || quote_ident(pg_get_userbyid(relowner)),
    format('ALTER TABLE %%s OWNER TO %%I', each, pg_get_userbyid(relowner))
FROM pg_class, unnest(%(targets)s::text[]) WITH ORDINALITY AS target(each, number)
WHERE oid = to_regclass(%(source)s) ORDER BY number DESC"""
_PUBLICATIONS = """
SELECT 'publication ' || quote_ident(pubname),
    format('ALTER PUBLICATION %%I ADD TABLE ONLY %%s', pubname, %(target)s::text)
FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid WHERE prrelid = to_regclass(%(source)s)
ORDER BY pubname"""
_PUBLICATIONS_15 = """
SELECT 'publication ' || quote_ident(pubname),
    format('ALTER PUBLICATION %%I ADD TABLE ONLY %%s%%s%%s', pubname, %(target)s::text,
    (SELECT ' (' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')' FROM pg_attribute
    WHERE attrelid = prrelid AND attnum = ANY (prattrs)),
    replace(' WHERE (' || pg_get_expr(prqual, prrelid) || ')', source.relname, target.relname))
FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid, pg_class source, pg_class target
WHERE prrelid = source.oid AND source.oid = to_regclass(%(source)s) AND target.oid = to_regclass(%(target)s)
ORDER BY pubname"""
_COLUMN_LISTS = 150_000
"""The first version whose publications have lists of columns and filters of rows."""

_REMOVALS = (
    """
    SELECT 'policies', format('DROP POLICY %%I ON %%s', polname, %(target)s::text)
    FROM pg_policy WHERE polrelid = to_regclass(%(target)s) ORDER BY polname""",
    """
    SELECT 'publications', format('ALTER PUBLICATION %%I DROP TABLE ONLY %%s', pubname, %(target)s::text)
    FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid WHERE prrelid = to_regclass(%(target)s)
    ORDER BY pubname""",
)

_UNEVEN = """
SELECT count(DISTINCT (c.reloptions, toast.reloptions, c.relpersistence, c.reltablespace, c.relreplident))
FROM pg_class c LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
WHERE c.oid = ANY (SELECT to_regclass(each) FROM unnest(%(tables)s::text[]) AS each)
HAVING count(DISTINCT (c.reloptions, toast.reloptions, c.relpersistence, c.reltablespace, c.relreplident)) > 1
"""
_LEFT_TO_OWNER = """
SELECT 'rights', format('REVOKE ALL ON %%s FROM %%s CASCADE', each, {grantee})
FROM unnest(%(tables)s::text[]) AS each JOIN pg_class c ON c.oid = to_regclass(each),
    aclexplode(coalesce(relacl, acldefault('r', relowner)))
WHERE grantee <> relowner
GROUP BY each, grantee
"""

_RIGHTS_OF_TARGET = """
(
    SELECT grantee FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner)))
    WHERE oid = to_regclass(%(target)s)
    UNION SELECT grantee FROM pg_attribute, aclexplode(attacl)
    WHERE attrelid = to_regclass(%(target)s) AND attnum > 0 AND NOT attisdropped
) AS granted
"""
_RIGHTS_OF_SOURCE = """
(
    SELECT '' AS of_column, acl.* FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) acl
    WHERE oid = to_regclass(%(source)s)
    UNION ALL SELECT format('(%%I)', a.attname), acl.* FROM (SELECT a.* {shared columns}) AS a, aclexplode(attacl) acl
) AS granted
"""
_GRANTEE = "CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END"
_REVOKED = """
SELECT 'rights', format('REVOKE ALL ON %%s FROM %%s CASCADE', %(target)s::text, {grantee})
FROM {rights of target}
WHERE grantee <> (SELECT relowner FROM pg_class WHERE oid = to_regclass(%(target)s)) OR %(owner)s
"""
_GRANTED = """
SELECT 'rights', format('GRANT %%s ON %%s TO %%s%%s',
    string_agg(DISTINCT privilege_type || of_column, ', '), %(target)s::text,
    {grantee}, CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM {rights of source}
GROUP BY grantee, is_grantable ORDER BY 1
"""
_PARTS = MappingProxyType(
    {
        "{rights of source}": _RIGHTS_OF_SOURCE,
        "{rights of target}": _RIGHTS_OF_TARGET,
        "{shared columns}": _SHARED_COLUMNS,
        "{grantee}": _GRANTEE,
        "{pairs}": _PAIRS,
    }
)


def _make_query(text: str) -> Statement:
    for name, part in _PARTS.items():
        text = text.replace(name, part)
    return Statement(text, MappingProxyType({}))


REMOVALS = tuple(map(_make_query, _REMOVALS))
"""What a table loses before it takes over a changed property: things of which it may have several."""
REVOKED = _make_query(_REVOKED)
"""Takes every right to the target away, those of its owner only with ``owner``."""
UNEVEN = _make_query(_UNEVEN)
"""Returns a row where tables differ in what each partition has of its own."""
LEFT_TO_OWNER = _make_query(_LEFT_TO_OWNER)
"""Takes every right to some tables from everybody but their owners."""
GRANTED = _make_query(_GRANTED)
"""Gives everybody the rights to the target that they have to the source, as the owner's grants."""


def list_properties(version: int) -> Sequence[Statement]:
    """Return the query of each property but rights, for a version of the server.

    The owner comes last: who made the table changes the others.
    """
    publications = _PUBLICATIONS_15 if version >= _COLUMN_LISTS else _PUBLICATIONS
    return tuple(map(_make_query, (*_STORAGE, *_PROPERTIES, publications, _OWNER)))
