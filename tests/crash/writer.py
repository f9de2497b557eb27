"""The process that is killed: it makes calls and reports, before and after each, through a pipe."""

from __future__ import annotations

import itertools
import os
import random
import struct
import traceback
from enum import IntEnum
from typing import NoReturn

import vecstore

from .contents import State, Wrong
from .draws import next_call

MESSAGE = struct.Struct("<BI")


class Note(IntEnum):
    """What a message says; FAILED is followed by the length of a traceback and the traceback."""

    BEGUN = 1
    DONE = 2
    FAILED = 3


def forked(url: str, state: State, seed: str) -> tuple[int, int]:
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


def _write_until_killed(url: str, state: State, seed: str, mouth: int) -> NoReturn:
    try:
        draw = random.Random(seed)
        db = vecstore.connect(url)
        for number in itertools.count():
            call = next_call(draw, state)
            effect = call.effect(state)
            os.write(mouth, MESSAGE.pack(Note.BEGUN, number))
            result = call.perform(db)
            if result != effect.result:
                raise Wrong(f"{call} returned {result}, not {effect.result}")
            os.write(mouth, MESSAGE.pack(Note.DONE, number))
            state = effect.states[-1]
    except BaseException:  # noqa: BLE001 - the parent has to hear of whatever it is
        text = traceback.format_exc()[-4_000:].encode()
        os.write(mouth, MESSAGE.pack(Note.FAILED, len(text)) + text)
    os._exit(1)
