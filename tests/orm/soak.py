"""Writers that change rows in every way, and workers that are killed and stopped at any moment.

At the end the sink has what the tables have, whatever happened: no worker that woke up late has left anything.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

import vecstore
from tests.orm.application import embed_words, make_engine
from vecstore import Flat
from vecstore.embedders import FunctionEmbedder
from vecstore.orm import Chunks, VectorColumn, VectorORM, searchable

KEYS = 25
LEASE = 0.4
CHUNKS = Chunks(20, 0)
CONTEXT = mp.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.orm.soak"])


@dataclass(frozen=True)
class Place:
    """Where a soak runs: the application's database, and a URL for a store, or None for vectors in the rows.

    With ``chunks``, a text has up to a dozen of them.
    """

    url: str
    schema: str | None
    store: str | None
    chunks: bool = False


@dataclass
class Soaked:
    """The application of a soak, in one process."""

    engine: Engine
    vectors: VectorORM
    Note: Any
    Base: Any
    sessions: sessionmaker[Session]


@contextmanager
def open_soaked(place: Place, stalls: float = 0.0) -> Iterator[Soaked]:
    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str | None]
        lang: Mapped[str] = mapped_column(default="en")
        if place.store is None:
            embedding: Mapped[np.ndarray | None] = VectorColumn()
        search = searchable(
            "text",
            fields=() if place.store is None else ("lang",),
            into="embedding" if place.store is None else "store:notes",
            index=Flat(),
            chunk=CHUNKS if place.chunks else None,
        )

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if random.random() < stalls:
            time.sleep(random.uniform(0, 3 * LEASE))  # longer than the lease
        return embed_words(texts)

    engine = make_engine(place.url, place.schema)
    embedder = FunctionEmbedder(embed, dim=64, name="words")
    stores = {} if place.store is None else {"notes": place.store}
    with VectorORM(Base, embedder=embedder, stores=stores) as vectors:
        yield Soaked(engine, vectors, Note, Base, vectors.install(sessionmaker(engine)))
    engine.dispose()


def write(place: Place, seed: int, rounds: int) -> None:
    """Change rows in transactions of several statements; some are rolled back, some fail and are tried again."""
    rng = random.Random(seed)
    with open_soaked(place) as soaked:
        done = 0
        while done < rounds:
            try:
                with soaked.sessions() as session:
                    for _ in range(rng.randint(1, 3)):
                        change(session, soaked.Note, rng, most=12 if place.chunks else 1)
                    if rng.random() < 0.2:
                        session.rollback()
                    else:
                        session.commit()
                done += 1
            except (DBAPIError, StaleDataError):  # another writer was faster, a deadlock, or a busy file
                continue


def change(session: Session, note: Any, rng: random.Random, *, most: int) -> None:
    """Do one change, with texts of up to so many parts."""
    key, word = rng.randrange(KEYS), f"text {rng.randrange(10**6)}"
    words = "\n\n".join(f"{word} {part}" for part in range(rng.randint(1, most)))
    kind = rng.randrange(8)
    if kind == 0:
        session.execute(update(note).where(note.id.between(key, key + 5)).values(text=words))
    elif kind == 1:
        session.execute(delete(note).where(note.id == key))
    elif kind == 2:
        session.execute(text("UPDATE note SET lang = CASE lang WHEN 'en' THEN 'de' ELSE 'en' END WHERE id < 5"))
    elif kind == 3:
        with session.begin_nested() as inner:
            session.merge(note(id=key, text=words, lang="en"))
            session.flush()
            if rng.random() < 0.5:
                inner.rollback()
    elif kind == 4:
        session.execute(update(note).where(note.id == key).values(text=None))
    elif kind == 5 and session.scalar(select(note.id).where(note.id == key)) is None:
        session.execute(insert(note), [{"id": key, "text": words, "lang": "fr"}])
    elif kind == 6:
        with session.begin_nested():
            session.execute(update(note).where(note.id == key).values(id=key + KEYS * rng.randint(1, 10**6)))
    else:
        session.merge(note(id=key, text=words, lang="en"))
    session.flush()


def work(place: Place) -> None:
    """Work until SIGTERM. Nothing is shared with processes that are killed, which might hold its lock for ever."""
    stops = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stops.set())
    with open_soaked(place, stalls=0.1) as soaked, soaked.vectors.run_worker(batch_size=6, lease=LEASE):
        while not stops.wait(LEASE):  # SIGTERM may wake another thread where the process was stopped
            pass


def run_soak(place: Place, seed: int, rounds: int, workers: int = 3, writers: int = 3) -> dict[str, int]:
    """Let everything happen, then compare; return what was done."""
    rng = random.Random(seed)
    with open_soaked(place) as soaked:
        soaked.Base.metadata.create_all(soaked.engine)
        soaked.vectors.sync_once()
        writing = [start(write, place, rng.randrange(10**9), rounds) for _ in range(writers)]
        working = [start(work, place) for _ in range(workers)]
        counts = {"killed": 0, "stopped": 0}
        stopped: list[BaseProcess] = []
        replaced: list[BaseProcess] = []
        while any(each.is_alive() for each in writing):
            time.sleep(rng.uniform(0.02, 0.3))  # chooses moments, waits for nothing
            slot = rng.randrange(workers)
            if rng.random() < 0.4:
                working[slot].kill()
                counts["killed"] += 1
            else:
                signal_process(working[slot], signal.SIGSTOP)
                stopped.append(working[slot])
                replaced.append(working[slot])
                counts["stopped"] += 1
            working[slot] = start(work, place)
            if len(stopped) > 2:
                # It finishes its batch, late, and ends: on a slow machine there would be more and more workers.
                woken = stopped.pop(0)
                signal_process(woken, signal.SIGTERM)
                signal_process(woken, signal.SIGCONT)
        assert [each.exitcode for each in writing] == [0] * writers
        wake_lock_holders(soaked, replaced)
        settle(soaked, seconds=5)  # as far as no stopped process holds the lock of a store
        for each in replaced:
            signal_process(each, signal.SIGCONT)
        for each in (*working, *replaced):
            each.terminate()
        for each in (*working, *replaced):
            each.join(60)
        left = settle(soaked, seconds=60)
        assert not left, f"{left} rows are left"
        compare(soaked, place)
    return counts


def start(function: Any, *arguments: Any) -> BaseProcess:
    process = CONTEXT.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def signal_process(process: BaseProcess, number: int) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, number)


def wake_lock_holders(soaked: Soaked, stopped: Sequence[BaseProcess]) -> None:
    """Wake those that were stopped in a transaction of SQLite: nobody could do anything beside them."""
    if soaked.engine.dialect.name != "sqlite":
        return
    file = str(os.stat(soaked.engine.url.database or "").st_ino)
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    holders = {int(lock[4]) for lock in locks if lock[1] == "POSIX" and lock[5].rpartition(":")[2] == file}
    for each in stopped:
        if each.pid in holders:
            signal_process(each, signal.SIGCONT)


def settle(soaked: Soaked, seconds: float) -> int:
    """Work off everything, also what killed workers have leased; return how many rows are left after some seconds."""
    ends = time.monotonic() + seconds
    while True:
        soaked.vectors.sync_once()
        with soaked.engine.connect() as connection:
            left, dead = connection.execute(
                text("SELECT count(*), coalesce(max(CASE WHEN dead THEN 1 ELSE 0 END), 0) FROM vecstore_outbox")
            ).one()
        assert not dead
        if not left or time.monotonic() > ends:
            return int(left)
        time.sleep(LEASE / 4)


def list_expected(note: Any, place: Place) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Yield the records that a row should have."""
    if not place.chunks:
        yield str(note.id), (note.text, {"lang": note.lang})
        return
    for number, each in enumerate(CHUNKS.split(note.text)):
        place_in_text = {"number": number, "start": each.start, "end": each.end}
        known = {"lang": note.lang, "row_key": str(note.id), "chunk": place_in_text}
        yield f"{note.id}#{number}" if number else str(note.id), (each.text, known)


def compare(soaked: Soaked, place: Place) -> None:
    """The sink has what the table has."""
    with soaked.sessions() as session:
        rows = {
            note.id: note
            for note in session.scalars(select(soaked.Note))
            if note.text is not None and note.text.strip()
        }
        if place.store is None:
            bare = session.scalars(
                select(soaked.Note.id).where(soaked.Note.text.is_(None), soaked.Note.embedding.is_not(None))
            )
            assert list(bare) == []
            for note in rows.values():
                assert note.embedding is not None, note.id
                assert note.embedding.tolist() == embed_words([note.text])[0].tolist(), note.id
            return
        expected = {id_: found for note in rows.values() for id_, found in list_expected(note, place)}
    with vecstore.connect(place.store) as database:
        records = list(database.open("notes").scan())
    assert {record.id: (record.text, dict(record.metadata)) for record in records} == expected
    for record in records:
        assert np.asarray(record.vector).tolist() == embed_words([record.text or ""])[0].tolist()
    assert soaked.vectors.verify()[0].ok
