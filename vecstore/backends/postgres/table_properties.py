"""What belongs to a generation's table besides its records, and how another table takes it over.

Owner, rights, row security with its policies, comments, publications and options of storage are carried over, as
`property_queries` lists them. What a table cannot take over is in `table_dependents`, and a rebuild is refused.

A standby's table belongs to its owner alone: nobody else gets a right to it before the transaction that makes it the
active one, and that transaction takes the rights away from the table that it replaces. So nobody sees a record in two
tables, or under a policy that was tightened in the other one only. Partitions belong to the owner alone in any case:
the rights and policies of the whole table do not hold in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import psycopg

from vecstore.errors import StorageFailed, Unsupported

from .column_types import quote_table
from .generation_table import Layout
from .property_queries import GRANTED, LEFT_TO_OWNER, REMOVALS, REVOKED, UNEVEN, list_properties
from .statements import Statement
from .transaction import Transaction

_PLAIN_PATH = Statement("SET LOCAL search_path TO pg_catalog, pg_temp", MappingProxyType({}))
"""Makes the server qualify every name in an expression, as in a dump."""
_HINTS = MappingProxyType(
    {
        "42501": "Rebuild as the owner of the table, of its publications and of their rights, or as a superuser.",
        "42703": "It needs a column that the new schema does not have: change or remove it, then rebuild.",
    }
)
_OTHERWISE = "The server refused it for the new table: change or remove it, then rebuild."
_OF_THE_MOMENT = ("40", "53", "55", "57", "58")
"""Classes of errors that say nothing about the property: conflicts, resources, locks, cancelled statements, I/O."""


_NUMBERS = Statement(
    """
SELECT format('GRANT USAGE ON SEQUENCE %%I.%%I TO %%s', nspname, numbers.relname,
        CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END),
    pg_has_role(numbers.relowner, 'USAGE')
FROM pg_namespace n
JOIN pg_class changes ON changes.relnamespace = n.oid AND changes.relname = 'vecstore_change'
JOIN pg_class numbers ON numbers.relnamespace = n.oid AND numbers.relname = 'vecstore_change_seq',
aclexplode(coalesce(changes.relacl, acldefault('r', changes.relowner)))
WHERE nspname = %(namespace)s AND privilege_type = 'INSERT' AND NOT has_sequence_privilege(
    CASE WHEN grantee = 0 THEN 'public' ELSE pg_get_userbyid(grantee) END, numbers.oid, 'USAGE, UPDATE')
ORDER BY 1
""",
    MappingProxyType({}),
)


def share_numbers(transaction: Transaction, namespace: str) -> None:
    """Let every role that may note changes number them too, which only writes beside a standby do.

    Raises
    ------
    StorageFailed
        The sequence belongs to another role. Nothing was changed.
    """
    found = transaction.run(_NUMBERS, {"namespace": namespace})
    refused = [text for text, is_owner in found if not is_owner]
    if refused:
        raise StorageFailed(
            "Some roles may write to the store, but could not while it is rebuilt. Let an administrator run: "
            f"{'; '.join(refused)}"
        )
    for text, _ in found:
        transaction.run(Statement(text.replace("%", "%%"), MappingProxyType({}), writes=True), {})


class TableProperties:
    """What one table takes over from another, inside a transaction.

    Parameters
    ----------
    transaction : Transaction
    version : int
        The server's.
    source, target : Layout
    """

    def __init__(self, transaction: Transaction, version: int, source: Layout, target: Layout) -> None:
        self._transaction = transaction
        self._queries = list_properties(version)
        self._source, self._target = quote_table(source.table), quote_table(target.table)
        self._parts = [quote_table(each.table) for each in target.list_parts()]
        self._pairs = self._pair_tables([quote_table(each.table) for each in source.list_parts()])

    def _pair_tables(self, sources: list[str]) -> dict[str, str]:
        """Return, for each table of the target, the one whose storage it takes over."""
        is_same = len(sources) == len(self._parts)
        if not is_same and self._transaction.run(UNEVEN, {"tables": sources}):
            raise Unsupported(
                f"a rebuild of table {self._source} into another number of partitions, because its partitions differ",
                "postgres",
                "Give all of them the same storage options, tablespace and replica identity, then rebuild.",
            )
        pairs = dict(zip(self._parts, sources if is_same else sources[:1] * len(self._parts), strict=True))
        return pairs if self._target in pairs else {self._target: self._source, **pairs}

    def copy_to_standby(self) -> None:
        """Give a new table everything but the rights of others than its owner.

        Raises
        ------
        Unsupported
            The table cannot take it over. The transaction has failed.
        """
        self._transaction.run(_PLAIN_PATH, {})
        self._leave_to_owner(self._target)
        leave_to_owner(self._transaction, self._parts)
        self._apply(self._queries)

    def hand_over(self) -> None:
        """Make the target what the source is by now, rights included, and leave the source to its owner.

        Raises
        ------
        Unsupported
            As for `copy_to_standby`.
        """
        self._transaction.run(_PLAIN_PATH, {})
        if self._describe() != self._describe(itself=True):
            self._apply(REMOVALS)
            self._apply(self._queries)
        self._run_all(self._list(REVOKED, self._target, self._target, owner=True))
        self._apply([GRANTED])
        self._leave_to_owner(self._source)

    def _leave_to_owner(self, table: str) -> None:
        self._run_all(self._list(REVOKED, table, table))

    def _apply(self, queries: Iterable[Statement]) -> None:
        for query in queries:
            self._run_all(self._list(query, self._source, self._target))

    def _describe(self, *, itself: bool = False) -> list[tuple[str, str]]:
        """Return the statements that give the target what the source has, or what the target has already."""
        table = self._target if itself else self._source
        return [each for query in self._queries for each in self._list(query, table, self._target)]

    def _list(self, query: Statement, source: str, target: str, *, owner: bool = False) -> list[tuple[str, str]]:
        targets = list(self._pairs)
        sources = targets if source == self._target else list(self._pairs.values())
        values = {"source": source, "target": target, "owner": owner, "sources": sources, "targets": targets}
        return [(name, text) for name, text in self._transaction.run(query, values)]

    def _run_all(self, statements: Iterable[tuple[str, str]]) -> None:
        for name, text in statements:
            with _refusing(name, self._source):
                self._transaction.run(Statement(text.replace("%", "%%"), MappingProxyType({}), writes=True), {})


def leave_to_owner(transaction: Transaction, tables: Sequence[str]) -> None:
    """Take every right to some tables from everybody but their owners, who got it by default privileges."""
    for _, text in transaction.run(LEFT_TO_OWNER, {"tables": list(tables)}) if tables else ():
        transaction.run(Statement(text.replace("%", "%%"), MappingProxyType({}), writes=True), {})


@contextmanager
def _refusing(name: str, table: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if not state or state.startswith(_OF_THE_MOMENT):
            raise
        raise Unsupported(
            f"a rebuild that keeps {name} of {table}", "postgres", _HINTS.get(state, _OTHERWISE)
        ) from error
