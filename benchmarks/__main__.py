"""Compare vecstore with its peers: ``make bench``, or ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from . import machine, postgres_server, redis_server, sources
from .bars import judge
from .corpus import Corpus, add_noisy_copies, split
from .published import publish
from .runner import ROOT, Runner
from .subjects import GROUPS, LARGE, ON_SERVERS, SUBJECTS
from .tables import report
from .truth import Truth

QUERIES = 1_000
UPSERTS, REOPENS = 200, 7
QUICK_ROWS, QUICK_QUERIES, QUICK_UPSERTS, QUICK_REOPENS = 12_000, 100, 20, 1
SCALE, SIGMA = 8, 0.02
RECALL, LARGE_RECALL = 0.985, 0.98
_BUSY = 0.5
_EPILOG = (
    "--only postgres is a group of its own: it starts a PostgreSQL server for the run, "
    f"or uses the one whose URL is in {postgres_server.VARIABLE}, as a role that may create databases. "
    f"So is --only redis, with {redis_server.VARIABLE} for a server that has the search module; "
    f"what it writes there begins with {redis_server.NAMESPACES} and is removed."
)
_SERVERS = {"postgres": postgres_server, "redis": redis_server}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return an exit code, 0 also where bars are missed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.vectors is None) != (options.texts is None):
        parser.error("--vectors and --texts belong together")
    if options.publish and (options.quick or options.only not in {None, *ON_SERVERS}):
        parser.error(f"only whole runs are published, without --quick, and --only {' or '.join(ON_SERVERS)} alone")
    say("Every figure is of this machine and this hour; only ratios within one run mean something.")
    options.work.mkdir(parents=True, exist_ok=True)
    run = measure(options)
    (options.work / "results.json").write_text(json.dumps(run, indent=1), "utf-8")
    print(report(run))
    if options.publish:
        publish(run)
    complain(run)
    return 0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Prepare the data, measure the subjects, return all figures."""
    name, whole = choose_corpus(options)
    queries = options.queries or (QUICK_QUERIES if options.quick else QUERIES)
    stored, held_out = split(whole, queries, sources.SEED)
    run: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "large": options.large,
        "quick": options.quick,
        "machine": machine.describe_machine(options.work),
        "data": {"name": name, "rows": len(stored), "dim": stored.dim, "queries": queries},
    }
    if run["machine"]["load_before"] > _BUSY:
        say(f"WARNING: the machine is busy (load {run['machine']['load_before']:.1f}); figures will be off.")
    if not options.large:
        run["subjects"], run["agreement"] = measure_subjects(options, stored, held_out, RECALL)
        return run
    small, _ = measure_subjects(options, stored, held_out, LARGE_RECALL)
    copies = add_noisy_copies(stored, SCALE, SIGMA, sources.SEED)
    run["data"] |= {"rows": len(copies), "name": f"{name}, {SCALE - 1} noisy copies beside the original"}
    run["subjects"], _ = measure_subjects(options, copies, held_out, LARGE_RECALL)
    for subject, figures in run["subjects"].items():
        figures["one_copy"] = small[subject]
    return run


def measure_subjects(
    options: argparse.Namespace, stored: Corpus, held_out: Corpus, recall: float
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Measure the chosen subjects with one corpus, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=options.work.resolve()) as made:
        folder = Path(made)
        say(f"{len(stored):,} rows, {len(held_out):,} queries: exact answers first")
        stored.save(folder / "stored")
        held_out.save(folder / "held-out")
        Truth.of(stored, held_out.vectors).save(folder / "truth.npz")
        upserts, reopens = (QUICK_UPSERTS, QUICK_REOPENS) if options.quick else (UPSERTS, REOPENS)
        names = choose_subjects(options)
        with servers(folder, names) as environment:
            runner = Runner(folder, recall, options.large, upserts, reopens, say, environment)
            return runner.run(names), runner.agreement()


@contextmanager
def servers(folder: Path, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Run the servers that subjects need; give the environment variables that name them."""
    with ExitStack() as stack:
        yield {
            _SERVERS[kind].VARIABLE: stack.enter_context(_SERVERS[kind].run_server(folder / kind))
            for kind, members in ON_SERVERS.items()
            if set(names) & set(members)
        }


def choose_subjects(options: argparse.Namespace) -> list[str]:
    """Return the subjects in the order of the tables."""
    wanted: set[str] = set()
    for word in (options.only or ("large" if options.large else "all")).split(","):
        group = {**GROUPS, "large": LARGE}.get(word) or ((word,) if word in SUBJECTS else None)
        if group is None:
            raise SystemExit(f"There is no subject {word!r}. Known: {', '.join([*GROUPS, *SUBJECTS])}.")
        wanted.update(group)
    return [name for name in SUBJECTS if name in wanted]


def choose_corpus(options: argparse.Namespace) -> tuple[str, Corpus]:
    """Return the name of the data, and the data."""
    limit = options.rows or (QUICK_ROWS if options.quick else None)
    if options.vectors:
        return options.vectors.name, sources.read_files(options.vectors, options.texts, limit)
    if not options.generated and sources.has_packages():
        return "Debian package descriptions, MiniLM", sources.read_files(*sources.PACKAGES, limit)
    return "Generated clusters", sources.generate_corpus(limit or sources.ROWS)


def complain(run: dict[str, Any]) -> None:
    """Print what failed and which bars were missed."""
    for name, figures in run["subjects"].items():
        if "error" in figures:
            say(f"FAILED: {name}: {figures['error']}")
    if run["large"]:
        return
    found = judge(run)
    missed = [verdict.bar.what for verdict in found if verdict.ratio is not None and not verdict.met]
    if missed:
        say(f"{len(missed)} BARS MISSED of {len(found)}: {'; '.join(missed)}")


def say(text: str) -> None:
    """Print progress to stderr, apart from the tables."""
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare vecstore with its peers.", epilog=_EPILOG
    )
    parser.add_argument(
        "--only",
        metavar="A,B",
        help=f"subjects and groups: {', '.join([*GROUPS, *SUBJECTS])}; without this, all that need no server",
    )
    parser.add_argument("--quick", action="store_true", help="few rows and queries: shows that it works, no more")
    parser.add_argument("--large", action="store_true", help=f"{SCALE} times the rows; takes long")
    parser.add_argument("--publish", action="store_true", help="write benchmarks/results.json and the README's tables")
    parser.add_argument("--vectors", type=Path, metavar="X.npy", help="other data; needs --texts")
    parser.add_argument("--texts", type=Path, metavar="X.jsonl[.gz]", help="one object with id and text for each row")
    parser.add_argument("--generated", action="store_true", help="generated data, even where the real ones are there")
    parser.add_argument("--rows", type=int, help="take only so many rows, queries included")
    parser.add_argument("--queries", type=int, help=f"held-out queries, {QUERIES:,} by default")
    parser.add_argument("--work", type=Path, default=ROOT / ".bench", help="a folder on the disk to measure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
