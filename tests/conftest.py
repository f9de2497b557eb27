"""Seeds, Hypothesis profiles, and no way to the network for libraries that would look for one."""

from __future__ import annotations

import os
import random

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
settings.load_profile(os.environ.get("VECSTORE_HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def seed() -> int:
    """The run's random seed, which a failing run prints."""
    return int(os.environ["VECSTORE_SEED"])


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def pytest_report_header() -> str:
    return f"vecstore: VECSTORE_SEED={os.environ['VECSTORE_SEED']}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "summary":  # what a campaign counted
                terminalreporter.write_line(str(value))
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"To draw the same numbers again: VECSTORE_SEED={os.environ['VECSTORE_SEED']}")
