"""The examples of embeddings: they run, their checks hold, and a check can fail."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from examples.embeddings import __main__ as runner
from examples.embeddings import anomalies, chinese_summary, cities, time_series
from examples.embeddings.checks import Check, run_example
from tests.sources import ROOT
from vecstore.evaluation import Figure

FOLDER = ROOT / "examples" / "embeddings"


def check(value: float, baseline: float, least: float = 0.0) -> Check:
    return Check(Figure("hits", value, 10, baseline, "chance"), least)


@pytest.fixture(autouse=True)
def without_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network takes seconds to learn curves, and its figure is only printed."""
    monkeypatch.setattr(time_series, "learn_shapes", np.stack)


def test_small_examples_hold(capsys: pytest.CaptureFixture[str]) -> None:
    for each in (anomalies.measure, chinese_summary.measure, time_series.measure):
        assert run_example(each, []) == 0
    assert "ok     AUC" in capsys.readouterr().out


@pytest.mark.parametrize(
    "value, baseline, least",
    [(0.5, 0.5, 0.0), (0.4, 0.5, 0.0), (0.6, 0.5, 0.7), (float("nan"), 0.5, 0.0), (0.6, float("nan"), 0.0)],
)
def test_a_check_fails(value: float, baseline: float, least: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_example(lambda: [check(0.9, 0.5), check(value, baseline, least)], []) == 1
    printed = capsys.readouterr()
    assert "FAILED hits" in printed.out
    assert "does not show what it claims: hits" in printed.err


def test_an_example_without_checks_fails() -> None:
    assert run_example(list, []) == 1


def test_a_worse_summary_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chinese_summary, "pick_sentences", lambda vectors, count: list(range(count)))
    assert run_example(chinese_summary.measure, []) == 1


def test_countries_of_a_wrong_region_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = time_series.read_regions()
    turned = dict(zip(regions, reversed(regions.values()), strict=True))
    monkeypatch.setattr(time_series, "read_regions", lambda: turned)
    assert run_example(time_series.measure, []) == 1


def test_kilometres_are_those_of_great_circles() -> None:
    """From one pole to the other is half a meridian, which the metre was made of: 20,000 km."""
    found = cities.measure_kilometres(np.array([[90.0, 0.0], [-90.0, 70.0], [0.0, 180.0], [0.0, -180.0]]))
    assert found[0, 1] == pytest.approx(20_015, abs=1)
    assert found[0, 2] == pytest.approx(10_008, abs=1)
    assert found[2, 3] == pytest.approx(0, abs=1)


def test_the_table_shows_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made = {
        "good": runner.Outcome("good", 1.0, [check(0.9, 0.5).to_dict()], None),
        "bad": runner.Outcome("bad", 1.0, [check(0.4, 0.5).to_dict(), check(float("nan"), 0.5).to_dict()], "too low"),
        "broken": runner.Outcome("broken", 1.0, [], "it raised"),
    }
    monkeypatch.setattr(runner, "EXAMPLES", tuple(made))
    monkeypatch.setattr(runner, "run", made.__getitem__)
    assert runner.main(["good"]) == 0
    assert "FAILED" not in capsys.readouterr().out
    assert runner.main([]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("FAILED") == 2
    assert "bad: too low" in printed.err
    assert "broken: it raised" in printed.err


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["no-such"])
    assert "no such example: no-such" in capsys.readouterr().err


def test_a_failure_of_the_process_is_told() -> None:
    outcome = runner.run("no_such_example")
    assert "no_such_example" in (outcome.failure or "")
    assert not outcome.checks


def test_every_example_is_in_the_list() -> None:
    runnable = {path.stem for path in FOLDER.glob("*.py") if "run_example(measure)" in path.read_text("utf-8")}
    assert runnable == set(runner.EXAMPLES)


def test_the_gallery_names_every_example() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert [name for name in runner.EXAMPLES if f"`{name}`" not in page] == []


@pytest.mark.long
@pytest.mark.parametrize("name", runner.EXAMPLES)
def test_an_example_holds(name: str) -> None:
    command = [sys.executable, "-W", "error", "-m", f"examples.embeddings.{name}", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(each["is_met"] for each in json.loads(done.stdout))
