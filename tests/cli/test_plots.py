"""`vecstore plot`: what is in the file, what a browser makes of it, and what it refuses."""

# Longer than 300 lines because pictures of all formats are made from one store, which takes most of the setting up.

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from defusedxml import ElementTree
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page
from sklearn.manifold import trustworthiness

from tests.cli.conftest import Run
from tests.cli.places import place as place
from tests.cli.places import postgres_server as postgres_server
from tests.cli.places import postgres_url as postgres_url
from tests.cli.places import redis_server as redis_server
from tests.notes.browser import NoBrowser, open_page, run_browser
from tests.places import FilePlace
from vecstore import InvalidArgument, Metric, MissingExtra, Record, Schema, fields
from vecstore.cli.plots.charts import COLOURS, NONE, REST, Chart, divide, tidy
from vecstore.cli.plots.image import write_image
from vecstore.cli.plots.making import make_map
from vecstore.cli.plots.page import dump_for_script, fit_labels, make_page
from vecstore.cli.plots.projection import measure_trust, project
from vecstore.cli.plots.terminal import draw_lines
from vecstore.evaluation import Sample
from vecstore.testing import Place

pytestmark = pytest.mark.usefixtures("no_model")

HOSTILE = [
    "</script><script>document.title='owned'</script>", "<img src=x onerror=\"document.title='owned'\">",
    "</title><b>bold</b>", "quotes \" and ' & ampersands &lt;tag&gt;", "line\nbreak\ttab\r\n\u2028end",
    "\u202ereversed\u202c", "שלום עולם", "x" * 10_000, "%{x} ${y}", "$\\frac{1}{2}$ and $", "_hidden", "中文标签 🎈",
    "<a href='http://example.com/'>link</a>", "\x1b[31mred\x07", " ", "javascript:alert(1)",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with run_browser() as browser:
            yield browser
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)


def fill(place: Place) -> str:
    rng = np.random.default_rng(0)
    with place.connect() as database:
        store = database.create("kb", Schema(dim=5, fields={"kind": fields.Keyword()}))
        store.upsert(
            Record(f"r{row:03}", rng.normal(size=5).astype(np.float32), f"text {row}",
                   {"label": HOSTILE[row % len(HOSTILE)], "n": row, "kind": "ab"[row % 2]})
            for row in range(64)
        )  # fmt: skip
        for count in range(3):
            few = database.create(f"few{count}", Schema(dim=3))
            few.upsert(Record(f"{row}", [1.0, row, 2.0]) for row in range(count))
        database.create("flat", Schema(dim=1)).upsert(Record(f"{row}", [row + 1.0]) for row in range(4))
    return place.url


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = FilePlace(tmp_path_factory.mktemp("plots") / "kb")
    yield fill(place)
    place.close()


def show(page: Page, path: Path) -> None:
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]", state="attached")


def hover(page: Page, row: int) -> str:
    """Move the pointer to a drawn point and return what is shown there, once nothing is shown of the last one."""
    page.mouse.move(0, 0)
    label = page.locator(".hoverlayer .hovertext")
    label.first.wait_for(state="detached")
    box = page.locator(".scatterlayer .points path").nth(row).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return label.first.text_content() or ""


def test_a_browser_draws_every_point_and_shows_its_label(run: Run, kb: str, tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "map.html"
    assert run("plot", kb, "kb", "--color", "kind", "-o", path).code == 0
    with open_page(browser, path.as_uri()) as page:  # fails for a request to anywhere, and for a message of the console
        show(page, path)
        assert page.locator(".scatterlayer .points path").count() == 64
        assert hover(page, 0).startswith("text ")
        assert page.locator("h1").inner_text() == "kb"
        assert "all 64 records, seed 0 · trustworthiness 0." in page.locator("header p").inner_text()
        assert page.locator(".legendtext").all_text_contents() == ["a", "b"]
        box = page.locator("#chart").bounding_box()
        assert box is not None
        assert box["height"] > 500


def test_hostile_labels_are_shown_and_never_obeyed(run: Run, kb: str, tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "map.html"
    assert run("plot", kb, "kb", "--color", "label", "--label", "label", "-o", path).code == 0
    with open_page(browser, path.as_uri()) as page:
        show(page, path)
        assert page.title() == "kb"
        assert page.locator(".scatterlayer .points path").count() == 64
        shown = [hover(page, row) for row in range(64)]
        for text in (
            "</script><script>",
            "<img src=x onerror=",
            "<a href='http",
            "&lt;tag&gt;",
            "%{x} ${y}",
            "שלום עולם",
        ):
            assert any(text in each for each in shown), text
        assert max(map(len, shown)) < 120
        assert not any("\u202e" in each or "\x1b" in each for each in shown)
        assert page.locator("#chart a, #chart b, #chart image, img, body > script[src]").count() == 0
        legend = page.locator(".legendtext").all_text_contents()
        assert NONE not in legend
        assert REST in legend


def test_a_hostile_title_is_text(tmp_path: Path, browser: Browser) -> None:
    text = " ".join(HOSTILE[:7])
    series = [each for name in HOSTILE for each in divide(np.eye(2), ["a", "b"], [name, "y"], "x")]
    chart = Chart(tidy(text, 200), text, series, tidy(text, 200))
    path = tmp_path / "page.html"
    path.write_text(make_page(chart), encoding="utf-8")
    with open_page(browser, path.as_uri()) as page:
        show(page, path)
        assert page.title() == chart.title
        assert page.locator("h1").text_content() == chart.title
        assert page.locator("h1 *, p *, img, #chart a, #chart b").count() == 0
        assert "<img src=x" in (page.locator(".legendtitletext").text_content() or "")


@pytest.mark.parametrize("count", [1_000, pytest.param(60_000, marks=pytest.mark.long)])
def test_many_points_are_drawn_and_small(tmp_path: Path, browser: Browser, count: int) -> None:
    """Points whose labels are long and take three bytes a character."""
    sample = draw_sample(count, 4, "汽车" * 60)
    page_text = make_page(make_map("many", sample, "pca", Metric.COSINE, colour="kind", label="label"))
    assert len(page_text.encode()) < 12_000_000
    path = tmp_path / "many.html"
    path.write_text(page_text, encoding="utf-8")
    with browser.new_context(viewport={"width": 900, "height": 700}) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        show(page, path)
        assert asked == [path.as_uri()]
        drawn = page.evaluate("document.getElementById('chart')._fullData.reduce((n, trace) => n + trace._length, 0)")
        assert drawn == count
        page.screenshot(path=tmp_path / "shot.png")
    pixels = np.asarray(Image.open(tmp_path / "shot.png").convert("RGB"))[120:]
    assert (pixels.min(axis=2) < 240).mean() > 0.02


def test_long_labels_are_cut_until_they_are_small() -> None:
    labels = ["汽车" * 40] * 60_000
    chart = Chart("", "", divide(np.zeros((60_000, 2)), labels, None, "x"))
    assert 20 < fit_labels(chart) < 30
    assert fit_labels(Chart("", "", divide(np.zeros((9, 2)), labels[:9], None, "x"))) == 80


def draw_sample(count: int, dim: int, label: str) -> Sample:
    vectors = np.random.default_rng(0).normal(size=(count, dim)).astype(np.float32)
    metadata = [{"label": label, "kind": f"k{row % 3}"} for row in range(count)]
    return Sample([f"{row}" for row in range(count)], vectors, [None] * count, metadata, count, 0)


@pytest.mark.long
def test_a_page_of_60_000_points_takes_10_seconds_at_most() -> None:
    sample = draw_sample(60_000, 384, "a label of about sixty characters, as a title of a page has it")
    began = time.process_time()
    make_page(make_map("many", sample, "pca", Metric.COSINE, colour="kind", label="label"))
    assert time.process_time() - began < 10


LATIN_SQUARE = {("map", "html"), ("recall", "png"), ("drift", "svg")}
"""Each picture and each format once."""


@pytest.mark.parametrize(
    "what, form",
    [
        pytest.param(what, form, marks=[pytest.mark.long] * ((what, form) not in LATIN_SQUARE))
        for what in ("map", "recall", "drift")
        for form in ("html", "png", "svg")
    ],
)
def test_every_picture_in_every_format(run: Run, kb: str, tmp_path: Path, what: str, form: str) -> None:
    path = tmp_path / f"picture.{form.upper() if form == 'png' else form}"
    options = ["--where", '{"kind": "a"}', "--against-where", '{"kind": "b"}']
    colour = ["--color", "label", "--label", "label"]
    extra = options if what == "drift" else colour if what == "map" else []
    answer = run("plot", kb, "kb", "--show", what, "-o", path, *extra, "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["output"], answer.json["show"]) == (str(path), what)
    assert answer.json["points"] == {"map": 64, "recall": 7, "drift": 64}[what]
    assert "seed 0" in answer.json["caption"]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if form == "png":
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert pixels.shape[:2] == (1_050, 1_500)
        assert 0.001 < (pixels.min(axis=2) < 200).mean() < 0.5
    if form == "svg":
        root = ElementTree.parse(path).getroot()
        assert root is not None
        assert root.tag.endswith("svg")


def test_an_image_is_the_same_again(run: Run, kb: str, tmp_path: Path) -> None:
    for form in ("svg", "png", "html"):
        for name in ("one", "two"):
            assert run("plot", kb, "kb", "--color", "n", "-o", tmp_path / f"{name}.{form}").code == 0
        assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes(), form


def test_many_points_of_an_svg_are_pixels(tmp_path: Path) -> None:
    for count, is_small in ((6_000, True), (400, False)):
        chart = make_map("many", draw_sample(count, 4, "x"), "pca", Metric.L2, colour=None, label=None)
        write_image(chart, tmp_path / "many.svg", "svg")
        text = (tmp_path / "many.svg").read_text()
        assert ("<image" in text) == is_small
        assert text.count("<use") < 1_000
        assert len(text) < 1_500_000


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
@pytest.mark.parametrize("count", [2, 3, 4, pytest.param(11, marks=pytest.mark.long)])
def test_few_records_are_drawn(method: str, count: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(count, 3)).astype(np.float32)
    found = project(vectors, method, 0)
    assert found.points.shape == (count, 2)
    assert np.isfinite(found.points).all()
    assert ("too few" in found.method) == (method != "pca" and count < 10)


@pytest.mark.parametrize("form", ["html", "png", "svg", None])
def test_two_records_are_enough_and_one_is_not(run: Run, kb: str, tmp_path: Path, form: str | None) -> None:
    target = ["-o", tmp_path / f"x.{form}"] if form else []
    for name in ("few2", "flat"):
        assert run("plot", kb, name, *target).code == 0
    for name in ("few0", "few1"):
        answer = run("plot", kb, name, *target)
        assert (answer.code, "at least 2" in answer.err) == (2, True)


def test_vectors_that_are_all_the_same_are_drawn(tmp_path: Path) -> None:
    vectors = np.ones((5, 3), np.float32)
    found = project(vectors, "pca", 0)
    assert np.isfinite(found.points).all()
    chart = Chart("same", "", divide(found.points, list("abcde"), None, "x"))
    write_image(chart, tmp_path / "same.png", "png")
    assert "bdata" in make_page(chart)
    assert any(line.plain.strip() for line in draw_lines(chart, 20, 5))


@pytest.mark.parametrize("seed", range(3))
def test_trustworthiness_equals_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, points = rng.normal(size=(80, 6)), rng.normal(size=(80, 2))
    assert measure_trust(vectors, points) == pytest.approx(trustworthiness(vectors, points, n_neighbors=10))
    assert measure_trust(points, points) == 1


def test_neighbours_stay_neighbours_in_tsne() -> None:
    centres = np.random.default_rng(0).normal(size=(6, 20)) * 8
    vectors = np.concatenate([centre + np.random.default_rng(1).normal(size=(20, 20)) for centre in centres])
    flat, curved = (project(vectors.astype(np.float32), method, 0).trustworthiness for method in ("pca", "tsne"))
    assert curved > flat > 0.5


def test_the_terminal_shows_density_and_colours(run: Run, kb: str) -> None:
    answer = run("plot", kb, "kb", "--color", "kind")
    assert answer.code == 0
    assert any(0x2800 < ord(char) < 0x2900 for char in answer.out)
    assert "kind: ● a (32)  ● b (32)" in " ".join(answer.out.split("\n"))
    assert "seed 0 · trustworthiness" in answer.out
    assert max(map(len, answer.out.splitlines()[:20])) <= 80
    hostile = run("plot", kb, "kb", "--color", "label")
    assert hostile.code == 0
    assert "\x1b" not in hostile.out
    assert "\u202e" not in hostile.out
    assert "█" in run("plot", kb, "kb", "--show", "recall").out


def test_a_dot_of_the_density_is_where_its_point_is() -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    lines = draw_lines(Chart("", "", divide(points, ["a", "b"], None, "x")), 10, 3)
    assert [line.plain for line in lines] == [" " * 9 + chr(0x2800 + 0x08), "", chr(0x2800 + 0x40)]


def test_colours_of_values() -> None:
    points: NDArray[np.float64] = np.zeros((40, 2))
    labels = [""] * 40
    many = divide(points, labels, [f"v{row % 15}" for row in range(39)] + [None], "x")
    assert [each.name for each in many[:2]] == [NONE, REST]
    assert len(many) == 2 + len(COLOURS) - 1
    assert sum(len(each.x) for each in many) == 40
    (numbers,) = divide(points, labels, [*range(39), None], "x")
    assert numbers.numbers is not None
    assert np.isnan(numbers.numbers[39])
    assert [each.name for each in divide(points, labels, [True, False] * 20, "x")] == ["False", "True"]
    assert len(divide(points, labels, [1, 2] * 20, "x")) == 2


REFUSED: list[tuple[list[str], str]] = [
    (["--show", "everything"], "map, recall, drift"),
    (["--method", "magic"], "pca, tsne, umap"),
    (["--color", "kinds"], "Did you mean 'kind'"),
    (["--label", "lable"], "Did you mean 'label'"),
    (["--show", "drift"], "--against"),
    (["--against", "kb"], "--show drift"),
    (["--show", "recall", "--query", "x"], "--show map"),
    (["-o", "map.pdf"], ".html, .png or .svg"),
    (["-o", "no/where/map.png"], "no directory"),
    (["--query", " "], "query"),
    (["--query", "text"], "the model that made them is not known"),
    (["--show", "drift", "--against", "few2"], "dimensions"),
    (["--sample", "1"], "--sample"),
]


@pytest.mark.parametrize("arguments, names", REFUSED, ids=[" ".join(each[0]) for each in REFUSED])
def test_what_cannot_be_drawn_is_refused(
    run: Run, kb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], names: str
) -> None:
    monkeypatch.delenv("VECSTORE_EMBEDDER")
    monkeypatch.chdir(tmp_path)
    answer = run("plot", kb, "kb", *arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert names in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtra, match=r"plotly is not installed.*vecstore-db\[plot\]"):
        make_page(Chart("", "", []))
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtra, match=r"umap-learn is not installed.*vecstore-db\[umap\]"):
        project(np.eye(20, dtype=np.float32), "umap", 0)
    with pytest.raises(InvalidArgument, match="method"):
        project(np.eye(3, dtype=np.float32), "magic", 0)


def test_a_query_is_drawn_with_its_hits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    monkeypatch.delenv("VECSTORE_EMBEDDER")
    lines = [{"id": f"t{row}", "text": f"{word} number {row}"} for row, word in enumerate(["cat", "car", "stock"] * 10)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("add", f"file:{tmp_path}/t", "texts", tmp_path / "t.jsonl").code == 0
    path = tmp_path / "map.html"
    answer = run("plot", f"file:{tmp_path}/t", "texts", "--query", "a kitten", "--sample", "5", "-o", path, "--json")
    assert answer.code == 0, answer.err
    named = {each["name"]: each["points"] for each in answer.json["series"]}
    assert named["hits of a kitten"] == 10
    assert named["query a kitten"] == 1
    assert named["texts"] >= 10  # the sample, and the hits that it lacks
    assert "★" in run("plot", f"file:{tmp_path}/t", "texts", "--query", "a kitten").out
    with open_page(browser, path.as_uri()) as page:
        show(page, path)
        assert page.locator(".scatterlayer .points path").count() == sum(named.values())


@pytest.mark.long  # samples are compared in tests/evaluation
def test_every_backend_gives_the_same_picture(run: Run, kb: str, place: Place, tmp_path: Path) -> None:
    for name, url in (("theirs", fill(place)), ("ours", kb)):
        assert run("plot", url, "kb", "--color", "kind", "-o", tmp_path / f"{name}.html").code == 0
    assert (tmp_path / "theirs.html").read_bytes() == (tmp_path / "ours.html").read_bytes()


def test_a_picture_that_cannot_be_written_leaves_the_old_one(
    run: Run, kb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "map.html"
    path.write_text("the old one")

    def fail(part: Path, target: Path) -> Path:
        assert part.stat().st_size > 1_000_000
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    assert run("plot", kb, "kb", "-o", path).code == 3
    assert path.read_text() == "the old one"
    assert [each.name for each in tmp_path.iterdir()] == ["map.html"]


def test_data_in_a_page_end_no_script() -> None:
    text = dump_for_script({"x": "</script>&amp;\u2028\u2029"})
    assert not {"<", ">", "&", "\u2028", "\u2029"} & set(text)
    assert json.loads(text) == {"x": "</script>&amp;\u2028\u2029"}


def test_a_label_has_one_line_and_no_controls() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for text in HOSTILE:
            short = tidy(text)
            assert len(short) <= 80
            assert short.isprintable()
            assert "\u202e" not in short
    assert tidy("x" * 10_000).endswith("…")
