"""The pages, by requests as a browser sends them, in each place that the application can keep its notes in."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import escape, unescape

import pytest

from examples.notes.guard import LARGEST_FORM

from .application import Application, find_action, find_version, run_application

ELSEWHERE = [pytest.param(place, marks=pytest.mark.long) for place in ("postgresql", "postgresql and redis")]
everywhere = pytest.mark.parametrize("place", ["files", *ELSEWHERE], indirect=True, scope="module")
"""What the page does with a request is the same in each place: `make test` asks for it in one of them."""

HOSTILE = "\"'><script>alert(1)</script>&amp;<b>{{ 7*7 }}"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, place: dict[str, str]) -> Iterator[Application]:
    with run_application(tmp_path_factory.mktemp("notes"), **place) as app:
        yield app


@everywhere
@pytest.mark.parametrize(
    "query, title",
    [
        ("who owes me money", "What I lent to whom"),
        ("broken hard drive", "After the crash of the old disk"),
        ("railway journey", "The night train to Vienna"),
        ("immunization", "Vaccinations"),
        ("singing together", "Choir in December"),
    ],
)
def test_notes_are_found_by_words_that_they_do_not_contain(app: Application, query: str, title: str) -> None:
    assert app.search(query)[0] == title
    page = app.get("/", q=query).text
    [first] = re.findall(r'<article aria-labelledby="n1">.*?</article>', page, re.DOTALL)
    assert "by meaning alone" in first
    assert "<mark>" not in first


def test_a_new_note_is_found(app: Application) -> None:
    app.add(title="Hydraulic lift", body="The elevator is stuck between two floors.", owner="Eve", tag="house")
    assert app.search("elevator out of order")[0] == "Hydraulic lift"
    assert app.search("elevator out of order", owner="Ada", tag="house") == []
    assert app.search("elevator out of order", owner="Eve", tag="house") == ["Hydraulic lift"]
    [label] = re.findall(r'<span class="score \w+">(.*?)</span>', app.get("/", q="elevator", owner="Eve").text)[:1]
    assert label in {"Very close", "Close", "Loosely related"}
    assert "<mark>elevator</mark> is stuck" in app.get("/", q="Elevator!").text


def test_a_changed_note_is_found_by_its_new_text_only(app: Application) -> None:
    path = app.add(title="A vehicle", body="The bicycle has a flat tyre.")
    assert "A vehicle" in app.search("bicycle tyre")
    form = app.get(f"{path}/edit").text
    values = {"title": "A dish", "body": "Pancakes with maple syrup.", "owner": "Eve", "tag": "test"}
    answer = app.post(find_action(form), version=find_version(form), **values)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=saved")
    assert app.search("sweet pancakes for breakfast")[0] == "A dish"
    assert "A dish" not in app.search("bicycle tyre")
    assert "Saved." in app.get(path, done="saved").text


def test_a_deleted_note_is_gone(app: Application) -> None:
    path = app.add(title="Meteorite", body="A meteorite fell into the observatory.")
    assert app.search("meteorite observatory")[0] == "Meteorite"
    assert "Meteorite" in app.get(f"{path}/delete").text
    assert app.post(f"{path}/delete").headers["location"] == "/?done=deleted"
    assert ">Meteorite<" not in app.get("/", q="fell into").text  # at once
    assert "Meteorite" not in app.search("meteorite observatory")
    assert app.post(f"{path}/delete").status_code == 303
    assert [app.get(path + end).status_code for end in ("", "/edit", "/delete")] == [404, 404, 404]


@everywhere
def test_an_exact_word_is_found_too(app: Application) -> None:
    app.add(title="Carpets", body="Ask Mr Quxzblatt for two rolls of the grey one, 100% wool.")
    for query in ("quxzbl", "t for tw", "100%"):
        assert "Carpets" in app.search(query), query
    assert "Contains your words" in app.get("/", q="t for tw").text
    for query in ("%", "_", "Qux%att"):  # no wildcards
        answer = app.get("/", q=query, tag="kitchen")
        assert (answer.status_code, "Contains your words" in answer.text) == (200, False), query


@everywhere
@pytest.mark.parametrize(
    "name, value, message",
    [
        ("title", " \t", "Title is empty. Write something."),
        ("title", "t" * 121, "Title has 121 characters. Shorten it to 120."),
        ("body", "", "Note is empty. Write something."),
        ("body", "b" * 5_001, "Note has 5,001 characters. Shorten it to 5,000."),
        ("owner", "o" * 41, "Owner has 41 characters. Shorten it to 40."),
        ("body", "a\0b", "Note contains a control character. Remove it, or type the text again."),
    ],
)
def test_a_bad_value_is_explained_and_nothing_is_saved(app: Application, name: str, value: str, message: str) -> None:
    action = find_action(app.get("/notes/new").text)
    values = {"title": "Kept title", "body": "Kept body", "owner": "Kept owner", "tag": "kept"}
    answer = app.post(action, **values | {name: value})
    assert answer.status_code == 422
    page = answer.text
    assert f'<a href="#{name}">{message}</a>' in page
    assert re.search(rf'id="{name}"[^>]*aria-invalid="true" aria-describedby="{name}-error"', page)
    assert [kept in page for key, kept in values.items() if key != name] == [True] * 3
    assert find_action(page) == action
    assert app.get(action.removesuffix("/new")).status_code == 404


def test_a_form_that_is_sent_twice_makes_one_note(app: Application) -> None:
    action = find_action(app.get("/notes/new").text)
    values = {"title": f"Twice {uuid.uuid4()}", "body": "Sent by an impatient hand.", "owner": "Eve", "tag": "test"}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: app.post(action, **values), range(4)))
    assert {(answer.status_code, answer.headers["location"]) for answer in answers} == {
        (303, f"{action.removesuffix('/new')}?done=saved")
    }
    assert app.get("/").text.count(f">{values['title']}<") == 1
    changed = app.post(action, **values | {"body": "Another text after a step back."})
    assert changed.status_code == 409
    assert "Another text after a step back." in changed.text
    assert "Sent by an impatient hand." in app.get(action.removesuffix("/new")).text


def test_two_people_who_change_a_note_lose_nothing(app: Application) -> None:
    path = app.add(title="Shared", body="First text.")
    form = app.get(f"{path}/edit").text
    values = {"title": "Shared", "owner": "Eve", "tag": "test"}
    with ThreadPoolExecutor(2) as pool:
        texts = ["Text of Ada.", "Text of Bob."]
        send = lambda text: app.post(f"{path}/edit", version=find_version(form), body=text, **values)  # noqa: E731
        answers = list(pool.map(send, texts))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    [refused] = [answer for answer in answers if answer.status_code == 409]
    assert [text in refused.text for text in texts] == [True, True]
    mine = texts[answers.index(refused)]
    assert app.post(f"{path}/edit", version=find_version(refused.text), body=mine, **values).status_code == 303
    assert mine in app.get(path).text


@everywhere
def test_a_text_is_never_markup(app: Application) -> None:
    path = app.add(title=HOSTILE, body=HOSTILE, owner=HOSTILE[:40], tag=HOSTILE[:40])
    pages = [path, f"{path}/edit", f"{path}/delete"]
    answers = [app.get(page) for page in pages]
    answers += [app.get("/", q=HOSTILE), app.get("/", q="script alert"), app.get("/", owner=HOSTILE, tag=HOSTILE)]
    answers.append(app.post(f"{path}/edit", title=HOSTILE, body="", owner=HOSTILE, tag=HOSTILE))
    for answer in answers:
        assert "script>alert" in unescape(re.sub("</?mark>", "", answer.text))
        assert "<script>" not in answer.text
        assert "<b>" not in answer.text
        assert "49" not in re.findall(r"<h[13][^>]*>(.*?)</h", answer.text)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert f'value="{escape(HOSTILE)}"'.replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in answers[3].text


@everywhere
def test_a_note_without_a_letter_is_a_note(app: Application) -> None:
    path = app.add(title="!!!", body="???")
    assert "!!!" in app.get(path).text
    assert ">!!!<" in app.read_settled(q="???").replace("<mark>", "")


@everywhere
def test_other_methods_and_addresses(app: Application) -> None:
    path = app.add()
    for page in ("/", "/notes/new", path, f"{path}/edit", f"{path}/delete"):
        head = app.client.head(page)
        assert (head.status_code, head.content) == (200, b"")
    missing = f"/notes/{uuid.uuid4()}"
    for address in ("/nothing", "/notes/17", "/notes/17/edit", missing, f"{missing}/edit", "/static/nothing.js"):
        answer = app.get(address)
        assert answer.status_code == 404
        assert "There is no note or page at this address" in answer.text
    assert app.post(f"{missing}/edit", title="a", body="b", owner="c", tag="d").status_code == 404
    for method, address in (("PUT", path), ("DELETE", "/"), ("GET", f"{path}/new"), ("POST", path)):
        answer = app.client.request(method, address, content=b"")
        assert answer.status_code == 405, (method, address)
        assert answer.headers["allow"]
        assert "All notes" in answer.text


@everywhere
def test_odd_parameters_of_a_search(app: Application) -> None:
    for page in ("0", "-1", "x", "²", "999999999999", "1.5", ""):
        assert "Newest notes" in app.get("/", page=page).text
    assert "Older notes, page 2" in app.get("/", page="2").text
    assert "Back to the newest notes" in app.get("/", page="99").text
    assert "Newest notes" in app.get("/", q=" \t\n ").text
    assert "No notes of a\N{REPLACEMENT CHARACTER}b" in app.client.get("/?owner=a%ffb").text
    assert app.get("/", q="a\0b", owner="\0", tag="\0").status_code == 200
    assert "No notes of Nobody" in app.get("/", owner="Nobody").text
    assert "Search all notes" in app.get("/", q="tea", owner="Nobody").text
    too_long = app.get("/", q="q" * 301)
    assert (too_long.status_code, "Shorten it to 300." in too_long.text) == (400, True)


@everywhere
def test_what_other_sites_may_not_do(app: Application) -> None:
    path = app.add()
    form = {"title": "a", "body": "b", "owner": "c", "tag": "d"}
    for site in ("cross-site", "same-site"):
        assert app.client.post(f"{path}/delete", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert app.get(path).status_code == 200
    assert app.post(f"{path}/edit", **form | {"body": "b" * LARGEST_FORM}).status_code == 413
    assert app.client.post(f"{path}/edit", content=iter([b"title=a"])).status_code == 411
    files = {"title": ("a.txt", b"a")}
    assert app.client.post(f"{path}/edit", data=form, files=files).status_code == 400
