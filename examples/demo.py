"""Ask the Python standard library's own documentation.

Reads what the installed interpreter says about itself, embeds it with wordllama into a store of files, and asks
three questions. Run it with ``make demo``, or as ``python examples/demo.py [DIRECTORY]``.
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

from python_docs import Entry, standard_library
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
    """A question, and optionally a filter that answers have to match."""

    text: str
    where: dict[str, Any] | None = None


QUESTIONS = (
    Question("run a command and capture its output"),
    Question("iterate over all combinations of elements"),
    Question("which paths match a pattern?", {"module": {"$in": ["glob", "os", "pathlib"]}}),
)

console = Console(highlight=False, markup=False)


def record(entry: Entry) -> Record:
    """Return what is stored: a text, which is embedded, and metadata, of which filters can use the declared fields."""
    return Record(
        entry.name,
        text=f"{entry.name}\n{entry.summary}",
        metadata={"module": entry.module, "kind": entry.kind, "signature": entry.signature},
    )


def filled_store(database: vecstore.Database) -> VectorStore:
    """Return the store with the documentation in it; a second run replaces each record by its like."""
    embedder = load("wordllama")
    store = database.create(
        STORE,
        Schema(fields={"module": fields.Keyword(), "kind": fields.Keyword()}),  # the embedder knows the dimension
        embedder=embedder,
        if_exists="open",
    )
    with console.status("Reading the documentation …"):
        entries = standard_library()
    console.print(f"Python {platform.python_version()} documents {len(entries):,} modules, classes and functions.")
    began = time.monotonic()
    store.upsert(watched(entries), batch_size=BATCH)
    console.print(f"Embedded and stored all of them in {time.monotonic() - began:.1f} s.")
    return store


def watched(entries: list[Entry]) -> Iterator[Record]:
    """Turn entries into records, with a bar on a terminal."""
    if not console.is_terminal:
        yield from map(record, entries)
        return
    columns = (TextColumn("Embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for entry in progress.track(entries):
            yield record(entry)


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


def explain(url: str) -> None:
    """Print how to go on."""
    place = f"{shlex.quote(url)} {STORE}"
    console.print(
        "\nGo on by yourself:" if command_is_on_path() else "\nGo on by yourself, after `. .venv/bin/activate`:"
    )
    for command in (
        f"vecstore search {place} 'wait until a thread ends'",
        f"""vecstore search {place} 'sorting' --where '{{"kind": "method"}}'""",
        f"vecstore info {place}",
        f"vecstore verify {shlex.quote(url)}",
    ):
        console.print(Text(f"  {command}", style="cyan"), soft_wrap=True)


def command_is_on_path() -> bool:
    """Say whether a shell finds ``vecstore``."""
    return shutil.which("vecstore") is not None


def main() -> int:
    """Run the demonstration; return an exit code."""
    parser = argparse.ArgumentParser(description="Ask the Python standard library's own documentation.")
    parser.add_argument("directory", nargs="?", default="demo-kb", help="where to keep the store (default: demo-kb)")
    directory = parser.parse_args().directory
    url = f"file:{directory}" if directory.startswith(("/", "./", "../")) else f"file:./{directory}"
    try:
        with vecstore.connect(url) as database:
            store = filled_store(database)
            for question in QUESTIONS:
                ask(store, question)
    except VecstoreError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted; run it again to go on", file=sys.stderr)
        return 130
    explain(url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
