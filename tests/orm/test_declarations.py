"""Declarations: what classes may say, and what is refused before anything is read or written."""

# Longer than 300 lines because each mistake in a declaration has its test here.

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from sqlalchemy import (
    CHAR,
    NCHAR,
    DateTime,
    Engine,
    Float,
    String,
    TypeDecorator,
    create_engine,
    create_mock_engine,
    select,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, sessionmaker

import vecstore
from tests.orm.application import DIM, embed_words
from vecstore import HNSW, Flat, InvalidArgument, MilvusIndex, SchemaMismatch, Unsupported, VecstoreError, fields
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import Searchable, SearchAttribute, VectorORM, searchable

KEPT: list[type] = []
"""A base does not keep its classes alive."""
EMBEDDER = FunctionEmbedder(embed_words, dim=DIM, name="words")


def connect(base: Any, name: str = "notes", **options: Any) -> VectorORM:
    make: Any = VectorORM
    found: VectorORM = make(base, **({"embedder": EMBEDDER, "stores": {name: vecstore.connect("memory:")}} | options))
    return found


def make_note(**options: Any) -> tuple[type[DeclarativeBase], Any]:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]
        year: Mapped[int]
        other: Mapped[bytes]
        price: Mapped[Decimal]
        search = searchable(*options.pop("texts", ["text"]), **({"into": "store:notes"} | options))

    KEPT.append(Note)
    return Base, Note


@pytest.mark.parametrize(
    "texts, options, message",
    [
        ([], {}, "takes the attributes whose texts are searched"),
        ([1], {}, "names of attributes"),
        (["text", "text"], {}, "stands there twice"),
        (["text"], {"fields": "year"}, "names of attributes"),
        (["text"], {"fields": ["Year"]}, "Field 'Year'"),
        (["text"], {"into": "notes:a"}, "into must be \"store:NAME\" or the name of a VectorColumn, not 'notes:a'"),
        (["text"], {"into": None}, "not NoneType"),
        (["text"], {"into": "store:My Notes"}, "Write 'my_notes'"),
        (["text"], {"metric": "cosin"}, "Did you mean 'cosine'"),
        (["text"], {"when": "deleted"}, "when must be a function of the model"),
        (["text"], {"index": "hnsw"}, "Flat\\(\\) or HNSW\\(\\), not str"),
        (["text"], {"index": "hnsw"}, "whose URL says vectors= also takes MilvusIndex"),
        (["text"], {"into": "notes", "index": MilvusIndex("FLAT")}, "follows stores, not columns"),
    ],
)
def test_searchable_refuses(texts: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        searchable(*texts, **({"into": "store:notes"} | options))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"texts": ["txt"]}, "Note.search: there is no column 'txt'. Did you mean 'text'"),
        ({"texts": ["year"]}, "not a text"),
        ({"fields": ["other"]}, "'other' of type .* cannot be a field"),
        ({"into": "notes"}, "Note.search: there is no column 'notes'.* A store would be into=\"store:notes\""),
    ],
)
def test_a_declaration_that_does_not_fit_its_class(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        connect(make_note(**options)[0])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stores": {}}, r"stores= lacks 'notes'. Say in which Database that store is.$"),
        ({"stores": {"note": "memory:"}}, "Did you mean 'note'"),
        ({"stores": {"notes": "memory:", "other": "memory:"}}, "stores= names 'other', which no model declares"),
        ({"stores": "memory:"}, "stores must be a mapping"),
        ({"embedder": embed_words}, "embedder must be an Embedder .* not function"),
        ({"embedder": ()}, "embedder must be an Embedder"),
    ],
)
def test_vector_orm_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        connect(make_note()[0], **options)


def test_a_base_without_declarations() -> None:
    class Base(DeclarativeBase):
        pass

    with pytest.raises(InvalidArgument, match=r"No class below Base declares searchable\(\)"):
        connect(Base)
    with pytest.raises(InvalidArgument, match="takes the declarative base"):
        connect(object)


def test_one_base_has_one_orm() -> None:
    base, _ = make_note()
    connect(base)
    with pytest.raises(InvalidArgument, match="There is a VectorORM for this declarative base already"):
        connect(base)


def test_two_declarations_need_two_stores() -> None:
    base, _ = make_note()
    # Kept by a name: SQLAlchemy holds classes weakly, and one that is collected declares nothing.
    other = type(
        "Other",
        (base,),
        {
            "__tablename__": "other",
            "id": mapped_column(primary_key=True, type_=vecstore_integer()),
            "text": mapped_column(String),
            "search": searchable("text", into="store:notes"),
        },
    )
    with pytest.raises(InvalidArgument, match="Two declarations write into store 'notes'"):
        connect(base)
    assert issubclass(other, base)


def vecstore_integer() -> Any:
    from sqlalchemy import Integer

    return Integer


def test_a_class_that_was_declared_later() -> None:
    base, _ = make_note()
    vectors = connect(base)

    class Late(base):  # type: ignore[misc, valid-type]
        __tablename__ = "late"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]
        search = searchable("text", into="store:late")

    engine = create_engine("sqlite://")
    with sessionmaker(engine)() as session, pytest.raises(InvalidArgument, match="Late was declared after"):
        vectors.search(session, Late.search, "a")


def test_keys_of_other_types() -> None:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        at: Mapped[dt.datetime] = mapped_column(primary_key=True)
        text: Mapped[str]
        search = searchable("text", into="store:notes")

    with pytest.raises(InvalidArgument, match=r"key column 'at' .* Keys are integers, texts and UUIDs"):
        connect(Base)


@pytest.mark.parametrize("type_", [CHAR(8), NCHAR(8), String(8, "NOCASE"), String(8, "utf8mb4_general_ci")], ids=repr)
def test_keys_that_a_database_does_not_compare_letter_by_letter(type_: String) -> None:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        name: Mapped[str] = mapped_column(type_, primary_key=True)
        text: Mapped[str]
        search = searchable("text", into="store:notes")

    with pytest.raises(InvalidArgument, match=r"key column 'name' of table 'note' has the (type|collation) .* Use "):
        connect(Base)


def test_nothing_is_done_before_install() -> None:
    vectors = connect(make_note()[0])
    with pytest.raises(InvalidArgument, match="install"):
        vectors.run_worker()
    with pytest.raises(InvalidArgument, match="install"):
        vectors.wait()
    with pytest.raises(InvalidArgument, match=r"takes a sessionmaker .* not Engine"):
        vectors.install(create_engine("sqlite://"))  # type: ignore[type-var]
    with pytest.raises(InvalidArgument, match="bound to no engine"):
        vectors.install(sessionmaker())


def test_other_engines_are_refused() -> None:
    base, _ = make_note()
    connect(base)
    engine: Any = create_mock_engine("mssql+pymssql://", lambda *_: None)
    with pytest.raises(Unsupported, match="mssql does not support capturing changes by triggers"):
        base.metadata.create_all(engine, checkfirst=False)


def test_the_statements_can_be_written_down() -> None:
    base, _ = make_note(fields=["year"])
    connect(base)
    lines: list[str] = []
    engine: Any = create_mock_engine(
        "postgresql+psycopg://", lambda statement, *_: lines.append(str(statement.compile(dialect=engine.dialect)))
    )
    base.metadata.create_all(engine, checkfirst=False)
    written = "\n".join(lines)
    assert written.count("CREATE TRIGGER") == 3
    assert "CREATE TABLE vecstore_outbox" in written
    assert written.index("CREATE TABLE note") < written.index("CREATE OR REPLACE FUNCTION")


class Colour(enum.Enum):
    RED = 1


class Upper(TypeDecorator[str]):
    impl = String
    cache_ok = True


def test_fields_take_their_types_from_the_columns() -> None:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(Upper)
        whole: Mapped[int]
        real: Mapped[float] = mapped_column(Float)
        price: Mapped[Decimal]
        flag: Mapped[bool]
        word: Mapped[str]
        at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
        day: Mapped[dt.date]
        owner: Mapped[uuid.UUID]
        colour: Mapped[Colour]
        search = searchable(
            "text",
            fields=("whole", "real", "price", "flag", "word", "at", "day", "owner", "colour"),
            into="store:notes",
            metric="l2",
            index=HNSW(m=8),
        )

    database = vecstore.connect("memory:")
    vectors = connect(Base, stores={"notes": database})
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    sessions = vectors.install(sessionmaker(engine))
    owner, at = uuid.uuid4(), dt.datetime(2026, 1, 2, 3, 4)
    with sessions.begin() as session:
        session.add(
            Note(
                id=uuid.uuid4(), text="a", whole=1, real=1.5, price=Decimal("2.50"), flag=True, word="w", at=at,
                day=at.date(), owner=owner, colour=Colour.RED,
            )
        )  # fmt: skip
    assert vectors.sync_once() == 1
    store = database.open("notes")
    assert dict(store.schema.fields) == {
        "whole": fields.Int(), "real": fields.Float(), "price": fields.Float(), "flag": fields.Bool(),
        "word": fields.Keyword(), "at": fields.DateTime(), "day": fields.Keyword(), "owner": fields.Keyword(),
        "colour": fields.Keyword(),
    }  # fmt: skip
    assert (store.schema.metric, store.schema.index) == ("l2", HNSW(m=8))
    [record] = store.scan()
    assert record.metadata == {
        "whole": 1, "real": 1.5, "price": 2.5, "flag": True, "word": "w", "at": at.replace(tzinfo=dt.UTC),
        "day": "2026-01-02", "owner": str(owner), "colour": "RED",
    }  # fmt: skip
    with sessions() as session:
        for where in (Note.owner == owner, Note.colour == Colour.RED, Note.price == Decimal("2.50"), Note.at == at):
            assert len(vectors.search(session, Note.search, "a", where=where)) == 1
    engine.dispose()


def test_mixins_dataclasses_and_inheritance() -> None:
    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class Titled:
        search: ClassVar[Searchable] = searchable("title", into="store:notes")

    class Employee(Titled, Base):
        __tablename__ = "employee"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        title: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "plain"}  # noqa: RUF012

    class Manager(Employee):
        __mapper_args__ = {"polymorphic_identity": "manager"}  # noqa: RUF012

    vectors = connect(Base)
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    sessions = vectors.install(sessionmaker(engine))
    with sessions.begin() as session:
        session.add_all([Employee(id=1, kind="plain", title="one"), Manager(id=2, kind="manager", title="two")])
    vectors.sync_once()
    with sessions() as session:
        attribute: Any = Employee.search
        assert isinstance(attribute, SearchAttribute)
        assert {type(row) for row, _ in vectors.search(session, attribute, "one")} == {Employee, Manager}
        manager: Any = Manager.search
        assert [type(row) for row, _ in vectors.search(session, manager, "one")] == [Manager]
    engine.dispose()


def test_a_store_of_another_metric() -> None:
    base, note = make_note(metric="ip", index=Flat())
    database = vecstore.connect("memory:")
    database.create("notes", vecstore.Schema(metric="cosine"), embedder=EMBEDDER)
    vectors = connect(base, stores={"notes": database})
    engine = create_engine("sqlite://")
    with sessionmaker(engine)() as session, pytest.raises(SchemaMismatch, match=r"Note.search declares metric='ip'"):
        vectors.search(session, note.search, "a")
    assert issubclass(SchemaMismatch, VecstoreError)


def test_rows_that_are_not_searchable(engine: Engine) -> None:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str]
        deleted: Mapped[bool] = mapped_column("is deleted", default=False)
        search = searchable("text", into="store:notes", when=lambda note: ~note.deleted)

    database = vecstore.connect("memory:")
    vectors = connect(Base, stores={"notes": database})
    Base.metadata.create_all(engine)
    sessions = vectors.install(sessionmaker(engine))
    with sessions.begin() as session:
        session.add_all([Note(text="one"), Note(text="two", deleted=True), Note(text="three")])
    vectors.sync_once()
    assert database.open("notes").count() == 2
    with sessions.begin() as session:
        session.execute(update(Note).where(Note.text == "one").values(deleted=True))
        assert [note.text for note, _ in vectors.search(session, Note.search, "one")] == ["three"]  # hidden at once
        assert vectors.search(session, Note.search, "one", where=Note.text == "one") == []
    assert vectors.sync_once() == 1
    assert database.open("notes").count() == 1
    assert vectors.verify()[0].ok


@pytest.mark.parametrize(
    "when, message",
    [
        (lambda note: True, "when must return a condition such as ~row.deleted, not bool"),
        (lambda note: select(note.id).exists(), "when uses other tables"),
    ],
)
def test_conditions_that_no_trigger_sees(when: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        connect(make_note(when=when)[0])
