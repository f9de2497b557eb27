"""Operations and types as the text of a migration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import renderers

from ..orm.captures import Capture
from ..orm.outbox import OUTBOX
from ..orm.vector_columns import RowVector
from ..orm.vector_indexes import VectorIndex
from .generations import CreateGeneration, DropGeneration
from .operations import (
    CreateCapture,
    CreateVectorExtension,
    CreateVectorIndex,
    DropCapture,
    DropVectorExtension,
    DropVectorIndex,
    KeepVectorExtension,
    ReplaceVectorIndex,
)
from .settings import is_vector

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy.types import TypeEngine


def render_type(type_: TypeEngine[Any], context: AutogenContext) -> Any:
    """Return the text of a vector's type, and note the import that it takes; False for other types."""
    if not is_vector(type_):
        return False
    context.imports.add("from vecstore.orm import RowVector")
    return repr(type_) if isinstance(type_, RowVector) else f"RowVector({getattr(type_, 'dim', None)})"


@renderers.dispatch_for(CreateVectorExtension)
def _render_extension(context: AutogenContext, operation: CreateVectorExtension) -> str:
    return _call(context, "create_vector_extension", [], {"schema": operation.schema})


@renderers.dispatch_for(KeepVectorExtension)
def _render_nothing(context: AutogenContext, operation: KeepVectorExtension) -> str:
    return "pass  # the extension vector stays: other tables may use it"


@renderers.dispatch_for(DropVectorExtension)
def _render_dropped_extension(context: AutogenContext, operation: DropVectorExtension) -> str:
    return _call(context, "drop_vector_extension", [], {})


@renderers.dispatch_for(CreateVectorIndex)
def _render_index(context: AutogenContext, operation: CreateVectorIndex) -> str:
    return _render_definition(context, operation.word, operation.index, concurrently=operation.concurrently)


@renderers.dispatch_for(ReplaceVectorIndex)
def _render_replacement(context: AutogenContext, operation: ReplaceVectorIndex) -> str:
    return _render_definition(context, operation.word, operation.index, concurrently=operation.concurrently)


@renderers.dispatch_for(DropVectorIndex)
def _render_dropped_index(context: AutogenContext, operation: DropVectorIndex) -> str:
    index = operation.index
    options = {"schema": index.schema, "concurrently": operation.concurrently or None}
    return _call(context, operation.word, [index.name, index.table], options)


@renderers.dispatch_for(CreateCapture)
def _render_capture(context: AutogenContext, operation: CreateCapture) -> str:
    return _render_facts(context, operation.word, operation.capture)


@renderers.dispatch_for(DropCapture)
def _render_dropped_capture(context: AutogenContext, operation: DropCapture) -> str:
    return _render_facts(context, operation.word, operation.capture)


@renderers.dispatch_for(CreateGeneration)
def _render_generation(context: AutogenContext, operation: CreateGeneration) -> str:
    return _render_column(context, operation)


@renderers.dispatch_for(DropGeneration)
def _render_dropped_generation(context: AutogenContext, operation: DropGeneration) -> str:
    return _render_column(context, operation)


def _render_column(context: AutogenContext, operation: CreateGeneration | DropGeneration) -> str:
    options = {
        "embedder": operation.embedder,
        "dim": operation.dim,
        "schema": operation.schema,
        "outbox_schema": operation.ours,
    }
    return _call(context, operation.word, [operation.target, operation.table, operation.column], options)


def _render_definition(context: AutogenContext, word: str, index: VectorIndex, *, concurrently: bool) -> str:
    options = {
        "using": index.using,
        "opclass": index.opclass,
        "options": dict(index.options),
        "halfvec": index.halfvec,
        "schema": index.schema,
        "concurrently": concurrently or None,
    }
    return _call(context, word, [index.name, index.table, index.column], options)


def _render_facts(context: AutogenContext, word: str, capture: Capture) -> str:
    options = {
        "keys": dict(capture.keys),
        "watched": dict(capture.watched),
        "schema": capture.schema,
        "outbox": None if capture.outbox == OUTBOX else capture.outbox,
        "outbox_schema": capture.outbox_schema,
        "identity": list(capture.identity) or None,
        "through": None if capture.through is None else dict(capture.through),
    }
    return _call(context, word, [capture.target, capture.table], options)


def _call(context: AutogenContext, name: str, arguments: list[str], options: Mapping[str, Any]) -> str:
    prefix = context.opts["alembic_module_prefix"] or ""
    given = [repr(str(each)) for each in arguments]
    given += [f"{key}={value!r}" for key, value in options.items() if value is not None]
    line = f"{prefix}{name}({', '.join(given)})"
    if len(line) <= 100:
        return line
    return "\n".join([f"{prefix}{name}(", *(f"    {each}," for each in given), ")"])
