"""Series: countries by the shape of their population's growth over fifty years, whatever its size.

The level, spread and slope of parts of a curve, in standard scores, are its vector. The nearest other countries
should lie in the same part of the world. The baseline compares the numbers themselves, which say who is large. A
recurrent network that learned to draw these few curves again does no better than the numbers: its figure is printed
and not checked.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import defaultdict
from dataclasses import replace

import numpy as np

from examples.embeddings.checks import Check, run_example
from examples.embeddings.package_data import find_data
from vecstore import Record, Schema, connect, fields
from vecstore.embedders import SeriesAutoencoder, SeriesEmbedder
from vecstore.evaluation import measure_neighbours

YEARS = 50
NEAR = 5
ASKED = ("Japan", "Kenya", "Bulgaria", "United Arab Emirates")


def read_populations() -> dict[str, np.ndarray]:
    """Return the population of each country, year by year."""
    found: dict[str, list[float]] = defaultdict(list)
    with gzip.open(find_data("bokeh_sampledata", "_data", "gapminder.csv.gz"), "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["population"]:
                found[row["country"]].append(float(row["population"]))
    return {country: np.array(numbers) for country, numbers in found.items() if len(numbers) == YEARS}


def read_regions() -> dict[str, str]:
    """Return the part of the world that each country is in."""
    with find_data("bokeh_sampledata", "_data", "gapminder_regions.csv").open(encoding="utf-8") as file:
        return {row["Country"]: row["Group"] for row in csv.DictReader(file)}


def measure() -> list[Check]:
    """Embed the curves, show neighbours, and count those from the same part of the world."""
    populations, regions = read_populations(), read_regions()
    shapes = SeriesEmbedder()
    with connect("memory:") as database:
        schema = Schema(dim=shapes.dim, fields={"region": fields.Keyword()})
        store = database.create("countries", schema, embedder=shapes)
        store.upsert(
            Record(country, item=series, metadata={"region": regions[country]})
            for country, series in populations.items()
        )
        for country in ASKED:
            near = [hit.id for hit in store.search(item=populations[country], k=6) if hit.id != country]
            print(f"{country}: {', '.join(near)}")
    series, parts = list(populations.values()), [regions[country] for country in populations]
    found, _ = measure_neighbours(shapes.embed_documents(series), parts, NEAR)
    learned, _ = measure_neighbours(learn_shapes(series), parts, NEAR)
    beside, _ = measure_neighbours(np.stack(series), parts, NEAR, metric="l2")
    for name, figure in {"shape": found, "a recurrent network": learned, "numbers": beside}.items():
        print(f"{figure.name} by {name}: {figure.value:.3f}; chance: {figure.baseline:.3f}")
    same = replace(found, name=f"P@{NEAR}, same part of the world", baseline=beside.value, against="the numbers")
    return [Check(same, 0.35)]


def learn_shapes(series: list[np.ndarray]) -> np.ndarray:
    """Return vectors by a network that learned these curves."""
    return SeriesAutoencoder().fit(series).embed_documents(series)


if __name__ == "__main__":
    sys.exit(run_example(measure))
