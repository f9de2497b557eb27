"""Which of its generations a declaration with vectors in rows is searched in, and written to, with which embedder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Engine, MetaData, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..embedders.base import Embedder
from ..errors import EmbedderMismatch, StoreLocked
from ..metric import Metric
from ..query_items import check_known
from ..query_texts import check_query_texts
from ..rows.vectors import as_queries
from ..schema import Schema
from .column_search import search_column
from .outbox import Outbox
from .row_generations import ACTIVE, RowGeneration, RowGenerations, check_claim, identify, name_target
from .row_rebuild import RowRebuild
from .row_search import Found
from .searched_models import SearchedModel
from .sinks import ColumnSink
from .worker import SyncWorker

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class DeclaredColumn:
    """A column that a declaration fills, as migrations see it.

    Attributes
    ----------
    target : str
    table : Table
    newest : RowGeneration
        What the application's newest embedder would fill.
    generations : RowGenerations
    """

    target: str
    table: Table
    newest: RowGeneration
    generations: RowGenerations


class ColumnGenerations:
    """The columns of all declarations with vectors in rows, and the embedders of this process.

    Parameters
    ----------
    metadata : MetaData
        Gets the table of generations.
    embedders : sequence of Embedder
        The first one fills a column that nobody has filled.
    """

    def __init__(self, metadata: MetaData, embedders: Sequence[Embedder]) -> None:
        self.generations = RowGenerations(metadata)
        self._embedders = tuple(embedders)
        self._believed: dict[str, RowGeneration] = {}

    def declare(self, model: SearchedModel) -> DeclaredColumn:
        """Return the column of a declaration."""
        newest = self._embedders[-1]
        wanted = RowGeneration(model.get_vector_column().name, identify(newest), newest.dim)
        return DeclaredColumn(model.declared_name, model.table, wanted, self.generations)

    def list_others(self, model: SearchedModel) -> list[SearchedModel]:
        """Return what a worker works on beside a declaration: its other generations, if they exist."""
        if model.vector_column is None:
            return []
        return [self._derive(model, identify(each)) for each in self._embedders]

    def open_sink(self, model: SearchedModel, engine: Engine, outbox: Outbox, *embedders: Embedder) -> ColumnSink:
        """Return the column that changes of a declaration are written to.

        Raises
        ------
        EmbedderMismatch
            The vectors that are searched are of an embedder that this process does not have.
        """
        with engine.connect() as connection:
            live = self.generations.read(connection, model.declared_name)
        held = {identify(each): each for each in (*self._embedders, *embedders)}
        metric: Metric = model.get_vector_column().type.metric  # type: ignore[attr-defined]
        if model.embedder is not None:
            generation = next(
                (each for each in live.values() if each.embedder == model.embedder and each.state != ACTIVE), None
            )
            embedder = held[model.embedder]
        else:
            generation = live.get(ACTIVE) or self._imply(model, live)
            embedder = self._get_embedder(model, generation, held)
        return ColumnSink(model, engine, outbox, self.generations, generation, embedder, metric)

    def open_declared(self, model: SearchedModel, connection: Connection, engine: Engine, outbox: Outbox) -> ColumnSink:
        """Return the declared column, whether it is searched or not, as a session's connection sees it.

        Raises
        ------
        EmbedderMismatch
            Its vectors are of an embedder that this process does not have.
        """
        live = self.generations.read(connection, model.declared_name)
        held = {identify(each): each for each in self._embedders}
        column = model.get_vector_column()
        generation = next((each for each in live.values() if each.column == column.name), None) or self._imply(model)
        embedder = self._get_embedder(model, generation, held)
        metric: Metric = column.type.metric  # type: ignore[attr-defined]
        return ColumnSink(model, engine, outbox, self.generations, generation, embedder, metric)

    def make_rebuild(self, model: SearchedModel, engine: Engine, outbox: Outbox, *embedders: Embedder) -> RowRebuild:
        """Return the steps of a rebuild, with further embedders than those of this process."""

        def make_worker(embedder: str) -> tuple[SyncWorker, Callable[[], ColumnSink]]:
            held = {identify(each): each for each in (*self._embedders, *embedders)}
            self._get_embedder(model, RowGeneration("", embedder, 0), held)
            derived = self._derive(model, embedder)

            def open_sink(_: SearchedModel = derived) -> ColumnSink:
                return self.open_sink(derived, engine, outbox, *embedders)

            return SyncWorker(engine, outbox, [derived], open_sink), open_sink

        return RowRebuild(engine, outbox, self.generations, model, self._imply(model), make_worker)

    def search(
        self,
        session: Session,
        model: SearchedModel,
        entity: type[Any],
        query: Any,
        k: int,
        where: ColumnElement[bool] | None,
        min_score: float | None,
        *,
        exact: bool,
    ) -> Found:
        """Return up to k rows with their hits; see `search_column`. A text is embedded by the column's own embedder."""
        mark = self.generations.select_mark(model.name)
        held = {identify(each): each for each in self._embedders}
        for _ in range(_ATTEMPTS):
            self._pin(session, model)
            believed = self._believed.get(model.name)
            generation = believed or self._imply(model)
            vector = self._make_query(model, generation, query, held)
            try:
                found, seen = search_column(
                    session, model, entity, generation, mark, vector, k, where, min_score, exact=exact
                )
            except DBAPIError:
                self._believed.pop(model.name, None)  # the column may have gone, and the next search is to find it
                if model.connect(session).dialect.name != "sqlite":
                    raise
                # SQLite has no lock that keeps the column's name, and its transactions survive an error.
                self._look(session, model)
                if self._believed.get(model.name) in {None, believed}:
                    raise
                continue
            if seen == (None if believed is None else believed.mark):
                return found
            self._look(session, model)
        raise StoreLocked(f"{model.label}: another embedder took over during each of {_ATTEMPTS} attempts.")

    def _pin(self, session: Session, model: SearchedModel) -> None:
        """While a rebuild is under way, find the column that is searched, and keep its name to the transaction's end.

        Otherwise the mark that comes with the rows says whether it was the right one, without a statement of its own.
        """
        believed = self._believed.get(model.name)
        held = [identify(each) for each in self._embedders]
        if believed is not None and held == [believed.embedder] and believed.column == model.get_vector_column().name:
            return
        dialect = model.connect(session).dialect
        if dialect.name == "postgresql":
            table = dialect.identifier_preparer.format_table(model.table)
            model.connect(session).exec_driver_sql(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
        self._look(session, model)

    def _look(self, session: Session, model: SearchedModel) -> None:
        live = self.generations.read(model.connect(session), model.name)
        if ACTIVE in live:
            self._believed[model.name] = live[ACTIVE]
        else:
            self._believed.pop(model.name, None)

    def _imply(self, model: SearchedModel, live: Mapping[str, RowGeneration] = MappingProxyType({})) -> RowGeneration:
        """Return the generation of a column that nobody has claimed."""
        first = self._embedders[0]
        implied = RowGeneration(model.get_vector_column().name, identify(first), first.dim)
        check_claim(model.label, implied, live)
        return implied

    def _derive(self, model: SearchedModel, embedder: str) -> SearchedModel:
        return model.for_embedder(name_target(model.name, embedder), embedder)

    def _get_embedder(self, model: SearchedModel, generation: RowGeneration, held: dict[str, Embedder]) -> Embedder:
        found = held.get(generation.embedder)
        if found is None:
            raise EmbedderMismatch(
                f"{model.label}: the vectors are those of {generation.embedder!a}, and this VectorORM has "
                f"{', '.join(map(ascii, held))}. Give it both, embedder=(old, new), and run rebuild() or "
                "`vecstore sync rebuild`."
            )
        return found

    def _make_query(
        self, model: SearchedModel, generation: RowGeneration, query: Any, held: dict[str, Embedder]
    ) -> NDArray[np.float32]:
        if isinstance(query, str):
            check_query_texts([query])
            made = self._get_embedder(model, generation, held).embed_queries([query])
            query = check_known(made, ["The query"])[0]
        metric: Metric = model.get_vector_column().type.metric  # type: ignore[attr-defined]
        found: NDArray[np.float32] = as_queries([query], Schema(dim=generation.dim, metric=metric))[0]
        return found
