"""``freshness="inline"``: what a session changes is embedded by the session itself, without a wait for a worker.

A vector in a row is embedded in the flush that writes the row, so that it is in the same transaction: a rollback, or
one to a savepoint, leaves nothing of it. A store is written once the outermost transaction is committed, with a fence
like a worker's. What a flush does not see, such as a bulk statement, waits in the outbox until then as well. Whatever
fails here stays in the outbox, for a worker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ClauseElement

from .searched_models import SearchedModel
from .sinks import ColumnSink
from .worker import SyncWorker

_EMBEDDED = "vecstore_embedded"
_COMMITTED = "vecstore_committed"
_log = logging.getLogger("vecstore.orm")


class InlineSync:
    """Listens to the sessions of one application.

    Parameters
    ----------
    models : sequence of SearchedModel
        Those that are declared with ``freshness="inline"``.
    open_column : callable
        From a declaration to the column that its vectors are in.
    make_worker : callable
        From declarations to a worker for these alone.
    """

    def __init__(
        self,
        models: Sequence[SearchedModel],
        open_column: Callable[[SearchedModel], ColumnSink],
        make_worker: Callable[[Sequence[SearchedModel]], SyncWorker],
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
        event.listen(sessions, "after_commit", self._remember)
        event.listen(sessions, "after_transaction_end", self._work)

    def _embed(self, session: Session, context: object, instances: object) -> None:
        """Give new and changed rows the vectors of their texts."""
        pending: list[tuple[SearchedModel, Any, str]] = session.info.setdefault(_EMBEDDED, [])
        pending.clear()
        for model in self._in_rows:
            rows = _list_changed([*session.new, *session.dirty], model)
            texts = [(row, text) for row in rows if (text := model.compose_text(row)) is not None]
            try:
                vectors = self._open_column(model).embed([text for _, text in texts if text])
            except BaseException as error:
                if not isinstance(error, Exception):
                    raise
                _log.warning("%s: rows are left to the worker: %s", model.label, type(error).__name__)
                continue
            made = iter(vectors)
            for row, text in texts:
                setattr(row, model.declaration.column or "", next(made) if text else None)
                if text:
                    pending.append((model, row, text))

    def _note(self, session: Session, context: object) -> None:
        """Say of which texts the vectors are, so that a worker makes none of them again."""
        for model in self._in_rows:
            noted = {model.get_key(row): text for each, row, text in session.info[_EMBEDDED] if each is model}
            if noted:
                self._open_column(model).note(session, noted)

    def _remember(self, session: Session) -> None:
        if not session.in_nested_transaction():  # the release of a savepoint is announced as a commit
            session.info[_COMMITTED] = True

    def _work(self, session: Session, transaction: Any) -> None:
        """Work off the outbox once the outermost transaction is over."""
        if transaction.parent is not None or not session.info.pop(_COMMITTED, False):
            return
        try:
            worker = self._make_worker(self._models)
            while worker.work():
                pass
        except BaseException as error:
            if not isinstance(error, Exception):
                raise
            _log.warning("changes are left to the worker: %s", type(error).__name__)


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
