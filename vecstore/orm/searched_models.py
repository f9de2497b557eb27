"""A declaration on a mapped class: its columns, how its rows are read, and the records that they become."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, TypeDecorator, select, tuple_
from sqlalchemy.orm import DeclarativeBase, Mapper, Session
from sqlalchemy.sql import visitors

from ..blank_texts import is_blank
from ..errors import InvalidArgument, close_matches
from ..groups import make_head, make_member, read_key, read_member
from ..records import Record
from .chunks import CHUNK, ROW
from .declarations import Searchable, find_declarations
from .field_types import make_field
from .keys import Key, RowKeys, find_python_type
from .related_tables import RelatedTable, find_related

JOINT = "\n\n"
"""Between two texts of a row."""
_PAGE = 500
"""Keys in one condition; engines limit the number of parameters."""


class SearchedModel:
    """One declaration of one mapped class.

    Parameters
    ----------
    mapper : Mapper
    attribute : str
    declaration : Searchable

    Attributes
    ----------
    name : str
        ``table.attribute``, its name in the outbox.
    declared_name : str
        The same, also for an object that `for_embedder` made.
    embedder : str or None
        The identity of the embedder whose generation is meant, None for the one that is searched.
    label : str
        ``Class.attribute``, its name in messages.
    table : Table
    keys : RowKeys
    watched : tuple of Column
        The columns whose change makes the record another one.
    fields : tuple of FieldColumn
    related : tuple of RelatedTable
        The tables that the texts depend on.
    condition : ColumnElement or None
        What searchable rows match.
    vector_column : Column or None
        Where the vectors are in the rows.

    Raises
    ------
    InvalidArgument
    """

    def __init__(self, mapper: Mapper[Any], attribute: str, declaration: Searchable) -> None:
        self.entity: type[Any] = mapper.class_
        self.declaration = declaration
        self.label = f"{self.entity.__name__}.{attribute}"
        if not isinstance(mapper.local_table, Table):
            raise InvalidArgument(f"{self.label}: the class is not mapped to a table.")
        self.table = mapper.local_table
        self.name = self.declared_name = f"{self.table.fullname}.{attribute}"
        self.embedder: str | None = None
        self._mapper = mapper
        self.keys = RowKeys(tuple(self.table.primary_key.columns), f"table {self.table.fullname!r}")
        self._key_names = tuple(map(self._name_attribute, self.keys.columns))
        found = list(find_related(mapper, self.keys.columns, declaration.depends_on, self.label))
        self.related = tuple(each for each in found if isinstance(each, RelatedTable))
        texts = [self._find_column(name) for name in declaration.texts if not self._is_built(name)]
        for column in texts:
            name = self._name_attribute(column)
            if not isinstance(column.type, TypeDecorator) and find_python_type(column.type) not in {str, None}:
                raise InvalidArgument(
                    f"{self.label}: {name!r} has the type {column.type!r}, not a text. Give it to fields=."
                )
        self.fields = tuple(make_field(name, self._find_column(name), self.label) for name in declaration.fields)
        # A row knows its fields itself.
        watched = self.fields if declaration.column is None else ()
        self.condition = None if declaration.when is None else self._make_condition(declaration.when(self.entity))
        conditional = [] if self.condition is None else self._list_compared(self.condition)
        leading = [each for each in found if isinstance(each, Column)]
        self.watched = tuple(dict.fromkeys([*texts, *leading, *(field.column for field in watched), *conditional]))
        self.vector_column = None if declaration.column is None else self._find_vectors(declaration.column)

    def __repr__(self) -> str:
        return f"<SearchedModel {self.label}>"

    def for_embedder(self, name: str, embedder: str) -> SearchedModel:
        """Return the same declaration for the generation of an embedder, whose changes wait under another name."""
        other = copy.copy(self)
        other.name, other.embedder = name, embedder
        return other

    def get_key_attributes(self, entity: type[Any]) -> list[Any]:
        """Return the attributes of the key on the class, or on one that inherits from it."""
        return [getattr(entity, name) for name in self._key_names]

    def match_keys(self, keys: Sequence[Key]) -> ColumnElement[bool]:
        """Return the condition that a row has one of the keys."""
        attributes = self.get_key_attributes(self.entity)
        if len(attributes) == 1:
            matched: ColumnElement[bool] = attributes[0].in_([key[0] for key in keys])
            return matched
        return tuple_(*attributes).in_(keys)

    def restrict(self, statement: Select[Any]) -> Select[Any]:
        """Return a statement for those rows only that the declaration makes searchable."""
        return statement if self.condition is None else statement.where(self.condition)

    def get_vector_column(self) -> Column[Any]:
        """Return the column that holds the vectors."""
        if self.vector_column is None:
            raise InvalidArgument(f"{self.label} has its vectors in store {self.declaration.store!r}.")
        return self.vector_column

    def connect(self, session: Session) -> Connection:
        """Return the connection of a session on which the rows are read: a session may be bound class by class."""
        return session.connection(bind_arguments={"mapper": self._mapper})

    def get_key(self, row: object) -> Key:
        """Return the key of a loaded object."""
        return tuple([getattr(row, name) for name in self._key_names])  # each hit of a search comes by here

    def compose_text(self, row: object) -> str | None:
        """Return the text of an object that need not be stored yet; None if that cannot be told."""
        texts = [getattr(row, name) for name in self.declaration.texts]
        if not all(each is None or isinstance(each, str) for each in texts):
            return None
        return _join(texts)

    def read_records(self, session: Session, keys: Iterable[Key]) -> dict[Key, Record]:
        """Return the records of those rows that exist and have a text."""
        wanted, found, attributes = list(keys), {}, self._list_attributes()
        for start in range(0, len(wanted), _PAGE):
            part = wanted[start : start + _PAGE]
            for row in session.execute(self.restrict(select(*attributes).where(self.match_keys(part)))):
                key, record = self._make_record(row)
                if record is not None:
                    found[key] = record
        return found

    def make_head(self, key: Key) -> str:
        """Return the id of a row's record, or of the first one of its group."""
        row = self.keys.format_id(key)
        return row if self.declaration.chunk is None else make_head(row)

    def make_parts(self, record: Record | None) -> list[Record]:
        """Return what a store has of a row: its record, or one for each chunk of its text."""
        chunks = self.declaration.chunk
        if record is None or chunks is None:
            return [] if record is None else [record]
        head = make_head(record.id)
        return [
            Record(
                make_member(head, number),
                text=each.text,
                metadata={
                    **record.metadata,
                    ROW: record.id,
                    CHUNK: {"number": number, "start": each.start, "end": each.end},
                },
            )
            for number, each in enumerate(chunks.split(record.text or ""))
        ]

    def read_row_id(self, id_: str) -> str:
        """Return the key, as text, of the row that a record belongs to.

        Raises
        ------
        ValueError
            Somebody else wrote the record.
        """
        return id_ if self.declaration.chunk is None else read_key(read_member(id_)[0])

    def iterate_keys(self, session: Session, size: int) -> Iterator[list[Key]]:
        """Yield the keys of all rows, page by page; between two pages the session has no transaction."""
        attributes = self.get_key_attributes(self.entity)
        after: Key | None = None
        while True:
            page = select(*attributes).order_by(*attributes).limit(size)
            if after is not None:
                page = page.where(attributes[0] > after[0] if len(after) == 1 else tuple_(*attributes) > after)
            keys = [tuple(row) for row in session.execute(page)]
            session.rollback()
            if not keys:
                return
            yield keys
            after = keys[-1]

    def _list_attributes(self) -> list[Any]:
        return [
            *self.get_key_attributes(self.entity),
            *(getattr(self.entity, name) for name in self.declaration.texts),
            *(getattr(self.entity, self._name_attribute(field.column)) for field in self.fields),
        ]

    def _is_built(self, name: str) -> bool:
        """Say whether a text is an expression of SQL, which may be one where it says what it depends on."""
        is_mapped = name in self._mapper.all_orm_descriptors or name in self._mapper.column_attrs
        is_column = isinstance(self._mapper.columns.get(name), Column)
        return bool(self.declaration.depends_on) and is_mapped and not is_column

    def _make_record(self, row: Sequence[Any]) -> tuple[Key, Record | None]:
        width, last = len(self.keys.columns), len(self.keys.columns) + len(self.declaration.texts)
        key = tuple(row[:width])
        text = _join(row[width:last])
        if not text:
            return key, None
        metadata = {
            field.attribute: field.convert(value)
            for field, value in zip(self.fields, row[last:], strict=True)
            if value is not None
        }
        return key, Record(self.keys.format_id(key), text=text, metadata=metadata)

    def _find_vectors(self, name: str) -> Column[Any]:
        try:
            return self._find_column(name)
        except InvalidArgument as error:
            raise InvalidArgument(f'{error} A store would be into="store:{name}".') from None

    def _find_column(self, name: str) -> Column[Any]:
        column = self._mapper.columns.get(name)
        if column is None:
            known = self._mapper.columns.keys()
            raise InvalidArgument(f"{self.label}: there is no column {name!r}.{close_matches(name, known)}")
        if not isinstance(column, Column) or column.table is not self.table:
            raise InvalidArgument(
                f"{self.label}: {name!r} is no column of table {self.table.fullname!r}. Declare searchable() on the "
                "class whose table has the column."
            )
        return column

    def _make_condition(self, condition: Any) -> ColumnElement[bool]:
        if hasattr(condition, "__clause_element__"):
            condition = condition.__clause_element__()
        if not isinstance(condition, ColumnElement):
            raise InvalidArgument(
                f"{self.label}: when must return a condition such as ~row.deleted, not {type(condition).__name__}."
            )
        return condition

    def _list_compared(self, condition: ColumnElement[bool]) -> list[Column[Any]]:
        """Return the columns of a condition, each of which is one of the table: a trigger sees no other ones."""
        found = [each for each in visitors.iterate(condition) if isinstance(each, Column)]
        if any(each.table is not self.table for each in found) or any(
            isinstance(each, Select) for each in visitors.iterate(condition)
        ):
            raise InvalidArgument(
                f"{self.label}: when uses other tables. Only columns of table {self.table.fullname!r} are watched."
            )
        return [self.table.c[each.key] for each in found]

    def _name_attribute(self, column: Column[Any]) -> str:
        return self._mapper.get_property_by_column(column).key


def _join(texts: Iterable[str | None]) -> str:
    return JOINT.join(part for part in texts if part is not None and not is_blank(part))


def find_models(base: type[DeclarativeBase] | type[Any]) -> list[SearchedModel]:
    """Return the declarations of all classes that are mapped below a declarative base.

    Raises
    ------
    InvalidArgument
        The base is none, a class is declared wrongly, or two declarations share a store or a name.
    """
    registry = getattr(base, "registry", None) or getattr(base, "_sa_registry", None)
    if registry is None or not hasattr(base, "metadata"):
        raise InvalidArgument("VectorORM() takes the declarative base of the models: the class that they inherit from.")
    models: list[SearchedModel] = []
    for mapper in sorted(registry.mappers, key=lambda each: (each.class_.__module__, each.class_.__qualname__)):
        parents = [each.class_ for each in mapper.iterate_to_root() if each is not mapper]
        for attribute, declaration in find_declarations(mapper.class_, parents).items():
            models.append(SearchedModel(mapper, attribute, declaration))
    if not models:
        raise InvalidArgument(
            f"No class below {base.__name__} declares searchable(). Import the models before VectorORM() is called."
        )
    for word, names in (
        ("Two declarations write into store", [each.declaration.store for each in models if each.declaration.store]),
        ("Two declarations are called", [each.name for each in models]),
    ):
        twin = next((name for name in names if names.count(name) > 1), None)
        if twin is not None:
            raise InvalidArgument(f"{word} {twin!r}. Give each its own.")
    return models
