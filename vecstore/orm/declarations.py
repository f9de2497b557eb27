"""What a model says in its class body about how it is searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from ..errors import InvalidArgument, close_matches
from ..index_options import HNSW, Flat, IndexOptions, MilvusIndex
from ..metric import Metric
from ..names import check_name
from .chunks import ROW, Chunks

Entity = TypeVar("Entity")
Freshness = Literal["worker", "inline"]
_STORE = "store:"


@dataclass(frozen=True, slots=True, eq=False)
class Searchable:
    """A declaration, as `searchable` makes it. On a class it reads as the `SearchAttribute` of that class.

    Attributes
    ----------
    texts : tuple of str
        The attributes whose texts are embedded.
    fields : tuple of str
        The attributes that the store gets as declared fields.
    store : str or None
        The name of the store.
    column : str or None
        Instead of a store, the attribute of the model that holds the vectors.
    metric : Metric
        Of the store.
    index : Flat, HNSW or MilvusIndex
    when : callable or None
        From the model to the condition that searchable rows match.
    chunk : Chunks or None
        How texts are cut, each part of which has a record.
    freshness : {"worker", "inline"}
        Who embeds what a session changed.
    depends_on : tuple of str
        Attributes of related classes that are parts of the texts.
    """

    texts: tuple[str, ...]
    fields: tuple[str, ...]
    store: str | None
    column: str | None = None
    metric: Metric = Metric.COSINE
    index: IndexOptions = field(default_factory=HNSW)
    when: Callable[[Any], Any] | None = None
    chunk: Chunks | None = None
    freshness: Freshness = "worker"
    depends_on: tuple[str, ...] = ()

    def __get__(self, instance: object, owner: type[Entity]) -> SearchAttribute[Entity]:
        """Return what `VectorORM.search` takes: the declaration together with the class that it is read from."""
        return SearchAttribute(owner, self)


@dataclass(frozen=True, slots=True)
class SearchAttribute(Generic[Entity]):
    """``Article.search``: a declaration together with the class that it is read from.

    Attributes
    ----------
    entity : type
    declaration : Searchable
    """

    entity: type[Entity]
    declaration: Searchable


def searchable(
    *texts: str,
    into: str,
    fields: Sequence[str] = (),
    metric: Metric | str = Metric.COSINE,
    index: IndexOptions | None = None,
    when: Callable[[Any], Any] | None = None,
    chunk: Chunks | None = None,
    freshness: Freshness = "worker",
    depends_on: Sequence[str] = (),
) -> Searchable:
    """Declare what of a model is searched, and where its vectors are.

    Parameters
    ----------
    *texts : str
        Names of attributes of the model that hold texts. Several are joined by an empty line. A row without any text
        is not searched.
    into : str
        ``"store:NAME"``: a `VectorStore` of that name, in the Database that ``VectorORM(stores=…)`` has for the name.
        Or the name of an attribute that is a `VectorColumn`: the vectors are in the rows, and `fields`, `metric` and
        `index` are not needed.
    fields : sequence of str
        Names of attributes that the store gets as declared fields, so that ``where`` is fast.
    metric : {"cosine", "ip", "l2"}
    index : Flat, HNSW or MilvusIndex, optional
        `HNSW()` by default. An index of Milvus is for a store on PostgreSQL whose URL says ``vectors=``.
    when : callable, optional
        ``lambda note: ~note.deleted``: from the model to a condition on columns of its table. Other rows have no
        record, and are hidden at once.
    chunk : Chunks, optional
        ``Chunks(size=800)``: long texts are cut, each part is embedded by itself, and a row is found by its best one.
        Only for a store, since a row has one vector.
    freshness : {"worker", "inline"}
        ``"inline"``, for models that embed in a moment: the session that changes a row embeds it, in the flush where
        the vector is in the row, and otherwise at the end of the commit. A worker does what is left.
    depends_on : sequence of str
        ``("author.name", "tags.name")``: relationships of the model, each with a column of the class behind it. A
        change there counts as a change of the rows that it concerns. The texts that are built from it may be any
        expressions that the class is mapped with, such as a ``column_property``.

    Raises
    ------
    InvalidArgument
    """
    for word, names in (("the texts of searchable()", texts), ("fields", fields)):
        if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
            raise InvalidArgument(f"{word} must be names of attributes of the model, each a str.")
        if len(set(names)) < len(names):
            raise InvalidArgument(f"{word}: an attribute stands there twice.")
    if isinstance(depends_on, str) or not all(isinstance(each, str) and each.count(".") == 1 for each in depends_on):
        raise InvalidArgument('depends_on must be names such as "author.name": a relationship and a column behind it.')
    if not texts:
        raise InvalidArgument('searchable() takes the attributes whose texts are searched: searchable("title", into=…)')
    for name in fields:
        check_name(name, "Field")
    if not isinstance(into, str) or not into or (":" in into and not into.startswith(_STORE)):
        raise InvalidArgument(f'into must be "store:NAME" or the name of a VectorColumn, not {_describe(into)}.')
    if not isinstance(metric, str) or metric not in set(Metric):
        raise InvalidArgument(f"Unknown metric {metric!r}.{close_matches(str(metric), Metric)}")
    _check_index(index, into)
    if when is not None and not callable(when):
        raise InvalidArgument(
            f"when must be a function of the model: when=lambda row: ~row.deleted; not {type(when).__name__}."
        )
    if chunk is not None and not isinstance(chunk, Chunks):
        raise InvalidArgument(f"chunk must be Chunks(size=…, overlap=…), not {type(chunk).__name__}.")
    if chunk is not None and not into.startswith(_STORE):
        raise InvalidArgument(
            f"into={_describe(into)} with chunk: a row has one vector, and its chunks need one each. Write "
            'into="store:NAME", or leave chunk= out.'
        )
    if chunk is not None and ROW in fields:
        raise InvalidArgument(f"fields: a store of chunks has a field {ROW!r} of its own. Leave it out.")
    if freshness not in ("worker", "inline"):
        raise InvalidArgument(f'freshness must be "worker" or "inline", not {_describe(freshness)}.')
    options: dict[str, Any] = {
        "freshness": freshness,
        "depends_on": tuple(depends_on),
        "when": when,
        "chunk": chunk,
        "metric": Metric(metric),
        "index": HNSW() if index is None else index,
    }
    if not into.startswith(_STORE):
        return Searchable(tuple(texts), tuple(fields), None, into, **options)
    return Searchable(tuple(texts), tuple(fields), check_name(into.removeprefix(_STORE), "Store"), None, **options)


def find_declarations(entity: type[Any], parents: Sequence[type[Any]]) -> dict[str, Searchable]:
    """Return the declarations of a mapped class by attribute: its own, and those of mixins.

    Parameters
    ----------
    entity : type
    parents : sequence of type
        The mapped classes that it inherits from, whose declarations are theirs.
    """
    inherited = {cls for parent in parents for cls in parent.__mro__}
    found: dict[str, Searchable] = {}
    for cls in entity.__mro__:
        if cls not in inherited:
            for name, value in vars(cls).items():
                if isinstance(value, Searchable):
                    found.setdefault(name, value)
    return found


def _check_index(index: object, into: str) -> None:
    if index is not None and not isinstance(index, Flat | HNSW | MilvusIndex):
        raise InvalidArgument(
            f"index must be Flat() or HNSW(), not {type(index).__name__}. "
            "A store on PostgreSQL whose URL says vectors= also takes MilvusIndex(…)."
        )
    if isinstance(index, MilvusIndex) and not into.startswith(_STORE):
        raise InvalidArgument(
            f"into={_describe(into)} with an index of Milvus: Milvus follows stores, not columns. Write "
            'into="store:NAME" with a store on PostgreSQL whose URL says vectors=, or leave index= out.'
        )


def _describe(value: object) -> str:
    return repr(value[:60]) if isinstance(value, str) else type(value).__name__
