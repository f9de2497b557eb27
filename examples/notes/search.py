"""Which notes a query finds, and which there are without one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import Session

from vecstore.errors import InvalidQuery, VecstoreError

from .models import Note
from .storage import vectors
from .wording import DISTANT

MOST = 12
PAGE = 20
SIMILAR = 4
LONGEST_QUERY = 300
_log = logging.getLogger("notes")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for.

    Attributes
    ----------
    query : str
        Empty for all notes.
    owner, tag : str
        Empty for all of them.
    page : int
        Of the notes without a query, from 1.
    """

    query: str = ""
    owner: str = ""
    tag: str = ""
    page: int = 1

    @property
    def condition(self) -> ColumnElement[bool]:
        """What the notes must match, apart from the query."""
        found: ColumnElement[bool] = true()
        if self.owner:
            found &= Note.owner == self.owner
        if self.tag:
            found &= Note.tag == self.tag
        return found


@dataclass(frozen=True, slots=True)
class Found:
    """A note, and its score if it was found by meaning."""

    note: Note
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The notes for a wish.

    Attributes
    ----------
    found : sequence of Found
    has_more : bool
        There is another page.
    failed : bool
        The store of vectors did not answer; these are the notes that contain the words.
    """

    found: Sequence[Found]
    has_more: bool = False
    failed: bool = False


def find_notes(session: Session, wish: Wish) -> Answer:
    """Return the notes for a wish: by meaning, then those that contain the query as it stands; or the newest ones."""
    if not wish.query:
        return _list_newest(session, wish)
    literal = _find_words(session, wish)
    try:
        hits = vectors.search(session, Note.search, wish.query, k=MOST, where=wish.condition, min_score=DISTANT)
    except InvalidQuery:  # signs without a meaning
        hits = []
    except VecstoreError as error:
        _log.warning("the store of vectors did not answer: %s", error)
        return Answer([Found(note) for note in literal], failed=True)
    found = [Found(note, hit.score) for note, hit in hits]
    known = {each.note.id for each in found}
    return Answer([*found, *(Found(note) for note in literal if note.id not in known)])


def find_similar(session: Session, note: Note) -> list[Note]:
    """Return the notes nearest to a note, without itself."""
    text = f"{note.title}\n\n{note.body}"
    try:
        hits = vectors.search(session, Note.search, text, k=SIMILAR, where=Note.id != note.id, min_score=DISTANT)
    except InvalidQuery:
        return []
    except VecstoreError as error:
        _log.warning("the store of vectors did not answer: %s", error)
        return []
    return [other for other, _ in hits]


def count_values(session: Session) -> dict[str, list[tuple[str, int]]]:
    """Return the owners and the tags, each with the number of its notes."""
    return {
        name: [
            (value, count)
            for value, count in session.execute(select(column, func.count()).group_by(column).order_by(column))
        ]
        for name, column in (("owner", Note.owner), ("tag", Note.tag))
    }


def _find_words(session: Session, wish: Wish) -> Sequence[Note]:
    contains = or_(Note.title.icontains(wish.query, autoescape=True), Note.body.icontains(wish.query, autoescape=True))
    newest = select(Note).where(wish.condition, contains).order_by(Note.changed_at.desc(), Note.id)
    return session.scalars(newest.limit(MOST)).all()


def _list_newest(session: Session, wish: Wish) -> Answer:
    newest = select(Note).where(wish.condition).order_by(Note.changed_at.desc(), Note.id)
    notes = session.scalars(newest.limit(PAGE + 1).offset((wish.page - 1) * PAGE)).all()
    return Answer([Found(note) for note in notes[:PAGE]], has_more=len(notes) > PAGE)
