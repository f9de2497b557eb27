"""A headless Chromium, the one that the system's packages bring."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
INSTALL = "The tests of pages need Chromium. On Debian: apt-get install chromium-headless-shell"
_PATIENCE = 30_000
"""Milliseconds after which what should be on a page has not come: a model embeds each question, on a busy machine."""


class NoBrowser(Exception):
    """This machine has no Chromium."""


@contextmanager
def run_browser() -> Iterator[Browser]:
    """Start a browser.

    Raises
    ------
    NoBrowser
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise NoBrowser(INSTALL)
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as driver:
        # Its sandbox needs rights that a container does not give, and the pages are our own.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_page(
    browser: Browser, url: str, width: int = 1280, *, scheme: str = "light", has_script: bool = True
) -> Iterator[Page]:
    """Open a tab of its own. What its console complains about, or asks of another host, is an error."""
    complaints: list[str] = []
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=has_script,
        reduced_motion="reduce",
        base_url=url,
    )
    page = context.new_page()
    page.set_default_timeout(_PATIENCE)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith(url) else complaints.append(request.url))
    yield page
    context.close()
    expected = "Failed to load resource: "  # pages about errors
    assert [each for each in complaints if not each.startswith(expected)] == []
