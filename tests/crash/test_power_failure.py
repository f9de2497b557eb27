"""Power failures at any moment of a recorded run: every state that the disk may have then is opened.

Acknowledged writes are there, bit by bit; the call in flight is there as whole commits or not at all; and each fsync
of the run is needed for that.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import pytest

from .lost_writes import KEPT
from .outages import Outage, Run, group_syncs, list_uniform, make_fates, simulate_outages
from .scenario import SCENARIOS, list_histories
from .survivors import Survivors
from .trace import Mark
from .volume import Volume

_OPENED = "SQLite syncs the directory of each journal that it opens, also of one that has stayed there"
NEEDLESS: Mapping[str, str] = MappingProxyType(
    {f"kb/g/ID/ {change}{where}": _OPENED for change in ("unchanged", "+upkeep.lock") for where in ("", ", apart")}
)
"""Fsyncs that could be left out, with the reason."""

COMPACTIONS = frozenset(number for number, call in enumerate(SCENARIOS["life"]()) if call.kind == "compact")
"""Their fsyncs are examined apart from those of writes."""

Context = tuple[bytes, int, bool]
Note = Callable[[str], None]


def get_context(outage: Outage) -> Context:
    return outage.digest, outage.call, outage.in_flight


def choose(found: Iterable[Outage], seed: int, share: float) -> Iterable[Outage]:
    """Choose by contents: equal contents are opened in every context or not at all."""
    for outage in found:
        if random.Random(f"{seed}/{outage.digest.hex()}").random() < share:
            yield outage


def check(run: Run, survivors: Survivors, seed: int, drawn: int, share: float, note: Note) -> int:
    """Open a sample of the uniform and the random outages; return how many distinct states there were."""
    before = survivors.distinct
    sample = choose(simulate_outages(run, make_fates(seed, drawn)), seed, share)
    problems = [problem for outage in sample if (problem := survivors.find_problem(outage))]
    distinct = survivors.distinct - before
    note(f"power failure, seed {seed}: {distinct} distinct states of the disk, {len(problems)} bad ones")
    assert not problems, f"VECSTORE_SEED={seed}: {len(problems)} bad states\n" + "\n".join(problems[:10])
    return distinct


@pytest.mark.parametrize("name", ["life", "recovery"])
def test_the_model_follows_the_run(request: pytest.FixtureRequest, name: str) -> None:
    """Without a power failure the model has exactly the files that the run left."""
    run: Run = request.getfixturevalue(name)
    volume = Volume(run.before)
    for event in run.events:
        volume.follow(event)
    image = volume.image(KEPT)
    assert sorted(image) == sorted(path.relative_to(run.root).as_posix() for path in run.root.rglob("*"))
    assert [path for path, data in image.items() if data is not None and (run.root / path).read_bytes() != data] == []
    assert sum(isinstance(event, Mark) for event in run.events) == 2 * len(list_histories(name))


def test_power_failures(life: Run, survivors: Survivors, seed: int, note: Note) -> None:
    # About 235 of 5,900 states, with a standard deviation of 15.
    assert check(life, survivors, seed, 1, 0.04, note) >= 160


def test_power_failures_of_a_recovery(recovery: Run, twice_survivors: Survivors, seed: int, note: Note) -> None:
    assert check(recovery, twice_survivors, seed, 1, 0.22, note) >= 50


@pytest.mark.long
def test_many_power_failures(life: Run, survivors: Survivors, seed: int, note: Note) -> None:
    assert check(life, survivors, seed, 4, 1, note) >= 2_000


@pytest.mark.long
def test_many_power_failures_of_a_recovery(recovery: Run, twice_survivors: Survivors, seed: int, note: Note) -> None:
    assert check(recovery, twice_survivors, seed, 4, 1, note) >= 500


@pytest.fixture(scope="module")
def unharmed(life: Run) -> frozenset[Context]:
    """All outcomes with every fsync in place."""
    return frozenset(map(get_context, simulate_outages(life, list_uniform)))


def find_harm(life: Run, survivors: Survivors, unharmed: frozenset[Context], forgotten: frozenset[int]) -> str | None:
    """Return a problem that occurs only without some fsyncs."""
    for outage in simulate_outages(life, list_uniform, forgotten):
        is_new = outage.position > min(forgotten) and get_context(outage) not in unharmed
        if is_new and (problem := survivors.find_problem(outage, whole=True)):
            return problem
    return None


@pytest.mark.parametrize("stride", [pytest.param(3, id="some"), pytest.param(1, id="all", marks=pytest.mark.long)])
def test_every_fsync_is_needed(
    life: Run, survivors: Survivors, unharmed: frozenset[Context], note: Note, seed: int, stride: int
) -> None:
    """That each is made where it is needed is what the tests above look at; a usual run tries a third of them here."""
    found = group_syncs(life, COMPACTIONS)
    assert NEEDLESS.keys() <= found.keys(), "the table of needless fsyncs names some that are not there"
    examined = [site for site in found if site not in NEEDLESS][seed % stride :: stride]
    harmless = []
    for site in examined:
        problem = find_harm(life, survivors, unharmed, found[site])
        shown = (problem or "no harm").splitlines()[0][:160]
        note(f"without {len(found[site]):3} × {site}: {shown}")
        if problem is None:
            harmless.append(site)
    assert harmless == [], "these fsyncs can be left out without harm, or the scenario does not show it"
    summary = f"{len(found)} kinds of fsync, {len(examined)} shown to be needed, {len(NEEDLESS)} needless"
    note(f"power failure: {summary}")


@pytest.mark.long
@pytest.mark.parametrize("site", NEEDLESS)
def test_needless_fsyncs_are_needless(life: Run, survivors: Survivors, unharmed: frozenset[Context], site: str) -> None:
    assert find_harm(life, survivors, unharmed, group_syncs(life, COMPACTIONS)[site]) is None
