"""The process that is killed: it makes calls, and reports before and after each through a pipe."""

from __future__ import annotations

import itertools
import os
import random
import struct
import traceback
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

import vecstore
from vecstore.backend import Progress
from vecstore.backends.file.index import index_file, upkeep
from vecstore.backends.file.index.index_file import IndexRow
from vecstore.backends.file.index.index_policy import Need
from vecstore.backends.file.index.upkeep import BuildHooks
from vecstore.backends.file.search.graph import Graph
from vecstore.backends.file.state.open_generation import OpenGeneration
from vecstore.backends.file.state.snapshot import Snapshot
from vecstore.backends.file.vectors import compaction
from vecstore.backends.file.vectors.compaction import MergedSegment
from vecstore.backends.file.vectors.compaction_policy import MergeRange
from vecstore.index_options import HNSW

from .contents import State, Wrong
from .random_calls import draw_call

MESSAGE = struct.Struct("<BI")


class Note(IntEnum):
    """The kind of a message; FAILED is followed by the length of a traceback and the traceback."""

    BEGUN = 1
    DONE = 2
    FAILED = 3
    COMPACTING = 4
    COMPACTED = 5
    INDEXING = 6
    NAMING = 7
    INDEXED = 8


def fork_writer(url: str, state: State, seed: str) -> tuple[int, int]:
    """Start a writer; return its process id and the end of the pipe to read from.

    The process that calls this must hold no open Database.
    """
    ear, mouth = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ear)
        _write_until_killed(url, state, seed, mouth)
    os.close(mouth)
    return pid, ear


def _report_compactions(mouth: int) -> None:
    """Report every compaction, including those that a write starts."""
    merge_segments, exchange = compaction.merge_segments, compaction.exchange

    def begin(
        opened: OpenGeneration, snapshot: Snapshot, merge_range: MergeRange, on_progress: Progress | None = None
    ) -> MergedSegment:
        os.write(mouth, MESSAGE.pack(Note.COMPACTING, 0))
        return merge_segments(opened, snapshot, merge_range, on_progress)

    def end(opened: OpenGeneration, merged: MergedSegment, check: Callable[[], object]) -> None:
        exchange(opened, merged, check)
        os.write(mouth, MESSAGE.pack(Note.COMPACTED, 0))

    compaction.merge_segments, compaction.exchange = begin, end


def _report_indexing(mouth: int) -> None:
    """Report when any call begins to build or extend an index, writes its file, and ends."""
    satisfy, write = upkeep._satisfy, index_file.write

    def write_and_report(path: Path, generation: str, graph: Graph) -> IndexRow:
        row = write(path, generation, graph)
        os.write(mouth, MESSAGE.pack(Note.NAMING, 0))
        return row

    def report(
        opened: OpenGeneration,
        snapshot: Snapshot,
        wanted: HNSW | None,
        need: Need,
        hooks: BuildHooks,
    ) -> None:
        is_work = need in {Need.BUILDING, Need.GROWING}
        if is_work:
            os.write(mouth, MESSAGE.pack(Note.INDEXING, 0))
        satisfy(opened, snapshot, wanted, need, hooks)
        if is_work:
            os.write(mouth, MESSAGE.pack(Note.INDEXED, 0))

    upkeep._satisfy, index_file.write = report, write_and_report


def _write_until_killed(url: str, state: State, seed: str, mouth: int) -> NoReturn:
    try:
        draw = random.Random(seed)
        db = vecstore.connect(url)
        _report_compactions(mouth)
        _report_indexing(mouth)
        for number in itertools.count():
            call = draw_call(draw, state)
            effect = call.effect(state)
            os.write(mouth, MESSAGE.pack(Note.BEGUN, number))
            result = call.perform(db)
            if result != effect.result:
                raise Wrong(f"{call} returned {result}, not {effect.result}")
            os.write(mouth, MESSAGE.pack(Note.DONE, number))
            state = effect.states[-1]
    except BaseException:  # noqa: BLE001 - every error is reported to the parent
        text = traceback.format_exc()[-4_000:].encode()
        os.write(mouth, MESSAGE.pack(Note.FAILED, len(text)) + text)
    os._exit(1)
