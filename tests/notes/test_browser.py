"""The pages in a browser: at three widths, with the keyboard alone, for a screen reader, and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .application import Application, run_application
from .browser import NoBrowser, open_page, run_browser

WORD = "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle"
NAMED_ROLES = {"alert", "button", "combobox", "link", "searchbox", "textbox"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with run_application(tmp_path_factory.mktemp("notes")) as app:
        app.add(title=WORD, body=WORD * 3, owner=WORD[:40], tag=WORD[:40])
        app.read_settled()
        yield app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with run_browser() as browser:
            yield browser
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def page(browser: Browser, app: Application) -> Iterator[Page]:
    with open_page(browser, app.url) as page:
        yield page


def read_focus(page: Page) -> str:
    """Return the name of the focused element as a person knows it, once it is sure that its focus can be seen."""
    seen: list[Any] = page.evaluate(
        """() => {
            const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
            return [e.labels?.[0]?.textContent ?? e.textContent, e.tagName, s.outlineStyle, parseFloat(s.outlineWidth),
                box.width > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight];
        }"""
    )
    name, tag, style, width, is_visible = seen
    if tag not in {"BODY", "MAIN"}:
        assert (style, width >= 2, is_visible) == ("solid", True, True), seen
    return " ".join(name.split())[:40]


def wait_for_focus(page: Page, name: str) -> None:
    """Wait until a new page has focused what it names; a browser does that some time after the page is there."""
    page.wait_for_function("() => !['BODY', 'HTML'].includes(document.activeElement.tagName)")
    assert read_focus(page) == name


def read_tree(page: Page) -> list[dict[str, Any]]:
    """Return the nodes that a screen reader gets, each with its role, name, description and properties."""
    found = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    nodes = []
    for node in found["nodes"]:
        if not node["ignored"]:
            values = {each["name"]: each["value"].get("value") for each in node.get("properties", ())}
            texts = {name: node.get(name, {}).get("value", "") for name in ("role", "name", "description")}
            nodes.append(values | texts)
    return nodes


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_screen(app: Application, browser: Browser, width: int) -> None:
    with open_page(browser, app.url, width, scheme="dark" if width == 768 else "light") as page:
        for path in ("/", f"/?q={WORD}", f"/?q={WORD}&owner={WORD}", "/notes/new", "/nowhere"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.goto(f"/?q={WORD}")
        page.locator("h3 a").first.click()
        for end in ("", "/edit", "/delete"):
            page.goto(page.url.partition("?")[0].removesuffix("/edit") + end)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, end
        page.goto("/")
        small = page.evaluate(
            """() => [...document.querySelectorAll("a, button, input, select")].filter(e => {
                const b = e.getBoundingClientRect(); return b.height > 0 && b.height < 24 && b.height > 2; })
                .map(e => e.textContent)"""
        )
        assert small == []


def test_dark_and_light_differ(app: Application, browser: Browser) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        with open_page(browser, app.url, scheme=scheme) as page:
            page.goto("/")
            colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


def test_everything_with_the_keyboard(page: Page) -> None:
    page.goto("/")
    stops: list[str] = []
    while len(stops) < 12:
        page.keyboard.press("Tab")
        stops.append(read_focus(page))
    assert stops[:7] == ["Skip to the content", "Notes", "New note", "Search by meaning", "Search", "Owner", "Tag"]
    assert stops[7:11] == ["hot drinks", "something for a headache", "who owes me money", "broken hard drive"]
    assert stops[11] == WORD[:40]

    page.reload()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert read_focus(page) == "Search by meaning"

    page.keyboard.type("cannot sleep")
    expect(page.get_by_role("heading", level=2)).to_contain_text("for “cannot sleep”")
    assert read_focus(page) == "Search by meaning"
    assert page.url.endswith("/?q=cannot+sleep")
    page.keyboard.press("Enter")
    expect(page.locator("#results")).not_to_have_attribute("aria-busy", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Newest notes")).to_be_visible()
    assert (page.input_value("#q"), page.url.endswith("/")) == ("", True)

    page.keyboard.type("birds")
    expect(page.get_by_role("heading", level=2)).to_contain_text("for “birds”")
    # Chromium empties the field by itself; other browsers do not, as with an event of a script.
    page.locator("#q").dispatch_event("keydown", {"key": "Escape"})
    expect(page.get_by_role("heading", name="Newest notes")).to_be_visible()

    page.keyboard.type("railway journey")
    expect(page.get_by_role("heading", level=2)).to_contain_text("for “railway journey”")
    for _ in range(4):
        page.keyboard.press("Tab")
    assert read_focus(page) == "The night train to Vienna"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("The night train to Vienna")


def test_a_note_is_written_changed_and_deleted_with_the_keyboard(page: Page) -> None:
    page.goto("/notes/new")
    wait_for_focus(page, "Title")
    for text in ("Stargazing", "The telescope shows Saturn with its rings.", "Eve", "sky"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    assert read_focus(page) == "Save"
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Saved. A search finds it in a moment.")
    expect(page).to_have_title(re.compile("^Saved"))

    page.get_by_role("link", name="Edit").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Edit note")
    wait_for_focus(page, "Title")
    page.keyboard.press("End")
    page.keyboard.type(" at home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Stargazing at home")

    page.get_by_role("link", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Delete “Stargazing at home”?")
    wait_for_focus(page, "Keep it")
    page.keyboard.press("Shift+Tab")
    assert read_focus(page) == "Delete it"
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_have_text("The note is deleted.")


def test_what_a_screen_reader_is_told(page: Page) -> None:
    page.goto("/")
    tree = read_tree(page)
    assert [node for node in tree if node["role"] in NAMED_ROLES and not node["name"].strip()] == []
    named = {(node["role"], node["name"]) for node in tree}
    wanted = {
        ("search", ""), ("searchbox", "Search by meaning"), ("combobox", "Owner"), ("combobox", "Tag"),
        ("button", "Search"), ("link", "New note"), ("heading", "Search notes"), ("region", "Newest notes"),
        ("heading", "Newest notes"), ("navigation", "Pages"), ("link", "Older notes"),
        ("article", "The blue kettle"),
    }  # fmt: skip
    assert wanted - named == set()
    [box] = [node for node in tree if node["role"] == "searchbox"]
    assert box["description"].startswith("Describe what you look for")
    assert [node["level"] for node in tree if node["role"] == "heading"][:3] == [1, 2, 3]
    assert {node["live"] for node in tree if node["role"] == "status"} == {"polite"}

    page.get_by_role("searchbox").press_sequentially("railway journey")
    status = page.locator("#status")
    expect(status).to_have_text(re.compile(r"^\d+ notes? for “railway journey”$"))
    page.get_by_role("combobox", name="Owner").select_option("Ada")
    expect(status).to_have_text("1 note for “railway journey” of Ada")
    page.get_by_role("searchbox").fill("quantum physics")
    expect(status).to_have_text("Nothing for “quantum physics” of Ada")
    expect(page).to_have_title("quantum physics – Notes")


def test_an_error_in_a_form_is_told_where_it_is(page: Page) -> None:
    page.goto("/notes/new")
    page.evaluate("document.querySelector('form').noValidate = true")
    page.get_by_label("Note", exact=True).fill("Only a text.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_focused()
    tree = read_tree(page)
    invalid = {node["name"]: node["description"] for node in tree if node.get("invalid") == "true"}
    assert invalid == {name: f"{name} is empty. Write something." for name in ("Title", "Owner", "Tag")}
    assert page.get_by_label("Note", exact=True).input_value() == "Only a text."
    page.get_by_role("link", name="Owner is empty.").click()
    expect(page.get_by_label("Owner")).to_be_focused()


def test_without_javascript(app: Application, browser: Browser) -> None:
    with open_page(browser, app.url, has_script=False) as page:
        page.goto("/")
        page.get_by_label("Search by meaning").fill("railway journey")
        page.get_by_role("combobox", name="Tag").select_option("travel")
        page.get_by_role("button", name="Search").click()
        page.wait_for_url("**/?q=railway+journey&owner=&tag=travel")
        assert page.locator("h3").first.inner_text() == "The night train to Vienna"
        assert page.get_by_role("combobox", name="Tag").input_value() == "travel"
        page.get_by_role("link", name="New note").click()
        for name, text in {"Title": "A", "Note": "B", "Owner": "C", "Tag": "D"}.items():
            page.get_by_label(name, exact=True).fill(text)
        page.get_by_role("button", name="Save").click()
        assert page.get_by_role("status").inner_text() == "Saved. A search finds it in a moment."
        page.get_by_role("link", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        assert page.get_by_role("status").first.inner_text() == "The note is deleted."


def test_the_last_question_wins_and_an_outage_is_told(page: Page) -> None:
    page.goto("/")
    held: list[Any] = []
    page.route("**/?q=slow*", lambda route: held.append(route))
    page.get_by_role("searchbox").fill("slow")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    page.get_by_role("searchbox").fill("birds")
    heading = page.get_by_role("heading", level=2)
    expect(heading).to_contain_text("for “birds”")
    for route in held:
        route.abort()
    expect(heading).to_contain_text("for “birds”")

    page.context.set_offline(True)
    page.get_by_role("searchbox").fill("anything")
    expect(page.locator("#status")).to_have_text("The notes cannot be reached. Press Enter to try again.")
    expect(page.locator("#results")).to_have_text("The notes cannot be reached. Press Enter to try again.")
    page.context.set_offline(False)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("heading", level=2)).to_contain_text("for “anything”")
