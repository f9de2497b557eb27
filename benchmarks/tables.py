"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .bars import find_figure, judge
from .condition import CONDITIONS
from .duel import BY_HAND, DUELS, OURS, Duel
from .postgres_server import SETTINGS
from .subjects import POSTGRES, REDIS, SUBJECTS

Figures = Mapping[str, Any]

NONE = "–"
_POSTGRES = (
    "On PostgreSQL, all have a database each on one server with its default settings but "
    f"{', '.join(f'{name} = {value}' for name, value in SETTINGS.items())}; the peak is the client's."
)
_REDIS = (
    "On Redis, all have keys of their own on one server, {server}, that writes nothing to the disk and has its "
    "default settings otherwise. Rows are loaded under an index without a graph. The peak is the client's; the "
    "server's memory is what its use has grown by once there is a graph."
)
_IN_TURNS = (
    "In turns: each query is put to each side before the next one, in another order each time; so with loads. "
    "By hand, the quickest way counts."
)


def number(value: float | None) -> str:
    """Return three significant digits, and no exponent."""
    if value is None:
        return NONE
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{0 if value == 0 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3}f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, the others to the right."""
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _show_time(path: str) -> Callable[[Figures], str]:
    def cell(subject: Figures) -> str:
        found = find_figure(subject, path)
        if not found:
            return NONE
        few = f" [{found['queries']} queries]" if found.get("queries", 1_000) < subject["queries"] else ""
        return f"{number(found['median_ms'])} ({number(found['p99_ms'])}){few}"

    return cell


def _recall(path: str) -> Callable[[Figures], str]:
    def cell(subject: Figures) -> str:
        found = find_figure(subject, path)
        return NONE if found is None else f"{found:.3f}"

    return cell


def _show_filter(name: str) -> Callable[[Figures], str]:
    def cell(subject: Figures) -> str:
        shown = _show_time(f"filters.{name}")(subject)
        return shown if shown == NONE else f"{shown}, {_recall(f'filters.{name}.recall')(subject)}"

    return cell


def _plain(path: str) -> Callable[[Figures], str]:
    return lambda subject: number(find_figure(subject, path))


def _setting(subject: Figures) -> str:
    setting = find_figure(subject, "search.setting") or {}
    calibrated = find_figure(subject, "remarks.calibrated_ef")
    if calibrated and "ef" not in setting:
        setting = {"ef": calibrated, **setting}
    return ", ".join(f"{key} {value}" for key, value in setting.items()) or NONE


Columns = Mapping[str, Callable[[Figures], str]]

_DISK = "disk, MiB"
_THREADS = ("1", "2", "4", "8")
MAIN: Columns = {
    "": lambda subject: subject["subject"]["title"],
    "search, ms": _show_time("search"),
    "recall@10": _recall("search.recall"),
    "at": _setting,
    "1.7 % filter, ms, recall": _show_filter("games"),
    "4.6 % filter, ms, recall": _show_filter("large"),
    "all at once, ms each": _plain("batch.each_ms"),
    f"searches/s from {', '.join(_THREADS)} threads": lambda subject: _threads(subject),
    "load, s": lambda subject: _load(subject),
    "index, s": lambda subject: _index(subject),
    "upsert, ms": _show_time("upsert"),
    "durable": lambda subject: subject["subject"]["durable"],
    "reopen + answer, ms": _plain("reopen.median_ms"),
    "peak, MiB": _plain("peak_mib"),
    _DISK: _plain("disk_mib"),
}
IN_MEMORY: Columns = {
    **{name: cell for name, cell in MAIN.items() if name != _DISK},
    "server, MiB": _plain("remarks.server_mib"),
}
EXACT: Columns = {
    "ids and scores only": lambda subject: subject["subject"]["title"],
    "one query, ms": _show_time("search"),
    "all at once, s": _plain("batch.median_s"),
    "queries/s": _plain("batch.per_s"),
}
LARGE: Columns = {
    "": lambda subject: subject["subject"]["title"],
    "search, ms": _show_time("search"),
    "recall@10": _recall("search.recall"),
    "at": _setting,
    "cost against one copy": lambda subject: _cost(subject),
    "load, s": lambda subject: _load(subject),
    "index, s": lambda subject: _index(subject),
    "indexed vectors/s": lambda subject: _rate(subject),
    "peak, MiB": _plain("peak_mib"),
    _DISK: _plain("disk_mib"),
}


def subjects_table(run: Figures, columns: Columns, names: Iterable[str]) -> str:
    """Return one row for each of these subjects, without columns that none of them fills."""
    subjects = [{**run["subjects"][name], "queries": run["data"]["queries"]} for name in names]
    shown = {head: [cell(subject) for subject in subjects] for head, cell in columns.items()}
    shown = {head: cells for head, cells in shown.items() if set(cells) != {NONE}}
    return table(list(shown), zip(*shown.values(), strict=True))


def duel_tables(run: Figures, duel: Duel) -> str:
    """Return what was measured in turns: searches, then loads."""
    found = run["subjects"][duel.ours]["duel"]
    kinds = {"search": "search, ms, recall", **{one.name: f"`{one}`, ms, recall" for one in CONDITIONS}}
    titles = {OURS: "vecstore", "using": "vecstore, `using()` a transaction"}
    titles[BY_HAND] = run["subjects"][duel.by_hand]["subject"]["title"]
    searches = [
        [title, *(_in_turns(found[kind][side]) for kind in kinds)]
        for side, title in titles.items()
        if side in found["search"]
    ]
    loads = [[name, number(figures["median_s"])] for name, figures in found["load"].items()]
    return "\n\n".join([table(["in turns", *kinds.values()], searches), table(["in turns", "load, s"], loads)])


def _in_turns(found: Figures) -> str:
    setting = ", ".join(f"{key} {value}" for key, value in found["setting"].items())
    return f"{number(found['median_ms'])} ({number(found['p99_ms'])}), {found['recall']:.3f} at {setting}"


def _has_rows(subject: Figures) -> bool:
    return bool(find_figure(subject, "subject.has_rows"))


def bars_table(run: Figures) -> str:
    """Return every bar with what was measured."""
    rows = [
        [
            found.bar.what,
            found.limit,
            NONE if found.ratio is None else f"{number(found.ratio)} {found.unit}",
            found.outcome,
        ]
        for found in judge(run)
    ]
    return table(["within this run", "bar", "measured", ""], rows)


def machine_line(run: Figures) -> str:
    """Return one sentence about data, machine and versions."""
    data, machine = run["data"], run["machine"]
    versions = ", ".join(f"{name} {number_}" for name, number_ in machine["versions"].items())
    return (
        f"{data['name']}: {data['rows']:,} × {data['dim']} float32, {data['queries']:,} held-out queries, k = 10. "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; "
        f"an fsync takes {number(machine['fsync_ms'])} ms. Python {machine['python']}, {versions}. {run['date']}."
    )


def report(run: Figures) -> str:
    """Return all tables of one run."""
    measured = [name for name in SUBJECTS if "error" not in run["subjects"].get(name, {"error": ""})]
    if run["large"]:
        return "\n\n".join([machine_line(run), subjects_table(run, LARGE, measured)])
    exact = [name for name in measured if "batch" in (found := run["subjects"][name]) and not _has_rows(found)]
    others = [name for name in measured if name not in exact]
    parts = [machine_line(run)]
    if others:
        parts.append(subjects_table(run, IN_MEMORY if set(others) <= set(REDIS) else MAIN, others))
    parts += [duel_tables(run, duel) for duel in DUELS if "duel" in run["subjects"].get(duel.ours, {})]
    if exact:
        parts += [subjects_table(run, EXACT, exact), _agreement(run)]
    return "\n\n".join([*parts, _legend(run, set(measured)), bars_table(run)])


def _legend(run: Figures, measured: set[str]) -> str:
    filters = ", ".join(f"`{condition}`" for condition in CONDITIONS)
    said = [
        "Times are medians (99th percentiles) of one call at a time; text and metadata come back with each hit, "
        "except from raw libraries. Each is at the smallest setting of its ladder that reaches recall@10 ≥ 0.985, "
        f"under the filters ({filters}) 0.99, or at its best. chromadb builds its index while loading. "
        "All at once: all queries in one call. From several threads: of one process, the wall clock counts. "
        "Reopening: a new process, imports apart, files in the page cache. "
        "Peak: load, index and search, with the input and the interpreter.",
    ]
    if measured & set(POSTGRES):
        said.append(_POSTGRES)
    if measured & set(REDIS):
        versions = {find_figure(run["subjects"][name], "remarks.server") for name in measured & set(REDIS)}
        said.append(_REDIS.format(server=", ".join(sorted(versions))))
    if measured & {*POSTGRES, *REDIS}:
        said.append(_IN_TURNS)
    return " ".join(said)


def _agreement(run: Figures) -> str:
    found = run.get("agreement")
    if not found:
        return "The ids of the exact searches were not compared."
    return (
        f"The exact searches found the same ids in the same order for {found['identical']:,} of "
        f"{found['queries']:,} queries; {found['same']:,} up to equal scores."
    )


def _threads(subject: Figures) -> str:
    speeds = [find_figure(subject, f"threads.{threads}.per_s") for threads in _THREADS]
    return NONE if None in speeds else ", ".join(number(speed) for speed in speeds)


def _load(subject: Figures) -> str:
    return number(subject["load_s"]) if subject["subject"]["is_persistent"] else NONE


def _index(subject: Figures) -> str:
    seconds = find_figure(subject, "build_s")
    return NONE if seconds is None or seconds < 1e-3 else number(seconds)


def _rate(subject: Figures) -> str:
    seconds = find_figure(subject, "build_s")
    return number(subject["rows"] / seconds) if seconds and seconds >= 1e-3 else NONE


def _cost(subject: Figures) -> str:
    one = find_figure(subject, "one_copy.search.median_ms")
    return f"{number(find_figure(subject, 'search.median_ms') / one)} ×" if one else NONE
