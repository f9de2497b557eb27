"""The published figures in the repository, and the README tables made from them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .subjects import ON_SERVERS
from .tables import report

RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).parents[1] / "README.md"
_PART = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)


def publish(run: Mapping[str, Any]) -> None:
    """Replace the last run of the same size, and rewrite the README tables."""
    text = README.read_text("utf-8")
    if not _PART.search(text):
        raise SystemExit("README.md has no lines <!-- bench --> and <!-- /bench --> to write between.")
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    on_server = [kind for kind, members in ON_SERVERS.items() if set(run["subjects"]) == set(members)]
    known["large" if run["large"] else next(iter(on_server), "usual")] = run
    RESULTS.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    shown = "\n\n".join(report(known[name]) for name in ("usual", "large", *ON_SERVERS) if name in known)
    README.write_text(_PART.sub(lambda _: shown + "\n", text), "utf-8")
