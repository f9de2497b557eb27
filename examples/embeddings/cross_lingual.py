"""Search across languages: Chinese descriptions of commands, asked for in Chinese and in English.

The baseline compares characters: it knows nothing of meaning, and an English question shares none with a Chinese text.
"""

from __future__ import annotations

import sys

import numpy as np

from examples.embeddings.checks import Check, run_example
from examples.embeddings.manual_lines import QUESTIONS, SUMMARIES
from vecstore import Record, Schema, VectorStore, connect
from vecstore.embedders import Embedder, Tfidf, UniversalSentenceEncoderEmbedder
from vecstore.evaluation import Figure

NEAR = 2
"""A right answer in second place counts: several commands delete, copy or print."""


def find_commands(store: VectorStore, questions: list[str]) -> list[list[str]]:
    """Return the nearest commands to each question, the nearest first."""
    return [[hit.id for hit in hits] for hits in store.search_many(questions, k=NEAR)]


def fill(store: VectorStore) -> VectorStore:
    """Put the descriptions into a store."""
    store.upsert(Record(command, text=summary) for command, summary in SUMMARIES.items())
    return store


def measure() -> list[Check]:
    """Ask in both languages; return how often the command asked for is near the top."""
    chinese, english, commands = (list(column) for column in zip(*QUESTIONS, strict=True))
    use = UniversalSentenceEncoderEmbedder()
    characters: Embedder[str] = Tfidf(analyzer="char", ngrams=(1, 2), on_unknown="skip").fit(SUMMARIES.values())
    with connect("memory:") as database:
        store = fill(database.create("manual", Schema(dim=use.dim), embedder=use))
        plain = fill(database.create("characters", Schema(dim=characters.dim), embedder=characters))
        by_characters = find_commands(plain, chinese)
        in_chinese, in_english = find_commands(store, chinese), find_commands(store, english)
    for question, translation, *found in zip(chinese, english, in_chinese, in_english, commands, strict=True):
        print(f"{question}: {', '.join(found[0])}   {translation}: {', '.join(found[1])}   ({found[2]})")
    chance = NEAR / len(SUMMARIES)
    return [
        Check(count(in_chinese, commands, "Chinese", count_right(by_characters, commands), "common characters"), 0.8),
        Check(count(in_english, commands, "English", chance, "chance"), 0.8),
    ]


def count_right(found: list[list[str]], commands: list[str]) -> float:
    """Return the share of questions whose command was found."""
    return float(np.mean([command in near for near, command in zip(found, commands, strict=True)]))


def count(found: list[list[str]], commands: list[str], language: str, baseline: float, against: str) -> Figure:
    """Return that share as a figure."""
    right = count_right(found, commands)
    return Figure(f"found at rank ≤ {NEAR}, asked in {language}", right, len(commands), baseline, against)


if __name__ == "__main__":
    sys.exit(run_example(measure))
