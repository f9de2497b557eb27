"""The README's table of backends, made from the code: ``python -m tests.capability_table`` writes it there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from vecstore.capabilities import Capabilities
from vecstore.registry import schemes

README = Path(__file__).parent.parent / "README.md"
_PLACE = re.compile(r"<!-- capabilities: .*? -->\n(?:\|.*\n)*")
_MARK = "<!-- capabilities: python -m tests.capability_table -->\n"
_WORDS = {True: "yes", False: "no"}


def _capabilities(target: str) -> Capabilities:
    module, _, name = target.partition(":")
    found = getattr(import_module(module), name).capabilities
    assert isinstance(found, Capabilities)
    return found


def table() -> str:
    """Return the table in Markdown, one column for each backend with all its schemes."""
    schemes_of: dict[Capabilities, list[str]] = {}
    for scheme, target in sorted(schemes().items()):
        schemes_of.setdefault(_capabilities(target), []).append(f"`{scheme}:`")
    backends = {" ".join(names): able for able, names in schemes_of.items()}
    rows: dict[str, list[str]] = {
        "metrics": [", ".join(each.metrics) for each in backends.values()],
        "dtypes": [", ".join(each.dtypes) for each in backends.values()],
        "indexes": [", ".join(each.indexes) for each in backends.values()],
        "dimensions": [f"{each.max_dim:,}" for each in backends.values()],
        "survives the process": [_WORDS[each.durable] for each in backends.values()],
        "shared by processes": [_WORDS[each.shared] for each in backends.values()],
        "joins the caller's transaction": [_WORDS[each.transactions] for each in backends.values()],
    }
    head = ["", *backends]
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_table(readme: str) -> str:
    """Return the README with the table in its place."""
    return _PLACE.sub(lambda _: _MARK + table(), readme)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text("utf-8")), "utf-8")
