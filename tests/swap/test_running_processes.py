"""Processes with a successor go on writing and reading while their store moves to a place of another kind, and back."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import permutations

import pytest

from tests.swap.client import FIXED
from tests.swap.client import obey as obey_client
from tests.swap.conftest import NewPlace
from tests.swap.mover import obey as obey_mover
from vecstore import HNSW, Database, Flat, StoreLocked, StoreMoved, connect
from vecstore.index_options import IndexOptions
from vecstore.records import Record
from vecstore.testing import Place
from vecstore.testing.processes import TalkingProcess
from vecstore.testing.rebuild_fixtures import OLD, TEXT_SCHEMA, check_texts, make_texts, new_model
from vecstore.testing.sample_records import key_by_id
from vecstore.testing.threads import RepeatingThreads

pytestmark = pytest.mark.filterwarnings("ignore::vecstore.UnusedIndexWarning")

RING = {("file", "postgres"), ("postgres", "redis"), ("redis", "file")}
"""A usual run moves along it, and back: each way once."""
PAIRS = [
    pytest.param(pair, marks=[pytest.mark.long] * (pair not in RING))
    for pair in permutations(("file", "postgres", "redis"), 2)
]
WRITERS = ("ann", "bob", "eve")
CLIENTS = len(WRITERS) + 2
STEPS = 24
"""A move has about so many steps at which its process is killed; a few rounds are past the last one."""
PAUSE = 0.03
"""Seconds between two steps of a process, which leave the mover some of the processors."""
SHORT_INDEX = Flat()
"""Graphs are for long runs: each write would build on them, and calibrate."""
ROUNDS = 25
"""Of each kind, in a long run."""


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest, new_place: NewPlace) -> tuple[Place, Place]:
    """Return two places of different backends that processes share."""
    one, other = request.param
    return new_place(one), new_place(other)


@pytest.fixture(scope="module")
def clients() -> Iterator[list[TalkingProcess]]:
    """Processes that wait for orders; starting one takes longer than what most tests do with it."""
    with ExitStack() as stack:
        yield [stack.enter_context(TalkingProcess(obey_client)) for _ in range(CLIENTS)]


@pytest.fixture(scope="module")
def mover() -> Iterator[TalkingProcess]:
    with TalkingProcess(obey_mover) as program:
        yield program


class Round:
    """A store of texts, and processes that use it while it moves.

    Parameters
    ----------
    pair : tuple of Place
    databases : tuple of Database
        Without a successor.
    clients : list of TalkingProcess
    """

    def __init__(
        self, pair: tuple[Place, Place], databases: tuple[Database, Database], clients: Sequence[TalkingProcess]
    ) -> None:
        self.here, self.there = databases
        self._urls = [place.url for place in pair]
        self._clients = clients

    def run(
        self, move: Callable[[RepeatingThreads], None], rng: random.Random, index: IndexOptions = SHORT_INDEX
    ) -> None:
        """Let the clients work while ``move`` does its own, and check that the store has what they wrote."""
        schema = replace(TEXT_SCHEMA, index=index)
        self.here.create("docs", schema, embedder=OLD).insert(make_texts(FIXED))
        for number, client in enumerate(self._clients):
            author = WRITERS[number] if number < len(WRITERS) else ""
            assert give(client, "open", *self._urls, author, rng.randrange(2**31)) == "open"
        with RepeatingThreads(*(partial(step, client) for client in self._clients), pause=PAUSE) as threads:
            threads.wait_for(1)
            move(threads)
            threads.wait_for(2)
        kept = key_by_id(make_texts(FIXED))
        for client in self._clients:
            written, _ = json.loads(give(client, "close"))
            kept |= {id_: Record(id_, text=text, metadata=values) for id_, (text, values) in written.items()}
        check_texts(self.here.open("docs", embedder=OLD), kept, OLD)
        with pytest.raises(StoreMoved):
            self.there.open("docs")

    def change_model(self, threads: RepeatingThreads) -> None:
        """Move to another model and back."""
        new = new_model()
        self.here.open("docs").move_to(self.there, embedder=new, accept_volatile=True)
        threads.wait_for(2)
        self.there.open("docs", embedder=new).move_back(self.here, embedder=OLD, accept_volatile=True)

    def kill_movers(self, threads: RepeatingThreads, mover: TalkingProcess, rng: random.Random) -> None:
        """Move and back, each time with a process that is killed and another call that goes on."""
        one, other = self._urls
        for deed in ("move", "back"):
            call = {"deed": deed, "source": one, "target": other, "left": rng.randrange(STEPS)}
            assert json.loads(mover.ask(json.dumps(call))) in {0, -9}
            while not self._finish(deed):
                threads.wait_for(1)
            threads.wait_for(2)

    def drop(self) -> None:
        """Remove the signpost, which lacks a note of arrival where a mover was killed, and then the store."""
        with connect(self._urls[1], successor=self.here) as there:
            there.drop("docs", moved=True)
        self.here.drop("docs")

    def _finish(self, deed: str) -> bool:
        """Go on where a killed process was; return False as long as its server thinks that it lives."""
        try:
            if deed == "move":
                self.here.open("docs").move_to(self.there, accept_volatile=True)
            else:
                self.there.open("docs").move_back(self.here, accept_volatile=True)
        except StoreMoved:  # it came to its switch
            return True
        except StoreLocked:
            return False
        return True


def give(client: TalkingProcess, *order: object) -> str:
    return client.ask(json.dumps(order))


def step(client: TalkingProcess) -> None:
    answer = give(client, "step")
    assert answer == ".", json.loads(answer)


def test_the_model_changes_on_the_way(
    pair: tuple[Place, Place], databases: tuple[Database, Database], clients: list[TalkingProcess], seed: int
) -> None:
    round_ = Round(pair, databases, clients)
    round_.run(round_.change_model, random.Random(seed))


def test_the_mover_is_killed(
    pair: tuple[Place, Place],
    databases: tuple[Database, Database],
    clients: list[TalkingProcess],
    mover: TalkingProcess,
    seed: int,
) -> None:
    rng = random.Random(seed)
    round_ = Round(pair, databases, clients)
    round_.run(lambda threads: round_.kill_movers(threads, mover, rng), rng)


@pytest.mark.long
def test_many_rounds(
    pair: tuple[Place, Place],
    databases: tuple[Database, Database],
    clients: list[TalkingProcess],
    mover: TalkingProcess,
    seed: int,
) -> None:
    rng = random.Random(seed)
    round_ = Round(pair, databases, clients)
    for number in range(2 * ROUNDS):
        if number % 2:
            round_.run(round_.change_model, rng, HNSW())
        else:
            round_.run(lambda threads: round_.kill_movers(threads, mover, rng), rng, HNSW())
        round_.drop()
