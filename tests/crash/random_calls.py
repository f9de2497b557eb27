"""Random calls: a seed and the state alone determine the next one."""

from __future__ import annotations

import random

from vecstore.updates import KEEP

from . import calls
from .calls import Call, Selection
from .contents import GROUPS, SCHEMAS, Contents, State, Stored, get_twin, make_records

MAIN = ("docs", "papers")
"""The store that lives through a campaign has one of these names."""
SIDES = ("alpha", "beta", "gamma")
NUMBERS = 300
"""How many different ids a store has at most."""

_WEIGHTS = {
    "upsert": 24,
    "bulk": 10,
    "batches": 5,
    "insert": 8,
    "update": 10,
    "update_where": 5,
    "delete": 8,
    "delete_where": 3,
    "rename": 4,
    "create": 5,
    "drop": 4,
    "rebuild": 5,
    "rollback": 3,
    "read": 5,
    "compact": 30,
    "reindex": 12,
}


def draw_call(draw: random.Random, state: State) -> Call:
    """Draw a call that is possible in a state."""
    if not state.keys() & set(MAIN):
        return calls.Create(MAIN[0], "plain graph")
    (kind,) = draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
    sides = sorted(state.keys() & set(SIDES))
    main = next(name for name in MAIN if name in state)
    store = main if not sides or draw.random() < 0.7 else draw.choice(sides)
    match kind:
        case "create" if len(sides) < len(SIDES):
            name = draw.choice([each for each in SIDES if each not in state])
            return calls.Create(name, draw.choice(list(SCHEMAS)))
        case "drop" if sides:
            return calls.Drop(draw.choice(sides))
        case "rename":
            return _rename(draw, store, main, sides)
        case "rebuild":
            return calls.Rebuild(store, draw.choice(list(SCHEMAS)), draw.random() < 0.6)
        case "rollback" if any(each.previous for each in state.values()):
            return calls.Rollback(draw.choice(sorted(name for name, each in state.items() if each.previous)))
        case "read":
            return calls.Read(store, draw.randrange(GROUPS))
        case "compact":
            return calls.Compact(store)
        case "reindex":
            schema = state[store].schema
            return calls.Reindex(store, get_twin(schema) if draw.random() < 0.5 else schema)
    return _change(draw, kind, store, state[store])


def _update(draw: random.Random, store: str) -> Call:
    # A text comes with a vector, for these stores have no embedder, or goes.
    vector = next(iter(_draw_records(draw, 1).values())) if draw.random() < 0.4 else None
    text = KEEP if draw.random() < 0.6 else f"changed text {draw.randrange(2**31)}" if vector else None
    return calls.Update(store, Selection(_draw_ids(draw)), _draw_metadata(draw), vector, text)


def _rename(draw: random.Random, store: str, main: str, sides: list[str]) -> Call:
    if store == main or len(sides) == len(SIDES):
        return calls.Rename(main, MAIN[1 - MAIN.index(main)])
    return calls.Rename(store, draw.choice([each for each in SIDES if each not in sides]))


def _change(draw: random.Random, kind: str, store: str, contents: Contents) -> Call:
    match kind:
        case "bulk":
            return calls.Upsert(store, _draw_records(draw, draw.randint(70, 150)))
        case "batches":
            return calls.Upsert(store, _draw_records(draw, draw.randint(20, 150)), batch_size=draw.choice([8, 40, 80]))
        case "insert":
            return calls.Insert(store, _draw_new_records(draw, contents))
        case "update":
            return _update(draw, store)
        case "update_where":
            return calls.Update(store, Selection(group=draw.randrange(GROUPS)), _draw_metadata(draw))
        case "delete":
            return calls.Delete(store, Selection(_draw_ids(draw)))
        case "delete_where":
            return calls.Delete(store, Selection(group=draw.randrange(GROUPS)))
    return calls.Upsert(store, _draw_records(draw, draw.randint(1, 8)))


def _draw_records(draw: random.Random, count: int) -> dict[str, Stored]:
    return make_records(draw.sample(range(NUMBERS), count), draw.randrange(2**31))


def _draw_new_records(draw: random.Random, contents: Contents) -> dict[str, Stored]:
    records = _draw_records(draw, draw.randint(1, 20))
    if draw.random() < 0.2:
        return records
    return {id_: each for id_, each in records.items() if id_ not in contents.records} or records


def _draw_ids(draw: random.Random) -> tuple[str, ...]:
    return tuple(make_records(draw.sample(range(NUMBERS), draw.randint(1, 12)), 0))


def _draw_metadata(draw: random.Random) -> dict[str, object]:
    values: dict[str, object] = {"note": {"changed": draw.randrange(2**31)}}
    if draw.random() < 0.5:
        values["group"] = draw.randrange(GROUPS)
    return values
