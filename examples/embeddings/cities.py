"""Cities: airports as vectors, learned from flights alone, lie as on the map.

Walks along the routes of American airlines are what the vectors are learned from (node2vec); no coordinates go in.
The nearer two airports are on the ground, the larger their cosine should be. The baseline compares rows of the table
of routes: which destinations two airports have in common.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from examples.embeddings.checks import Check, run_example
from examples.embeddings.package_data import find_data
from vecstore import Record, Schema, connect
from vecstore.embedders import Lookup, learn_nodes
from vecstore.evaluation import correlate

Routes = Mapping[tuple[str, str], int]

EARTH = 6_371
"""Kilometres from the middle."""
ASKED = ("SEA", "BOS", "MIA", "DFW")


def read_airports() -> dict[str, tuple[str, float, float]]:
    """Return the city, latitude and longitude of each airport."""
    with find_data("bokeh_sampledata", "_data", "airports.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["IATA"]: (row["City"], float(row["Latitude"]), float(row["Longitude"])) for row in csv.DictReader(file)
        }


def read_routes() -> Routes:
    """Return how many airlines fly between two airports, in either direction."""
    path = find_data("bokeh_sampledata", "_data", "routes.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        pairs = [sorted((row["Source"], row["Destination"])) for row in csv.DictReader(file)]
    return Counter((a, b) for a, b in pairs)


def learn_airports(routes: Routes) -> tuple[Lookup, list[str]]:
    """Return vectors of the airports, and their codes."""
    nodes = learn_nodes([(*pair, airlines) for pair, airlines in routes.items()], 32)
    return nodes, sorted({code for pair in routes for code in pair})


def measure_kilometres(places: np.ndarray) -> np.ndarray:
    """Return the distances of all places, given in degrees, from each other along great circles."""
    north, east = np.radians(places).T
    points = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=1)
    return np.asarray(EARTH * np.arccos(np.clip(points @ points.T, -1, 1)))


def measure() -> list[Check]:
    """Learn the airports, and compare with the map."""
    airports, routes = read_airports(), read_routes()
    nodes, codes = learn_airports(routes)
    with connect("memory:") as database:
        store = database.create("airports", Schema(dim=nodes.dim), embedder=nodes)
        store.upsert(Record(code, item=code) for code in codes)
        for code in ASKED:
            near = [airports[hit.id][0] for hit in store.search(code, k=5) if hit.id != code]
            print(f"{airports[code][0]}: {', '.join(near)}")
    upper = np.triu_indices(len(codes), 1)
    nearness = -measure_kilometres(np.array([airports[code][1:] for code in codes]))[upper]
    figure, _ = correlate(
        compare(nodes.embed_documents(codes))[upper],
        nearness,
        beside=compare(list_destinations(routes, codes))[upper],
        against="common destinations",
    )
    return [Check(replace(figure, name="Spearman, cosine and nearness"), 0.3)]


def list_destinations(routes: Routes, codes: list[str]) -> np.ndarray:
    """Return the table of routes: a row for each airport."""
    places = {code: place for place, code in enumerate(codes)}
    table = np.zeros((len(codes), len(codes)), np.float32)
    for (a, b), airlines in routes.items():
        table[places[a], places[b]] = table[places[b], places[a]] = airlines
    return table


def compare(rows: np.ndarray) -> np.ndarray:
    """Return the cosine of every row with every other."""
    scaled = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(scaled @ scaled.T)


if __name__ == "__main__":
    sys.exit(run_example(measure))
