"""Ask the Python standard library's own documentation.

Reads the docstrings of the installed interpreter, embeds them with wordllama into a store of files, and asks three
questions. Run it with ``make demo``, or as ``python examples/demo.py [DIRECTORY]``.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from python_docs import Entry, read_standard_library
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

import vecstore
from vecstore import Record, Schema, VecstoreError, VectorStore, fields
from vecstore.embedders import load

STORE = "pydocs"
BATCH = 500
ANSWERS = 3


@dataclass(frozen=True)
class Question:
    """A question, and optionally a filter that answers must match."""

    text: str
    where: dict[str, Any] | None = None


QUESTIONS = (
    Question("run a command and capture its output"),
    Question("iterate over all combinations of elements"),
    Question("which paths match a pattern?", {"module": {"$in": ["glob", "os", "pathlib"]}}),
)

console = Console(highlight=False, markup=False)


def make_record(entry: Entry) -> Record:
    """Return an entry as a record: its text is embedded, and filters can use the declared fields of its metadata."""
    return Record(
        entry.name,
        text=f"{entry.name}\n{entry.summary}",
        metadata={"module": entry.module, "kind": entry.kind, "signature": entry.signature},
    )


def fill_store(database: vecstore.Database) -> VectorStore:
    """Fill the store with the documentation and return it. A second run replaces each record."""
    embedder = load("wordllama")
    store = database.create(
        STORE,
        Schema(fields={"module": fields.Keyword(), "kind": fields.Keyword()}),  # the embedder knows the dimension
        embedder=embedder,
        if_exists="open",
    )
    with console.status("Reading the documentation …"):
        entries = read_standard_library()
    console.print(f"Python {platform.python_version()} documents {len(entries):,} modules, classes and functions.")
    began = time.monotonic()
    store.upsert(make_records(entries), batch_size=BATCH)
    console.print(f"Embedded and stored all of them in {time.monotonic() - began:.1f} s.")
    return store


def make_records(entries: list[Entry]) -> Iterator[Record]:
    """Make records of entries, with a progress bar on a terminal."""
    if not console.is_terminal:
        yield from map(make_record, entries)
        return
    columns = (TextColumn("Embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for entry in progress.track(entries):
            yield make_record(entry)


def ask(store: VectorStore, question: Question) -> None:
    """Print the best answers to a question, the best first."""
    began = time.monotonic()
    hits = store.search(question.text, k=ANSWERS, where=question.where)
    milliseconds = (time.monotonic() - began) * 1_000
    console.print()
    console.print(Text.assemble(("? ", "bold magenta"), (question.text, "bold"), (f"  {milliseconds:.0f} ms", "dim")))
    if question.where:
        console.print(Text(f"  where {json.dumps(question.where)}", style="magenta"))
    for hit in hits:
        metadata, summary = hit.metadata or {}, " ".join((hit.text or "").partition("\n")[2].split())
        console.print(
            Text.assemble((f"  {hit.score:.2f}  ", "green"), (metadata["signature"], "bold cyan")),
            no_wrap=True,
            overflow="ellipsis",
        )
        console.print(Text(f"        {summary}"), no_wrap=True, overflow="ellipsis")


def print_next_steps(url: str) -> None:
    """Print commands to try next."""
    place = f"{shlex.quote(url)} {STORE}"
    console.print("\nTry next:" if is_command_on_path() else "\nTry next, after `. .venv/bin/activate`:")
    for command in (
        f"vecstore search {place} 'wait until a thread ends'",
        f"""vecstore search {place} 'sorting' --where '{{"kind": "method"}}'""",
        f"vecstore info {place}",
        f"vecstore verify {shlex.quote(url)}",
    ):
        console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def is_command_on_path() -> bool:
    """Say whether a shell finds ``vecstore``."""
    return shutil.which("vecstore") is not None


def main() -> int:
    """Run the demonstration; return an exit code."""
    parser = argparse.ArgumentParser(description="Ask the Python standard library's own documentation.")
    parser.add_argument("directory", nargs="?", default="demo-kb", help="where to keep the store (default: demo-kb)")
    directory = parser.parse_args().directory
    url = f"file:{directory}"
    try:
        with vecstore.connect(url) as database:
            store = fill_store(database)
            for question in QUESTIONS:
                ask(store, question)
    except VecstoreError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; run it again to continue", file=sys.stderr)
        return 130
    print_next_steps(url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
