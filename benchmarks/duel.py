"""vecstore on a server against hand-written code in one process, in turns, because machines drift within minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import permutations
from pathlib import Path
from statistics import median
from typing import Any

from .clock import summarize, time_call
from .condition import CONDITIONS, Condition
from .corpus import Corpus
from .session import Asked, Session
from .subject import Loads, Setting, Subject
from .subjects import subject_class
from .truth import K, Truth

OURS, BY_HAND = "vecstore", "by-hand"
_LOADS = 3
_ENOUGH = 0.99
_CONDITIONS: Mapping[str, Condition | None] = {"search": None, **{one.name: one for one in CONDITIONS}}

Settings = Mapping[str, Mapping[str, Sequence[Setting]]]
"""For each kind of search and each side, the setting that reaches the recall; by hand there can be two."""


@dataclass(frozen=True)
class Duel:
    """The names of the subjects that are compared.

    Attributes
    ----------
    ours, by_hand : str
    ours_too : mapping of str to str
        Other ways of using our store, by what the figures call them.
    by_hand_too : tuple of str
        Other ways of doing it by hand, of which the quickest counts.
    """

    ours: str
    by_hand: str
    ours_too: Mapping[str, str] = field(default_factory=dict)
    by_hand_too: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Side:
    """A subject and its setting."""

    session: Session
    setting: Setting


DUELS = (
    Duel("vecstore-postgres", "psycopg-by-hand", ours_too={"using": "vecstore-postgres-using"}),
    Duel("vecstore-redis", "redis-by-hand", by_hand_too=("redis-by-hand-ft",)),
)


def choose_settings(ours: Mapping[str, Any], by_hand: Mapping[str, Any]) -> Settings:
    """Return the settings for a duel from what each side needed alone; without a filter, both use the same."""
    dearer = max((each["search"]["setting"] for each in (ours, by_hand)), key=lambda setting: int(setting["ef"]))
    found: dict[str, Mapping[str, Sequence[Setting]]] = {"search": {OURS: [dearer], BY_HAND: [dearer]}}
    for condition in CONDITIONS:
        mine, theirs = (each["filters"][condition.name] for each in (ours, by_hand))
        found[condition.name] = {OURS: [mine["setting"]], BY_HAND: theirs.get("ways", [theirs["setting"]])}
    return found


def run_duel(data: Path, duel: Duel, settings: Settings) -> dict[str, Any]:
    """Search both stores in turns, then load in turns."""
    corpus, held_out = Corpus.load(data / "stored"), Corpus.load(data / "held-out")
    truth = Truth.load(data / "truth.npz")
    figures: dict[str, Any] = {}
    with ExitStack() as stack:

        @cache
        def session(name: str, number: int) -> Session:
            return Session(_open(name, data, corpus.dim, stack), corpus, held_out.vectors, truth)

        for kind, wanted in settings.items():
            hands = [
                Side(session(who, number), setting)
                for who in (duel.by_hand, *duel.by_hand_too)
                for number, setting in enumerate(wanted[BY_HAND])
            ]
            quickest = _find_quickest(hands, _CONDITIONS[kind])
            figures[kind] = {}
            # In pairs, the one that counts last.
            for name, who in {**duel.ours_too, OURS: duel.ours}.items():
                pair = {name: Side(session(who, 0), wanted[OURS][0]), BY_HAND: quickest}
                found = _ask_in_turns(pair, _CONDITIONS[kind])
                if name != OURS:
                    found[f"{BY_HAND} beside {name}"] = found.pop(BY_HAND)
                figures[kind] |= found
    # Apart from the searches, because a transaction that is still open would be in the way.
    with ExitStack() as stack:
        subjects = [_open(name, data, corpus.dim, stack) for name in (duel.by_hand, duel.ours)]
        figures["load"] = _time_loads({name: way for each in subjects for name, way in each.loads(corpus).items()})
    return figures


def _open(name: str, data: Path, dim: int, stack: ExitStack) -> Subject:
    subject = subject_class(name)(data, dim)
    subject.open()
    stack.callback(subject.close)
    return subject


def _ask_in_turns(sides: Mapping[str, Side], condition: Condition | None) -> dict[str, Any]:
    """Send each query to every side before the next query, in each order equally often.

    Sides that share a table find its pages warm after one another, and are a third quicker for it: they are compared
    with one another, and not together with a side that has a table to itself.
    """
    orders = list(permutations(sides))
    asked = {name: Asked() for name in sides}
    for side in sides.values():
        side.session.subject.tune(side.setting)
    [queries, *_] = [side.session.queries for side in sides.values()]
    for turn, query in enumerate(queries):
        for name in orders[turn % len(orders)]:
            session = sides[name].session
            took, answer = time_call(partial(session.subject.search, query, K, condition))
            asked[name].seconds.append(took)
            asked[name].found.append(session.places(answer))
    return {
        name: {
            **summarize(each.seconds),
            "recall": sides[name].session.recall(each, condition),
            "fewest_hits": min(map(len, each.found)),
            "setting": sides[name].setting,
        }
        for name, each in asked.items()
    }


def _find_quickest(ways: Sequence[Side], condition: Condition | None) -> Side:
    """Return the quicker side in a comparison of its own, because single runs are too noisy to tell."""
    if len(ways) == 1:
        return ways[0]
    found = _ask_in_turns({str(number): way for number, way in enumerate(ways)}, condition)
    enough = min(_ENOUGH, max(each["recall"] for each in found.values()))
    times = {name: each["median_ms"] for name, each in found.items() if each["recall"] >= enough}
    return ways[int(min(times, key=times.__getitem__))]


def _time_loads(ways: Loads) -> dict[str, Any]:
    """Time each way of loading several times, in turns; each first prepares its table."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_LOADS):
        for name, (prepare, load) in ways.items():
            prepare()
            seconds[name].append(time_call(load)[0])
    return {name: {"median_s": median(each), "runs": each} for name, each in seconds.items()}
