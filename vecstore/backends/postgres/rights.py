"""The rights that each call needs. Where the server refuses one, the error names them with the statements to run.

The server names the object of a refusal only in its message, in its own language. So after a refusal the rights of the
call are looked up one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from vecstore.errors import StorageFailed, VecstoreError

from .statements import Statement
from .transaction import Runner

_RECORDS = "records"
"""Stands for the table of the generation that a call is about."""
_DATABASE = "*"
"""Stands for the database, in which a missing namespace has to be made."""
_OF_OWNERS = frozenset({"OWNER", "MAINTAIN"})
"""Rights to a partitioned table that say nothing of its partitions."""
_READS = {_RECORDS: "SELECT", "vecstore_store": "SELECT"}
_NOTES = {
    "vecstore_change": "SELECT, INSERT, UPDATE",
    "vecstore_change_seq": "USAGE",
    "pg_advisory_xact_lock_shared(bigint)": "EXECUTE",
}
_LISTS = {"vecstore_store": "SELECT", "vecstore_generation": "SELECT"}
_BUILDS = {"pg_try_advisory_xact_lock(bigint)": "EXECUTE"}
_SEES = {"vecstore_follower": "SELECT", "vecstore_follower_note": "SELECT"}
_ENDS = {
    "vecstore_follower": "SELECT, DELETE",
    "vecstore_follower_note": "SELECT, DELETE",
    "vecstore_follower_left": "INSERT",
    "vecstore_generation": "UPDATE",
}
_SWITCHES = {"pg_advisory_xact_lock(bigint)": "EXECUTE", "vecstore_change": "SELECT, DELETE"}

CALLS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "connect": {**_LISTS, "vecstore_alembic_version": "SELECT"},
        "find": _LISTS,
        "read": _READS,
        "verify": _READS,
        "search": {**_READS, "vecstore_generation": "SELECT"},
        # A row lock FOR SHARE needs the right to update a column.
        "write": {_RECORDS: "SELECT, INSERT, UPDATE", "vecstore_store": "SELECT, UPDATE", **_NOTES},
        "update": {_RECORDS: "SELECT, UPDATE", "vecstore_store": "SELECT, UPDATE", **_NOTES},
        # A record with a version leaves a tombstone, which is an update.
        "delete": {_RECORDS: "SELECT, INSERT, UPDATE, DELETE", "vecstore_store": "SELECT, UPDATE", **_NOTES},
        "follow": {**_READS, "vecstore_change": "SELECT, UPDATE, DELETE"},
        "amend": {"vecstore_generation": "SELECT, UPDATE"},
        "create": {
            "": "CREATE",
            "vecstore_store": "SELECT, INSERT, UPDATE",
            "vecstore_generation": "SELECT, INSERT",
            **_SWITCHES,
        },
        "create standby": {
            _RECORDS: "SELECT, OWNER",
            "": "CREATE",
            "vecstore_store": "SELECT, UPDATE",
            "vecstore_generation": "SELECT, INSERT",
            **_SWITCHES,
        },
        "rename": {"vecstore_store": "SELECT, UPDATE", "vecstore_generation": "SELECT"},
        "drop": {
            _RECORDS: "OWNER",
            "vecstore_store": "SELECT, UPDATE, DELETE",
            "vecstore_generation": "SELECT, DELETE",
            **_SWITCHES,
        },
        "build": {
            _RECORDS: "SELECT, OWNER",
            "": "CREATE",
            "vecstore_store": "SELECT",
            "vecstore_generation": "SELECT, UPDATE",
            **_BUILDS,
        },
        "compact": {_RECORDS: "SELECT, MAINTAIN", **_LISTS, **_BUILDS},
        "rebuild": {**_LISTS, **_BUILDS},
        "switch": {
            _RECORDS: "SELECT, OWNER",
            "vecstore_store": "SELECT, UPDATE",
            "vecstore_generation": "SELECT, DELETE",
            **_SWITCHES,
        },
        "migrate": {
            _DATABASE: "CREATE",
            "": "CREATE",
            "vecstore_alembic_version": "OWNER",
            "vecstore_store": "OWNER",
            "vecstore_generation": "OWNER",
            "vecstore_change": "OWNER",
            "vecstore_follower": "OWNER",
            "vecstore_follower_note": "OWNER",
            "vecstore_follower_left": "OWNER",
        },
    }
)
"""By the name of a call, the rights that it needs to which objects; an empty name is the namespace itself."""
FOLLOWED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "read": _SEES,
        "search": _SEES,
        "verify": {
            "vecstore_follower": "SELECT, UPDATE",
            "vecstore_follower_note": "SELECT",
            "vecstore_follower_left": "SELECT, INSERT",
        },
        "build": {
            "vecstore_follower": "SELECT, INSERT, UPDATE, DELETE",
            "vecstore_follower_note": "SELECT, INSERT, UPDATE, DELETE",
            "vecstore_follower_left": "SELECT, INSERT, DELETE",
            "vecstore_change_seq": "USAGE",
        },
        "compact": {"vecstore_follower": "SELECT"},
        "drop": _ENDS,
        "switch": _ENDS,
    }
)
"""The further rights of calls where another engine follows the stores."""

_MISSING = Statement(
    """
SELECT CASE WHEN w.name = '*' THEN 'database' WHEN w.name = '' THEN 'schema' WHEN w.name LIKE '%%)' THEN 'function'
        WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END,
    CASE WHEN w.name = '*' THEN quote_ident(current_database()) WHEN w.name = '' THEN quote_ident(w.place)
        WHEN w.name LIKE '%%)' THEN w.place || '.' || w.name ELSE format('%%I.%%I', w.place, w.name) END,
    CASE WHEN w.wanted = 'MAINTAIN' AND NOT has_maintain THEN 'OWNER' ELSE w.wanted END,
    quote_ident(current_user), quote_ident(pg_get_userbyid(c.relowner)),
    coalesce((SELECT rolsuper FROM pg_roles WHERE oid = c.relowner), false)
FROM unnest(%(places)s::text[], %(names)s::text[], %(wanted)s::text[]) WITH ORDINALITY AS w(place, name, wanted, number)
CROSS JOIN (SELECT current_setting('server_version_num')::int >= 170000 AS has_maintain) AS server
LEFT JOIN pg_namespace n ON n.nspname = w.place
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
WHERE NOT coalesce(CASE
    WHEN w.name = '*' THEN n.oid IS NOT NULL OR has_database_privilege(current_database(), w.wanted)
    WHEN w.name = '' THEN has_schema_privilege(n.oid, w.wanted)
    WHEN w.name LIKE '%%)' THEN has_function_privilege(w.place || '.' || w.name, w.wanted)
    WHEN w.wanted = 'OWNER' THEN pg_has_role(c.relowner, 'USAGE')
    WHEN w.wanted = 'MAINTAIN' AND (NOT has_maintain OR pg_has_role(c.relowner, 'USAGE'))
        THEN pg_has_role(c.relowner, 'USAGE')
    WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, w.wanted || ', UPDATE')
    WHEN w.wanted = 'UPDATE' AND w.name = 'vecstore_store' THEN has_any_column_privilege(c.oid, w.wanted)
    ELSE has_table_privilege(c.oid, w.wanted) END, true)
ORDER BY w.number
""",
    MappingProxyType({}),
)
_ROW_SECURITY = Statement(
    """
SELECT format('%%I.%%I', nspname, relname), quote_ident(current_user)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = %(place)s AND relname = ANY (%(tables)s::text[]) AND row_security_active(c.oid)
""",
    MappingProxyType({}),
)
_UNKNOWN = "The database role lacks a right that this call needs; the server's log names it."


def make_denial() -> StorageFailed:
    """Return the error of a refusal for which no right is found to be missing."""
    return StorageFailed(_UNKNOWN)


@dataclass(frozen=True, slots=True)
class Denied:
    """A call that the server refused for a lack of rights.

    Attributes
    ----------
    call : str
        One of `CALLS`.
    namespace, extension : str
        The schemas of the stores and of pgvector.
    tables : sequence of str
        The names of the tables of records that the call is about.
    parts : sequence of str
        The names of their partitions, whose owner matters where a call needs the rights of the tables' owner.
    followed : bool
        Whether another engine follows the stores.
    """

    call: str
    namespace: str
    extension: str = ""
    tables: Sequence[str] = ()
    parts: Sequence[str] = ()
    followed: bool = False

    def explain(self, runner: Runner) -> VecstoreError | None:
        """Return an error that names the missing rights and the statements that give them; None if none is found."""
        missing = self._find_missing(runner)
        if missing:
            return StorageFailed(_describe(missing))
        for table, role in runner.run(_ROW_SECURITY, {"place": self.namespace, "tables": list(self.tables)}):
            return StorageFailed(
                f"The row security of table {table} keeps role {role} from writing this: an id belongs to a record "
                "that the role may not see, or no policy allows the values (WITH CHECK). See the view pg_policies."
            )
        return None

    def check(self, runner: Runner) -> None:
        """Refuse a call for which a right is missing: the server only warns of some, and does nothing.

        Raises
        ------
        StorageFailed
        """
        missing = self._find_missing(runner)
        if missing:
            raise StorageFailed(_describe(missing))

    def _find_missing(self, runner: Runner) -> list[_Missing]:
        wanted = self._list_wanted()
        values = dict(zip(("places", "names", "wanted"), map(list, zip(*wanted, strict=True)), strict=True))
        return [_Missing(*row) for row in runner.run(_MISSING, values)]

    def _list_wanted(self) -> Sequence[tuple[str, str, str]]:
        """Return schema, object and right, the schemas' own first: without those nothing in them is found."""
        wanted = [(self.namespace, "", "USAGE")]
        if self.extension:
            wanted.append((self.extension, "", "USAGE"))
        further = FOLLOWED.get(self.call, {}) if self.followed else {}
        for name, rights in (*CALLS[self.call].items(), *further.items()):
            place = "pg_catalog" if name.endswith(")") else self.namespace
            for right in rights.split(", "):
                parts = self.parts if right in _OF_OWNERS else ()
                objects = (*self.tables, *parts) if name == _RECORDS else (name,)
                wanted += [(place, each, right) for each in objects]
        return wanted


@dataclass(frozen=True, slots=True)
class _Missing:
    """A right that a role lacks; names are quoted where SQL needs it."""

    kind: str
    object: str
    right: str
    role: str
    owner: str | None
    is_superusers: bool

    @property
    def remedy(self) -> str:
        """The statement that gives ownership, whose form depends on the owner."""
        if self.is_superusers:
            return f"ALTER {self.kind.upper()} {self.object} OWNER TO {self.role}"
        return f"GRANT {self.owner} TO {self.role}"


def _describe(missing: Sequence[_Missing]) -> str:
    """Return the message about missing rights, those to one object together."""
    by_object: dict[tuple[str, str], list[_Missing]] = {}
    for each in missing:
        by_object.setdefault((each.kind, each.object), []).append(each)
    lacks, remedies = list[str](), dict[str, None]()
    for (kind, name), group in by_object.items():
        rights = [each.right for each in group if each.right != "OWNER"]
        if rights:
            what = name if kind == "table" else f"{kind.upper()} {name}"
            lacks.append(f"{', '.join(rights)} on {kind} {name}")
            remedies[f"GRANT {', '.join(rights)} ON {what} TO {group[0].role}"] = None
        for each in group:
            if each.right == "OWNER":
                lacks.append(f"those of {each.owner}, the owner of {kind} {name}")
                remedies[each.remedy] = None
    role, run = missing[0].role, "; ".join(remedies)
    return f"The database role {role} lacks rights: {'; '.join(lacks)}. Let an administrator run: {run}"
