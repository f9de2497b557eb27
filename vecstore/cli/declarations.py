"""What options declare about a store: its fields and its index."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from ..errors import InvalidArgument, close_matches
from ..fields import Field, make_field
from ..index_options import HNSW, MILVUS_KINDS, Flat, IndexOptions, MilvusIndex, to_dict
from ..names import check_name
from .exits import Failure

_NO_WORD = re.compile(r"[^a-z0-9]+")
KINDS = tuple(dict.fromkeys(each.kind for each in Field.__subclasses__()))


def parse_fields(declarations: Sequence[str], *, renames: bool = True) -> dict[str, Field]:
    """Return the fields that ``--field name:kind`` declares, with options after the kind: ``name:datetime:text``.

    Where a column of another spelling is stored in a field, ``renames``, a wrong name is refused with the right one.
    """
    fields: dict[str, Field] = {}
    for declaration in declarations:
        name, _, described = declaration.partition(":")
        kind, *options = described.split(":")
        if kind not in KINDS:
            hint = close_matches(kind, KINDS) if kind else f" Kinds: {', '.join(KINDS)}."
            raise Failure(f"--field {declaration!a} does not look like name:kind.{hint}")
        if renames and not _is_name(name) and _is_name(plain := to_field_name(name)):
            raise Failure(
                f"--field {declaration!a}: names of fields have lower-case letters, digits and _ only. Write "
                f"{plain}:{described}; a column {name!a} is stored in that field."
            )
        if name in fields:
            raise Failure(f"--field declares {name!a} twice.")
        fields[name] = _make_field(declaration, kind, options)
    return fields


def _make_field(declaration: str, kind: str, options: Sequence[str]) -> Field:
    """Return the field of a kind with its options: a word for one that is on or off, ``name=value`` for another."""
    known = {
        each.name if isinstance(each.default, bool) else f"{each.name}=": each
        for each in dataclasses.fields(type(make_field(kind)))
    }
    given: dict[str, str | bool] = {}
    for option in options:
        word, equals, value = option.partition("=")
        if word + equals not in known or word in given:
            hint = f" It has: {', '.join(map(_show_option, known.values()))}." if known else " It has none."
            raise Failure(f"--field {declaration!a}: {option!a} is no option of {kind}, or is given twice.{hint}")
        given[word] = value if equals else True
    return make_field({"kind": kind, **given})


def _show_option(option: dataclasses.Field[object]) -> str:
    """Return how an option is written after a kind."""
    return option.name if isinstance(option.default, bool) else f"{option.name}=…"


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
    """Return the index that options describe, or None without options.

    An index of Milvus has its own options behind its name: ``ivf_flat,nlist=128``.
    """
    given = {
        key: value
        for key, value in (("m", m), ("ef_construction", ef_construction), ("target_recall", target_recall))
        if value is not None
    }
    if kind == "flat":
        if given:
            raise Failure("A flat index has no options.")
        return Flat()
    if kind is not None and kind.partition(",")[0].upper() in _ONLY_MILVUS:
        return _parse_milvus(kind, given)
    if kind not in {None, "hnsw"}:
        raise Failure(
            f"There is no index {kind!a}. Known: flat, hnsw; where Milvus follows a store also "
            f"{', '.join(sorted(_ONLY_MILVUS)).lower()}."
        )
    return HNSW(**given) if kind or given else None  # type: ignore[arg-type]


def name_index(index: IndexOptions) -> str:
    """Return the name by which ``--index`` knows a kind of index, and more where it means another one there."""
    if not isinstance(index, MilvusIndex):
        return index.kind
    return index.name.lower() if index.name in _ONLY_MILVUS else f"{index.name.lower()} of Milvus"


def spell_index(index: IndexOptions) -> str:
    """Return what ``--index`` takes to ask for such an index, as far as its options belong to it."""
    given = to_dict(index) if isinstance(index, MilvusIndex) else {}
    options = [f"{word}={number}" for word, number in given.items() if word in MILVUS_KINDS[given["name"]]]
    return ",".join([name_index(index), *options])


def _parse_milvus(described: str, given: dict[str, float]) -> MilvusIndex:
    name, *options = described.split(",")
    numbers = dict(given)
    for option in options:
        word, _, number = option.partition("=")
        takes = ", ".join(MILVUS_KINDS[name.upper()])
        if not takes:
            raise Failure(f"--index {name} takes no options.")
        if word not in MILVUS_KINDS[name.upper()] or not number.isdecimal():
            raise Failure(f"--index {name} takes {takes}, each as a whole number: --index ivf_flat,nlist=128.")
        numbers[word] = int(number)
    return MilvusIndex(name, **numbers)  # type: ignore[arg-type]


_ONLY_MILVUS = MILVUS_KINDS.keys() - {"FLAT", "HNSW"}
"""The kinds of Milvus whose names mean nothing else."""
