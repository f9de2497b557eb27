"""The triggers by which the table of a followed generation notes what changes in it."""

from __future__ import annotations

import re
from types import MappingProxyType

from ..column_types import quote_name, quote_table
from ..generation_table import Layout
from ..statements import Statement
from ..transaction import Runner

_EVENTS = (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD"))
_ID = re.compile("[0-9a-f]{32}")


def create_triggers(runner: Runner, layout: Layout) -> None:
    """Let a table note changes from now on. The statement waits for writes that are under way."""
    place = quote_name(str(layout.table.schema))
    if not _ID.fullmatch(layout.id):
        raise ValueError("a generation's id has 32 hexadecimal digits")
    for event, side in _EVENTS:
        text = (
            f"CREATE OR REPLACE TRIGGER vecstore_follow_{event} AFTER {event.upper()} ON {quote_table(layout.table)} "
            f"REFERENCING {side} TABLE AS changed FOR EACH STATEMENT "
            f"EXECUTE FUNCTION {place}.vecstore_note_change('{layout.id}')"
        )
        runner.run(Statement(text, MappingProxyType({}), writes=True), {})


def drop_triggers(runner: Runner, layout: Layout) -> None:
    """Let a table note changes no more."""
    for event, _ in _EVENTS:
        text = f"DROP TRIGGER IF EXISTS vecstore_follow_{event} ON {quote_table(layout.table)}"
        runner.run(Statement(text, MappingProxyType({}), writes=True), {})
