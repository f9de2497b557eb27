"""Seeds, Hypothesis profiles, and no way to the network for libraries that would look for one."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import settings

# Models come from installed packages: a lookup at a hub would be a fault of the code under test.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The tokenizers library warns when a process forks after it started threads, and some tests fork.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Read by pytest-xdist's workers too, which inherit the environment: all of them draw from one seed.
os.environ.setdefault("VECSTORE_SEED", str(random.SystemRandom().randrange(2**32)))

# The suite's assertions then show their values, as those of a test file do.
pytest.register_assert_rewrite("vecstore.testing")

settings.register_profile("dev", deadline=None, derandomize=False, print_blob=True)
# A clone has no example database, and a run leaves nothing behind.
settings.register_profile("ci", settings.get_profile("dev"), database=None)
settings.register_profile("long", settings.get_profile("ci"), max_examples=2_000)
PROFILE = os.environ.get("VECSTORE_HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev")
settings.load_profile(PROFILE)

RANDOM = ("::TestStateMachine::", "::TestFilterEquivalence::", "::TestUndeclaredEquivalence::")
"""The suite's random tests: the long profile gives them more examples."""
BY_TURNS = (
    "cli/test_by_column.py", "cli/test_hostile_records.py", "cli/test_round_trip.py", "file/test_damage.py",
    "file/test_sqlite_failures.py",
    "integrations/test_haystack.py", "integrations/test_langchain.py", "integrations/test_llama_index.py",
    "integrations/test_mcp.py", "postgres/test_forks.py", "postgres/test_partitioned.py", "postgres/test_plans.py",
    "postgres/test_postgres.py", "postgres/test_rights.py", "postgres/test_row_security.py",
    "postgres/test_table_properties.py", "redis/test_forks.py", "redis/test_redis.py", "swap/test_copy.py",
    "swap/test_interrupted.py", "swap/test_move.py", "test_embedder_services.py", "test_exports.py",
    "test_pages.py::test_the_examples_of_a_guide_run_one_after_another",
)  # fmt: skip
"""Of their tables `make test` tries a third in each run, by the seed: servers and processes make them slow."""
SMALLEST_TABLE, TURNS = 3, 3
LARGE = ("postgres/test_postgres.py", "redis/test_redis.py", "test_file.py")
"""Files that take minutes. One that began last would keep a worker busy while the others have nothing to do."""
LONGEST = ("test_many_kills", "often_something_dies", *RANDOM, "test_every_call_fails", "test_many_power_failures")
"""Names of the tests that take longest in the long profile, in the order in which they begin."""


@pytest.fixture(scope="session")
def seed() -> int:
    """The run's random seed, which a failing run prints."""
    return int(os.environ["VECSTORE_SEED"])


@pytest.fixture(scope="module", autouse=True)
def no_sockets_for_the_next_file() -> Iterator[None]:
    """Collect sockets that a file's tests left in a cycle, as a caught error does: a later test would be blamed."""
    before = count_sockets()
    yield
    if count_sockets() > before:
        gc.collect()


def count_sockets() -> int:
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that lists them
            found += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    return found


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that keeps a line about what a campaign did; the run prints all of them at its end."""
    return lambda text: record_property("summary", text)


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, and never again among what is there then.

    Twenty thousand tests are millions of objects, all of which stay. A search through them takes a second, and in a
    forked child it copies them, too.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave cases of slow tables to the long profile; put the largest files first, there the longest tests.

    A long test that begins last keeps one worker busy while the others have nothing to do. The long profile has more
    examples of the suite's random programs and filters too.
    """
    turn = int(os.environ["VECSTORE_SEED"]) % TURNS
    for table in list_tables(items):
        for number, item in enumerate(table):
            if PROFILE == "long" or number % TURNS != turn:
                item.add_marker(pytest.mark.long)
    if PROFILE != "long":
        items.sort(key=lambda item: not item.nodeid.removeprefix("tests/").startswith(LARGE))
        return
    for item in items:
        if any(name in item.nodeid for name in RANDOM):
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: next((n for n, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST)))


def list_tables(items: Sequence[pytest.Item]) -> list[list[pytest.Item]]:
    """Return the cases of each large table of `BY_TURNS`."""
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(BY_TURNS):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return [table for table in tables.values() if len(table) >= SMALLEST_TABLE]


def pytest_report_header() -> str:
    return f"vecstore: VECSTORE_SEED={os.environ['VECSTORE_SEED']}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "summary":  # what a campaign counted
                terminalreporter.write_line(str(value))
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"To draw the same numbers again: VECSTORE_SEED={os.environ['VECSTORE_SEED']}")
