"""The pages. Each works without JavaScript; ``static/live.js`` fetches the same pages while a person types."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session as OpenSession
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException as AnyHTTPException

from . import wording
from .drafts import LABELS, Draft
from .guard import Guard
from .models import BODY, NAME, TITLE, Note
from .search import LONGEST_QUERY, PAGE, Wish, count_values, find_notes, find_similar
from .storage import FOLDER, Session, embedder, settings, vectors

IDEAS = ("hot drinks", "something for a headache", "who owes me money", "broken hard drive")
DONE = {"saved": "Saved. A search finds it in a moment.", "deleted": "The note is deleted."}
_log = logging.getLogger("notes")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the worker beside the application, and load the model before somebody waits for it."""
    embedder.embed_queries(["word"])
    if settings.worker == "thread":
        vectors.run_worker()
    yield
    vectors.close()


app = FastAPI(title="Notes", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
app.add_middleware(Guard)
app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
templates = Jinja2Templates(FOLDER / "templates")
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.filters.update(
    score=wording.describe_score, mark_words=wording.mark_words, date=wording.format_date, count=wording.count
)
templates.env.globals.update(limits={"title": TITLE, "name": NAME, "body": BODY, "query": LONGEST_QUERY}, labels=LABELS)


def render(request: Request, page: str, status: int = 200, **values: Any) -> Response:
    """Return a page."""
    return templates.TemplateResponse(request, page, values, status_code=status)


@app.api_route("/", methods=["GET", "HEAD"])
def show_search(
    request: Request, q: str = "", owner: str = "", tag: str = "", page: str = "1", done: str = ""
) -> Response:
    """Show the notes that a query finds, or the newest ones."""
    number = int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1
    wish = Wish(" ".join(q.replace("\0", " ").split()), _drop_nul(owner), _drop_nul(tag), max(number, 1))
    words = wording.find_words(wish.query)
    too_long = len(wish.query) > LONGEST_QUERY
    backlog = vectors.status()["Note.search"]  # before the search: what it says holds for the answer
    with Session() as session:
        answer = None if too_long else find_notes(session, wish)
        values = count_values(session)
        status = 400 if answer is None else 503 if answer.failed else 200
        return render(
            request,
            "search.html",
            status,
            wish=wish,
            answer=answer,
            words=words,
            values=values,
            total=sum(number for _, number in values["owner"]),
            first=(wish.page - 1) * PAGE,
            link=lambda **other: "/?" + urlencode(_keep(wish, other)),
            has_words=lambda note: wording.has_words(f"{note.title} {note.body}", words),
            backlog=backlog,
            done=DONE.get(done, ""),
            ideas=IDEAS,
        )


@app.api_route("/notes/new", methods=["GET", "HEAD"])
def show_new(request: Request) -> Response:
    """Show an empty form. It has the key of the note that it will make."""
    return _render_form(request, Draft(), f"/notes/{uuid.uuid4()}/new")


@app.post("/notes/{note_id}/new")
def add_note(
    request: Request,
    note_id: uuid.UUID,
    title: Annotated[str, Form()] = "",
    body: Annotated[str, Form()] = "",
    owner: Annotated[str, Form()] = "",
    tag: Annotated[str, Form()] = "",
) -> Response:
    """Add a note. The same form a second time changes nothing, and has the same answer."""
    draft = Draft.from_form(title, body, owner, tag)
    if errors := draft.find_errors():
        return _render_form(request, draft, request.url.path, errors, status=422)
    note = Note(id=note_id)
    draft.apply(note)
    try:
        with Session.begin() as session:
            session.add(note)
    except IntegrityError:
        with Session() as session:
            stored = _get_note(session, note_id)
            if Draft.from_note(stored) != draft:  # sent again after a step back and another change
                return _render_conflict(request, draft, stored)
    return RedirectResponse(f"/notes/{note_id}?done=saved", 303)


@app.api_route("/notes/{note_id}", methods=["GET", "HEAD"])
def show_note(request: Request, note_id: uuid.UUID, done: str = "") -> Response:
    """Show a note, and those near to it."""
    with Session() as session:
        note = _get_note(session, note_id)
        similar = find_similar(session, note)
        return render(request, "note.html", note=note, similar=similar, done=DONE.get(done, ""))


@app.api_route("/notes/{note_id}/edit", methods=["GET", "HEAD"])
def show_edit(request: Request, note_id: uuid.UUID) -> Response:
    """Show the form of a note."""
    with Session() as session:
        note = _get_note(session, note_id)
        return _render_form(request, Draft.from_note(note), f"/notes/{note.id}/edit", version=note.version)


@app.post("/notes/{note_id}/edit")
def change_note(
    request: Request,
    note_id: uuid.UUID,
    title: Annotated[str, Form()] = "",
    body: Annotated[str, Form()] = "",
    owner: Annotated[str, Form()] = "",
    tag: Annotated[str, Form()] = "",
    version: Annotated[str, Form()] = "",
) -> Response:
    """Change a note, unless somebody else has changed it since the form was shown."""
    draft, path = Draft.from_form(title, body, owner, tag), request.url.path
    if errors := draft.find_errors():
        return _render_form(request, draft, path, errors, version=version, status=422)
    with Session() as session:
        note = _get_note(session, note_id)
        if Draft.from_note(note) == draft:
            return RedirectResponse(f"/notes/{note_id}", 303)
        try:
            if str(note.version) == version:
                draft.apply(note)
                session.commit()
                return RedirectResponse(f"/notes/{note_id}?done=saved", 303)
        except StaleDataError:
            session.rollback()
            note = _get_note(session, note_id)
        return _render_conflict(request, draft, note)


@app.api_route("/notes/{note_id}/delete", methods=["GET", "HEAD"])
def show_delete(request: Request, note_id: uuid.UUID) -> Response:
    """Ask before a note is deleted."""
    with Session() as session:
        return render(request, "delete.html", note=_get_note(session, note_id))


@app.post("/notes/{note_id}/delete")
def delete_note(note_id: uuid.UUID) -> Response:
    """Delete a note. If it is gone already, that is what was asked for."""
    with Session.begin() as session:
        note = session.get(Note, note_id, with_for_update=True)
        if note is not None:
            session.delete(note)
    return RedirectResponse("/?done=deleted", 303)


@app.exception_handler(AnyHTTPException)
def show_http_error(request: Request, error: AnyHTTPException) -> Response:
    """Show what is wrong with the address or the method."""
    answer = _render_message(request, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


@app.exception_handler(RequestValidationError)
def show_bad_request(request: Request, error: RequestValidationError) -> Response:
    """Show that there is no such page, or that a form is not one of ours."""
    return _render_message(request, 404 if error.errors()[0]["loc"][0] == "path" else 400)


@app.exception_handler(SQLAlchemyError)
def show_outage(request: Request, error: SQLAlchemyError) -> Response:
    """Show that the database does not answer."""
    _log.error("the database failed: %s", type(error).__name__)
    return _render_message(request, 503)


_MESSAGES = {
    400: "The form could not be read. Go back, and send it again.",
    404: "There is no note or page at this address. It may have been deleted.",
    405: "This address does not take such a request.",
    503: "The notes cannot be reached at the moment. Nothing is lost; try again in a minute.",
}


def _render_message(request: Request, status: int) -> Response:
    name = HTTPStatus(status).phrase
    return render(request, "message.html", status, title=name, text=_MESSAGES.get(status, f"{name}."))


def _render_form(
    request: Request,
    draft: Draft,
    action: str,
    errors: dict[str, str] | None = None,
    *,
    version: int | str | None = None,
    theirs: Draft | None = None,
    status: int = 200,
) -> Response:
    with Session() as session:
        values = count_values(session)
    return render(
        request, "form.html", status, draft=draft, action=action, errors=errors or {}, version=version, theirs=theirs,
        values=values,
    )  # fmt: skip


def _render_conflict(request: Request, draft: Draft, note: Note) -> Response:
    theirs = Draft.from_note(note)
    return _render_form(request, draft, f"/notes/{note.id}/edit", version=note.version, theirs=theirs, status=409)


def _get_note(session: OpenSession, note_id: uuid.UUID) -> Note:
    note = session.get(Note, note_id)
    if note is None:
        raise HTTPException(404)
    return note


def _keep(wish: Wish, other: dict[str, Any]) -> dict[str, Any]:
    wanted = {"q": wish.query, "owner": wish.owner, "tag": wish.tag} | other
    return {name: value for name, value in wanted.items() if value}


def _drop_nul(value: str) -> str:
    """Return a text without what PostgreSQL cannot hold: no note has it."""
    return value.replace("\0", "")
