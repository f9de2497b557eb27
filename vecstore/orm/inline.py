"""``freshness="inline"``: what a session changes is embedded by the session itself, without a wait for a worker.

A vector in a row is embedded in the flush that writes the row, so that it is in the same transaction: a rollback, or
one to a savepoint, leaves nothing of it. A store is written once the outermost transaction is committed, with a fence
like a worker's. What a flush does not see, such as a bulk statement, waits in the outbox until then as well. Whatever
fails here stays in the outbox, for a worker.

Within a flush nothing is read on a connection of its own: a pool may have no second one, and a database of SQLite in
memory has one connection for all, whose return to the pool would roll the application back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, TextClause, event, inspect
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransactionOrigin
from sqlalchemy.sql.elements import ClauseElement

from .keys import Key
from .searched_models import SearchedModel
from .sinks import ColumnSink
from .worker import SyncWorker

_EMBEDDED = "vecstore_embedded"
_COMMITTED = "vecstore_committed"
_CHANGED = "vecstore_changed"
_UNSEEN = 1_000
"""How many changes a statement counts for, whose rows no flush saw."""
MOST_AT_ONCE = 10_000
"""Changes that one commit works off."""
_BESIDE = 100
"""How many changes a flush may cause beside its own rows: the database cascades, and texts depend on related rows."""
_log = logging.getLogger("vecstore.orm")


class InlineSync:
    """Listens to the sessions of one application.

    Parameters
    ----------
    models : sequence of SearchedModel
        Those that are declared with ``freshness="inline"``.
    open_column : callable
        From a declaration and the connection of a session to the column that its vectors are in.
    make_worker : callable
        From declarations, and a number of changes, to a worker for these alone that takes the newest so many.
    """

    def __init__(
        self,
        models: Sequence[SearchedModel],
        open_column: Callable[[SearchedModel, Connection], ColumnSink],
        make_worker: Callable[[Sequence[SearchedModel], int], SyncWorker],
    ) -> None:
        self._models = models
        self._in_rows = [model for model in models if model.vector_column is not None]
        self._open_column = open_column
        self._make_worker = make_worker

    def listen(self, sessions: Any) -> None:
        """Listen to a sessionmaker, or to a class of sessions."""
        if not self._models:
            return
        if self._in_rows:
            event.listen(sessions, "before_flush", self._embed)
            event.listen(sessions, "after_flush", self._note)
        event.listen(sessions, "after_transaction_create", self._expect)
        event.listen(sessions, "do_orm_execute", self._count_statement)
        event.listen(sessions, "after_flush", self._count_flushed)
        event.listen(sessions, "after_commit", self._remember)
        event.listen(sessions, "after_transaction_end", self._work)

    def _embed(self, session: Session, context: object, instances: object) -> None:
        """Give new and changed rows the vectors of their texts."""
        pending: list[tuple[SearchedModel, ColumnSink, Any, str]] = session.info.setdefault(_EMBEDDED, [])
        pending.clear()
        for model in self._in_rows:
            rows = _list_changed([*session.new, *session.dirty], model)
            texts = [(row, text) for row in rows if (text := model.compose_text(row)) is not None]
            if not texts:
                continue
            try:
                with _guard(session, model) as connection:
                    sink = self._open_column(model, connection)
                vectors = sink.embed([text for _, text in texts if text])
                with _guard(session, model) as connection:
                    if not sink.is_current(connection):
                        _log.warning("%s: rows are left to the worker: the column changed hands", model.label)
                        continue
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                _log.warning("%s: rows are left to the worker: %s", model.label, type(error).__name__)
                continue
            made = iter(vectors)
            for row, text in texts:
                setattr(row, model.declaration.column or "", next(made) if text else None)
                if text:
                    pending.append((model, sink, row, text))

    def _note(self, session: Session, context: Any) -> None:
        """Say of which texts the vectors are, so that a worker makes none of them again."""
        noted: dict[ColumnSink, tuple[SearchedModel, dict[Key, str]]] = {}
        for model, sink, row, text in session.info.get(_EMBEDDED, ()):
            # Not every row was written: flush() may have been given some objects only, and listeners change others.
            is_deleted, is_only_listed = context.states.get(inspect(row), (False, True))
            if not is_deleted and not is_only_listed and model.compose_text(row) == text:
                noted.setdefault(sink, (model, {}))[1][model.get_key(row)] = text
        for sink, (model, texts) in noted.items():
            try:
                with _guard(session, model) as connection:
                    sink.note(connection, texts)
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                _log.warning("%s: rows are embedded again by the worker: %s", model.label, type(error).__name__)

    def _expect(self, session: Session, transaction: Any) -> None:
        """Count a flush or ``bulk_save_objects``, of which a session announces no more than this."""
        if transaction.origin is SessionTransactionOrigin.SUBTRANSACTION:
            session.info[_CHANGED] = session.info.get(_CHANGED, 0) + _UNSEEN

    def _count_flushed(self, session: Session, context: Any) -> None:
        """Count the rows of a flush instead."""
        known = len(context.states) * len(self._models) + _BESIDE
        session.info[_CHANGED] = max(session.info.get(_CHANGED, 0) - _UNSEEN, 0) + known

    def _count_statement(self, state: ORMExecuteState) -> None:
        """Count a statement that may change rows."""
        statement = state.statement
        is_text = isinstance(statement, TextClause) and statement.text.lstrip()[:6].lower() != "select"
        if is_text or state.is_insert or state.is_update or state.is_delete:
            state.session.info[_CHANGED] = state.session.info.get(_CHANGED, 0) + _UNSEEN

    def _remember(self, session: Session) -> None:
        if not session.in_nested_transaction():  # the release of a savepoint is announced as a commit
            session.info[_COMMITTED] = True

    def _work(self, session: Session, transaction: Any) -> None:
        """Work off what the session changed once its outermost transaction is over, and no backlog beside it."""
        if transaction.parent is not None:
            return
        changed = session.info.pop(_CHANGED, 0)
        if not session.info.pop(_COMMITTED, False) or not changed:
            return
        try:
            self._make_worker(self._models, min(changed, MOST_AT_ONCE)).work()
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            _log.warning("changes are left to the worker: %s", type(error).__name__)


@contextmanager
def _guard(session: Session, model: SearchedModel) -> Iterator[Connection]:
    """Give the connection on which a session writes a model, so that a failure does not end its transaction."""
    connection = model.connect(session)
    if connection.dialect.name != "postgresql":
        yield connection
        return
    with connection.begin_nested():
        yield connection


def _list_changed(rows: Iterable[Any], model: SearchedModel) -> list[Any]:
    """Return the rows of a model whose texts are new, and which the worker would embed."""
    changed = []
    for row in rows:
        if isinstance(row, model.entity) and model.condition is None and not model.related:
            state = inspect(row)
            histories = [state.attrs[name].history for name in model.declaration.texts]
            given = [value for each in histories for value in each.added or ()]
            is_new = state.key is None or any(each.has_changes() for each in histories)
            if is_new and not any(isinstance(value, ClauseElement) for value in given):
                changed.append(row)
    return changed
