"""From a store to a chart: the map of a sample with queries and their hits, recall against latency, drift."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...evaluation import Sample, Sweep, measure_drift
from ...evaluation.nearest import prepare
from ...hits import Hits
from ...metric import Metric
from ..evaluation.samples import describe_sample
from .charts import COLOURS, MOST_LABEL, Chart, Series, divide, tidy
from .projection import Projection, project

_QUERY = "#d6204e"


def make_map(
    name: str, sample: Sample, method: str, metric: Metric, *,
    colour: str | None, label: str | None, queries: Sequence[tuple[str, Any, Hits]] = (),
) -> Chart:  # fmt: skip
    """Return the map of a sample; each query comes with its vector and its hits."""
    asked = [np.asarray(vector, np.float32) for _, vector, _ in queries]
    vectors = np.concatenate([sample.vectors, np.stack(asked)]) if asked else sample.vectors
    found = project(prepare(vectors, metric).astype(np.float32), method, sample.seed)
    count = len(sample)
    labels = make_labels(sample, label)
    values = sample.pick(colour) if colour is not None else None
    series = divide(found.points[:count], labels, values, tidy(name))
    places = {id_: row for row, id_ in enumerate(sample.ids)}
    for number, (text, _, hits) in enumerate(queries):
        rows = [places[hit.id] for hit in hits if hit.id in places]
        point = found.points[count + number]
        shown = tidy(text)
        series.append(
            Series(
                f"hits of {shown}", found.points[rows, 0], found.points[rows, 1],
                [f"{rank}. {labels[row]}" for rank, row in enumerate(rows, 1)], "hits", _QUERY,
            )
        )  # fmt: skip
        series.append(Series(f"query {shown}", point[:1], point[1:], [f"query: {shown}"], "query", _QUERY))
    return Chart(tidy(name), _describe(found, describe_sample(sample)), series, tidy(colour) if colour else "")


def _describe(found: Projection, sample: str) -> str:
    trust = "" if math.isnan(found.trustworthiness) else f" · trustworthiness {found.trustworthiness:.2f}"
    return f"{found.method} · {sample}{trust}"


def make_labels(sample: Sample, label: str | None) -> list[str]:
    """Return what is shown at each point: the field that the user named, or else the text, and the id."""
    labels = []
    for id_, text, metadata in zip(sample.ids, sample.texts, sample.metadata, strict=True):
        value = metadata.get(label) if label is not None else text
        if isinstance(value, list | tuple | Mapping):
            value = f"{value}"
        shown = tidy(value, MOST_LABEL) if value not in {None, ""} else ""
        own = tidy(id_, MOST_LABEL)
        labels.append(own if not shown or shown == own else shown if shown.startswith(own) else f"{shown} · {own}")
    return labels


def make_recall_chart(name: str, sweep: Sweep, seed: int) -> Chart:
    """Return recall against the latency of a search."""

    def build(title: str, steps: Sequence[Any], names: Sequence[str], colour: str) -> Series:
        labels = [
            f"{each}: recall {step.recall.value:.3f}, median {step.p50_ms:.2f} ms, 99 % below {step.p99_ms:.2f} ms"
            for each, step in zip(names, steps, strict=True)
        ]
        x, y = (np.array(each, np.float64) for each in zip(*((s.p50_ms, s.recall.value) for s in steps), strict=True))
        return Series(title, x, y, labels, "line", colour)

    series = [build("by ef", sweep.steps, [f"ef {step.ef}" for step in sweep.steps], COLOURS[0])]
    series.append(build("default", [sweep.default], ["default"], COLOURS[2]))
    series.append(build("exact", [sweep.exact], ["exact"], COLOURS[9]))
    caption = (
        f"{sweep.queries:,} queries over {sweep.rows:,} records, seed {seed} · chance {sweep.exact.recall.baseline:.2g}"
    )
    return Chart(
        f"{tidy(name)}: recall against latency", caption, series, "", ("median of a search, ms", f"recall@{sweep.k}")
    )


def make_drift_chart(titles: tuple[str, str], samples: tuple[Sample, Sample], metric: Metric) -> Chart:
    """Return the map of two samples on their common axes, with figures of how far they are apart."""
    before, after = samples
    both = prepare(np.concatenate([before.vectors, after.vectors]), metric)
    found = project(both.astype(np.float32), "pca", before.seed)
    count = len(before)
    drift = measure_drift(both[:count], both[count:], seed=before.seed)
    js, auc = drift.figures[0], drift.figures[3]
    series = [
        Series(title, part[:, 0], part[:, 1], make_labels(sample, None), colour=colour)
        for title, part, sample, colour in zip(
            map(tidy, titles),
            (found.points[:count], found.points[count:]),
            samples,
            (COLOURS[0], COLOURS[2]),
            strict=True,
        )
    ]
    figures = (
        f"JS {js.value:.3f} (random division {js.baseline:.3f}), MMD² p = {drift.p:.3f}, "
        f"classifier AUC {auc.value:.2f} (chance 0.5)"
    )
    basis = " against ".join(describe_sample(sample) for sample in samples)
    return Chart(f"{tidy(titles[0])} against {tidy(titles[1])}", f"{_describe(found, basis)} · {figures}", series)
