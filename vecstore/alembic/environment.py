"""`setup`: one run of Alembic with what vecstore adds to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import comparators
from alembic.runtime.environment import EnvironmentContext

from ..errors import InvalidArgument
from ..orm import VectorORM
from ..orm.vector_columns import PostgresVector
from . import operations as _operations  # noqa: F401 - registers them
from .comparison import complete_revision, split_concurrent
from .rendering import render_type
from .settings import OPTION, Settings

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

_POSTGRES_TYPES = {
    "vector": PostgresVector,
    "halfvec": lambda dim=None: PostgresVector(dim, "halfvec"),
}


def setup(context: Any, *vectors: VectorORM) -> None:
    """Make Alembic know the vectors, the indexes, the triggers and the tables of vecstore.

    Call it in the application's ``env.py``, once, before or after ``context.configure(target_metadata=…)``. Hooks that
    ``configure`` is given are still called.

    Parameters
    ----------
    context : module
        ``alembic.context``, or an ``EnvironmentContext``.
    *vectors : VectorORM
        All those whose models are in ``target_metadata``.

    Raises
    ------
    InvalidArgument
    """
    environment = context if isinstance(context, EnvironmentContext) else getattr(context, "_proxy", None)
    if not isinstance(environment, EnvironmentContext):
        raise InvalidArgument(
            "setup() takes alembic.context, while Alembic runs: call it in env.py, setup(context, vectors)."
        )
    if not vectors or not all(isinstance(each, VectorORM) for each in vectors):
        raise InvalidArgument("setup() takes the application's VectorORM, or several: setup(context, vectors).")
    settings = Settings(vectors)
    configured = getattr(environment, "_migration_context", None)
    if configured is not None:
        _extend(configured, settings)
        return
    configure = environment.configure

    def configure_with_vectors(*arguments: Any, **options: Any) -> None:
        configure(*arguments, **options)
        _extend(environment.get_context(), settings)

    environment.configure = configure_with_vectors  # type: ignore[method-assign]


def _extend(migration: MigrationContext, settings: Settings) -> None:
    """Add our hooks to the options of a run, each before the one that the application has."""
    options = migration.opts
    if options.get(OPTION) is not None:
        return
    options[OPTION] = settings
    options["include_object"] = _chain_filter(settings, options.get("include_object"))
    options["render_item"] = _chain_rendering(options.get("render_item"))
    options["process_revision_directives"] = _chain_directives(options.get("process_revision_directives"))
    if migration.dialect.name == "postgresql":
        # For this run alone, and not where pgvector's own types are known already.
        known: dict[str, Any] = dict(migration.dialect.ischema_names)  # type: ignore[attr-defined]
        migration.dialect.ischema_names = {**_POSTGRES_TYPES, **known}  # type: ignore[attr-defined]


def _chain_filter(settings: Settings, given: Callable[..., bool] | None) -> Callable[..., bool]:
    def include(item: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:  # noqa: FBT001 - Alembic's signature
        mine = settings.judge(item, name, type_, is_missing=reflected and compare_to is None)
        if mine is not None:
            return mine
        return given is None or given(item, name, type_, reflected, compare_to)

    return include


def _chain_rendering(given: Callable[..., Any] | None) -> Callable[..., Any]:
    def render(type_: str, item: Any, context: Any) -> Any:
        made = False if given is None else given(type_, item, context)
        return render_type(item, context) if made is False and type_ == "type" else made

    return render


def _chain_directives(given: Callable[..., None] | None) -> Callable[..., None]:
    def process(context: Any, revision: Any, directives: list[Any]) -> None:
        if given is not None:
            given(context, revision, directives)
        split_concurrent(directives)

    return process


def _register_comparison() -> None:
    """Let our comparison come after Alembic's own, which fills the operations."""
    options: dict[str, Any] = {}
    if "priority" in inspect.signature(comparators.dispatch_for).parameters:
        from alembic.util import DispatchPriority

        options["priority"] = DispatchPriority.LAST
    comparators.dispatch_for("schema", **options)(complete_revision)


_register_comparison()
