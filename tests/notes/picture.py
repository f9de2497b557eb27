"""Take the picture of the example that the README shows: ``python -m tests.notes.picture``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.sources import ROOT

from .application import run_application
from .browser import run_browser

PICTURE = ROOT / "docs" / "pictures" / "notes.png"
QUERY = "cannot sleep"
_WIDTH, _HEIGHT, _SCALE = 800, 790, 1.25


def main() -> None:
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, run_application(Path(folder)) as app, run_browser() as browser:
        app.read_settled()
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, device_scale_factor=_SCALE)
        page.goto(f"{app.url}/?q={QUERY.replace(' ', '+')}")
        page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
