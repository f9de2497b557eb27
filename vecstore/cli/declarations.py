"""What options declare about a store: its fields and its index."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import InvalidArgument, close_matches
from ..fields import Field, make_field
from ..index_options import HNSW, Flat, IndexOptions
from ..names import check_name
from .exits import Failure

_NO_WORD = re.compile(r"[^a-z0-9]+")
KINDS = tuple(dict.fromkeys(each.kind for each in Field.__subclasses__()))


def parse_fields(declarations: Sequence[str]) -> dict[str, Field]:
    """Return the fields that ``--field name:kind`` declares."""
    fields: dict[str, Field] = {}
    for declaration in declarations:
        name, _, kind = declaration.partition(":")
        if kind not in KINDS:
            hint = close_matches(kind, KINDS) if kind else f" Kinds: {', '.join(KINDS)}."
            raise Failure(f"--field {declaration!a} does not look like name:kind.{hint}")
        if not _is_name(name) and _is_name(plain := to_field_name(name)):
            raise Failure(
                f"--field {declaration!a}: names of fields have lower-case letters, digits and _ only. Write "
                f"{plain}:{kind}; a column {name!a} is stored in that field."
            )
        if name in fields:
            raise Failure(f"--field declares {name!a} twice.")
        fields[name] = make_field(kind)
    return fields


def to_field_name(column: str) -> str:
    """Return the name of the field that takes a column whose name is written in another way."""
    return _NO_WORD.sub("_", column.casefold()).strip("_")


def _is_name(name: str) -> bool:
    try:
        check_name(name, "Field")
    except InvalidArgument:
        return False
    return True


def parse_index(
    kind: str | None, m: int | None, ef_construction: int | None, target_recall: float | None
) -> IndexOptions | None:
    """Return the index that options describe, or None without options."""
    given = {
        key: value
        for key, value in (("m", m), ("ef_construction", ef_construction), ("target_recall", target_recall))
        if value is not None
    }
    if kind == "flat":
        if given:
            raise Failure("A flat index has no options.")
        return Flat()
    if kind not in {None, "hnsw"}:
        raise Failure(f"There is no index {kind!a}. Known: flat, hnsw.")
    return HNSW(**given) if kind or given else None  # type: ignore[arg-type]
