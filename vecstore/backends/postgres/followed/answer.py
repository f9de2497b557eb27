"""The statement that makes an answer of what the other engine found: true distances, and what is noted beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.types import TypeEngine

from .. import generation_guard
from ..catalogue_tables import CatalogueTables
from ..column_types import quote_name
from ..match_estimate import estimate_share, may_be_few
from ..metrics import compute_true_distance
from ..reads import is_searchable
from ..search import SearchStatement, join_records, list_carried_columns, select_matches, select_queries
from ..statements import Answer, Statement, compile_statement, make_parameter, unnest_arrays
from ..writes import make_array_parameter
from .follower import ORIGIN

MOST_NOTES = 10_000
"""With more notes than this, PostgreSQL compares all records: it would read as many one by one."""
_GIVEN: dict[str, TypeEngine[Any]] = {"id": Text(), "number": BigInteger()}
_STATE = ("collection", "applied", "forgotten", "sound", "effort", "noted", "clean")
"""What follows the columns of a record in each row of the answer."""


@dataclass(frozen=True, slots=True)
class AnswerProof:
    """What an answer says of itself.

    Attributes
    ----------
    collection : str or None
        What searches ask now.
    applied, forgotten : int
    sound : bool
        Whether this database is the one that is followed, and the statement saw all that was committed.
    effort : int or None
        The generation's.
    noted : int
        How many noted records were compared; none of them if there are more than `MOST_NOTES`.
    clean : list of int
        For each query, how many of the given ids are records that match and are not noted.
    """

    collection: str | None
    applied: int
    forgotten: int
    sound: bool
    effort: int | None
    noted: int
    clean: list[int]


def compile_answer(catalogue: CatalogueTables, search: SearchStatement) -> Statement:
    """Compare each query with the ids that are given for it and with what is noted; join the state of the follower."""
    search = search.rename_table("r")
    layout, state = search.layout, _select_state(catalogue, search)
    noted = _select_notes(catalogue)
    count = select(func.count()).select_from(noted).scalar_subquery()
    asked = select_queries(search, state, "asked", *(state.c[name] for name in _STATE[:5]))
    given = unnest_arrays(
        "given", _GIVEN, {name: make_array_parameter(f"given_{name}", each) for name, each in _GIVEN.items()}
    )
    found = select(given.c.id, given.c.number).cte("found")
    is_noted = select(noted.c.id).where(noted.c.id == found.c.id).exists()
    ids = union_all(
        select(found.c.id, true().label("clean")).where(found.c.number == asked.c.number, ~is_noted).correlate(asked),
        select(noted.c.id, false().label("clean")),
    ).lateral("ids")
    distance = compute_true_distance(layout, asked.c.vector).label("distance")
    clean = func.count().filter(ids.c.clean).over().label("clean")
    near = (
        select(layout.columns.id, distance, clean, *list_carried_columns(search))
        .select_from(ids.join(layout.table, layout.table.c.id == ids.c.id))
        .where(is_searchable(layout, search.condition), count <= literal_column(str(MOST_NOTES)))
        .order_by(distance, layout.columns.id)
        .limit(literal_column(str(int(search.k))))
        .correlate(asked)
        .lateral("near")
    )
    said = (asked.c[f"setting{number}"].label(name) for number, name in enumerate(_STATE[:5]))
    return compile_statement(join_records(search, asked, near, *said, count.label("noted"), near.c.clean, exact=False))


def _select_state(catalogue: CatalogueTables, search: SearchStatement) -> CTE:
    store, follower, generation = catalogue.stores, catalogue.followers, catalogue.generations
    role = store.c.standby if search.standby else store.c.active
    isolation = func.current_setting(literal_column("'transaction_isolation'"))
    joined = cast(make_parameter("joined", Boolean()), Boolean())
    # The snapshot of an older transaction may lack what the engine has already.
    is_present = case((joined, isolation == literal_column("'read committed'")), else_=true())
    origin = ORIGIN.replace("{ns}", quote_name(str(follower.schema)))
    is_ours = follower.c.origin == literal_column(f"({origin})", Text())
    state = select(
        follower.c.collection,
        follower.c.applied,
        follower.c.forgotten,
        and_(is_ours, is_present).label("sound"),
        generation.c.ef.label("effort"),
    ).select_from(store.join(generation, generation.c.id == role).outerjoin(follower, follower.c.generation == role))
    return state.where(role == generation_guard.GENERATION).cte("pointer")


def _select_notes(catalogue: CatalogueTables) -> CTE:
    """Return the ids that the engine may not have had as they are when it was asked; up to one more than are read."""
    note = catalogue.notes
    after = cast(make_parameter("after", BigInteger()), BigInteger())
    rows = select(note.c.id).where(note.c.generation == generation_guard.GENERATION, note.c.done > after)
    return rows.limit(literal_column(str(MOST_NOTES + 1))).cte("noted")


def compile_matching(catalogue: CatalogueTables, search: SearchStatement) -> Statement:
    """Say whether few records match a filter, and how many records a graph has for one that matches.

    The answer is a number of matches, NULL where they are surely many, and that ratio.
    """
    where = search.where
    if where is None:
        raise TypeError("without a filter all records match")
    pointer = generation_guard.select_pointer(catalogue, standby=search.standby).cte("pointer")
    named, search = search, search.rename_table("r")
    share = estimate_share(named.layout, where)
    perhaps = may_be_few(named.layout, named.few, share)
    matching = select(func.count()).select_from(select_matches(search, perhaps).subquery("matching")).scalar_subquery()
    counted = case((perhaps, matching))
    return compile_statement(select(counted, select(share.c.widening).scalar_subquery()).select_from(pointer))


def read_proof(answer: Answer, queries: int) -> AnswerProof:
    """Return the state that each row of an answer repeats."""
    tail = answer[0][-len(_STATE) :]
    clean = [0] * queries
    for row in answer:
        clean[row[0] - 1] = int(row[-1] or 0)
    collection, applied, forgotten, sound, effort, noted, _ = tail
    return AnswerProof(collection, int(applied or 0), int(forgotten or 0), bool(sound), effort, int(noted), clean)


def cut_state(answer: Answer) -> Answer:
    """Return the rows without the state, as those of other searches."""
    return [row[: -len(_STATE)] for row in answer]


def list_ids(found: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return the parameters for the ids that were found for each query."""
    numbers = np.repeat(np.arange(1, len(found) + 1), [len(ids) for ids in found])
    return {"given_id": [id_ for ids in found for id_ in ids], "given_number": numbers.tolist()}
