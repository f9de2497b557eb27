"""vecstore on PostgreSQL and SQL by hand in one process, in turns: the speed of a machine drifts within minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from .clock import summary, timed
from .condition import CONDITIONS, Condition
from .corpus import Corpus
from .session import Asked, Session
from .subject import Setting, Subject
from .truth import K, Truth

OURS, JOINED, BY_HAND, OTHER_WAY = "vecstore", "using", "by-hand", "by-hand, other way"
_LOADS = 3
_ENOUGH = 0.99

Settings = Mapping[str, Mapping[str, Setting]]
"""For each kind of search, what each side needs for the recall asked for."""


def settings_of(ours: Mapping[str, Any], by_hand: Mapping[str, Any]) -> Settings:
    """Return the settings for a duel from what both sides needed alone; without a filter, the same for both."""
    dearer = max((each["search"]["setting"] for each in (ours, by_hand)), key=lambda setting: int(setting["ef"]))
    found: dict[str, Mapping[str, Setting]] = {"search": dict.fromkeys((OURS, JOINED, BY_HAND, OTHER_WAY), dearer)}
    for condition in CONDITIONS:
        mine, theirs = (each["filters"][condition.name] for each in (ours, by_hand))
        ways = theirs.get("ways", [theirs["setting"]])
        found[condition.name] = {
            OURS: mine["setting"], JOINED: mine["setting"], BY_HAND: ways[0], OTHER_WAY: ways[-1],
        }  # fmt: skip
    return found


def fight(data: Path, settings: Settings) -> dict[str, Any]:
    """Search what both have filled, then load in turns."""
    # Their packages are there only where this is measured.
    from .subjects.psycopg_by_hand import PsycopgByHand
    from .subjects.vecstore_postgres import VecstorePostgres, VecstorePostgresUsing

    corpus, held_out = Corpus.load(data / "stored"), Corpus.load(data / "held-out")
    truth = Truth.load(data / "truth.npz")
    ours, joined = VecstorePostgres(data, corpus.dim), VecstorePostgresUsing(data, corpus.dim)
    by_hand, other = PsycopgByHand(data, corpus.dim), PsycopgByHand(data, corpus.dim)
    subjects: dict[str, Subject] = {OURS: ours, JOINED: joined, BY_HAND: by_hand, OTHER_WAY: other}
    sessions = {name: Session(subject, corpus, held_out.vectors, truth) for name, subject in subjects.items()}
    for subject in subjects.values():
        subject.open()
    conditions: dict[str, Condition | None] = {"search": None, **{one.name: one for one in CONDITIONS}}
    figures: dict[str, Any] = {}
    for kind, setting in settings.items():
        for name, subject in subjects.items():
            subject.tune(setting[name])
        figures[kind] = _asked(sessions, conditions[kind])
        for name, found in figures[kind].items():
            found["setting"] = setting[name]
        figures[kind][BY_HAND] = _better(figures[kind].pop(OTHER_WAY), figures[kind][BY_HAND])
    joined.close()
    other.close()
    figures["load"] = _loaded({**by_hand.loads(corpus), **ours.loads(corpus)})
    ours.close()
    by_hand.close()
    return figures


def _asked(sessions: Mapping[str, Session], condition: Condition | None) -> dict[str, Any]:
    """Ask every query of every side before the next one, each time in another order."""
    names = list(sessions)
    asked = {name: Asked() for name in names}
    for turn, query in enumerate(sessions[OURS].queries):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            session = sessions[name]
            took, answer = timed(partial(session.subject.search, query, K, condition))
            asked[name].seconds.append(took)
            asked[name].found.append(session.places(answer))
    return {
        name: {
            **summary(each.seconds),
            "recall": sessions[name].recall(each, condition),
            "fewest_hits": min(map(len, each.found)),
        }
        for name, each in asked.items()
    }


def _better(*ways: dict[str, Any]) -> dict[str, Any]:
    """Return the quicker of those that find enough: which one that is, single runs are too noisy to tell."""
    best = max(way["recall"] for way in ways)
    return min((way for way in ways if way["recall"] >= min(best, _ENOUGH)), key=lambda way: float(way["median_ms"]))


def _loaded(ways: Mapping[str, tuple[Callable[[], None], Callable[[], None]]]) -> dict[str, Any]:
    """Time each way of loading several times, in turns; what comes first of each makes its table ready."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_LOADS):
        for name, (prepare, load) in ways.items():
            prepare()
            seconds[name].append(timed(load)[0])
    return {name: {"median_s": median(each), "runs": each} for name, each in seconds.items()}
