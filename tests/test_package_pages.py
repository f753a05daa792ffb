"""The pages of a package as an auditor meets them: an unpacked folder, a browser, no network, no JavaScript."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, expect

from auditor import keys, plugins
from auditor.model import ClaimVerdict, Outcome, Resource
from auditor.packaging.build import build
from auditor.reports import evidence
from auditor.results import Reference, Registers, ScopeItem
from auditor.stored import StoredRun
from tests import hostile, large_run
from tests.report_runs import a_claim, a_head, a_test
from tests.test_hostile_reports import structure_of_markdown
from tests.test_package import links_of, refuse_dead_links, rows, unpack
from tests.test_package_listing import expect_the_frozen_listing, figures, run_of
from tests.test_report_html import ACTING, ACTING_SHOWN, CONTRAST
from tests.test_report_html import HOSTILE as MARKUP
from tests.world_runs import audited

CLICKS = 3

SOURCES = plugins.sources()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a run of the broken demo world, unpacked."""
    folder = tmp_path_factory.mktemp("demo")
    with audited("broken", folder / "reports") as world:
        ring = keys.load(world.run.parent / keys.PUBLIC)
        build([world.run], folder / "evidence.zip", ring, None, SOURCES, allow_unsigned=True)
    return unpack(folder / "evidence.zip", folder / "unpacked")


@contextmanager
def offline(browser: Browser, folder: Path, **options: Any) -> Iterator[Page]:
    """Open the first page; on leaving, nothing may have been asked for but pages of the package, or complained of."""
    context = browser.new_context(offline=True, java_script_enabled=False, **options)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.goto((folder / "index.html").as_uri())
    yield page
    page.wait_for_timeout(0)
    assert said == []
    assert all(url.startswith(f"{folder.as_uri()}/") for url in asked), asked
    context.close()


def raw_line(page: Page, folder: Path) -> str:
    """The line of evidence that an address on a page of answers leads to, out of the run itself."""
    address = urlsplit(page.url)
    _, run, segment, _ = unquote(address.path).removeprefix(f"{folder}/").split("/")
    number = int(address.fragment.partition(".")[0].removeprefix("L"))
    lines = (folder / "runs" / run / "evidence" / f"{segment}.jsonl").read_text().splitlines()
    return lines[number - 1]


def expect_the_raw_line(page: Page, folder: Path) -> None:
    target = page.locator(":target")
    expect(target).to_be_in_viewport()
    line = page.locator(".line:target, .line:has(:target)")
    expect(line).to_be_in_viewport()
    shown = line.locator(".raw").evaluate("one => one.textContent")
    assert shown == raw_line(page, folder)
    if "." in urlsplit(page.url).fragment:
        assert target.evaluate("one => one.textContent").rstrip(",") in shown
        assert target.evaluate("one => getComputedStyle(one).boxShadow") != "none"


def claims_of(folder: Path) -> int:
    run = next((folder / "runs").iterdir())
    return len(msgspec.json.decode((run / "report.json").read_bytes())["claims"])


def test_from_every_claim_to_the_raw_answer_in_three_clicks(browser: Browser, demo: Path) -> None:
    with offline(browser, demo) as page:
        sentences = page.locator("ol.index a")
        count = sentences.count()
        assert count == claims_of(demo) > 10
        for number in range(count):
            page.goto((demo / "index.html").as_uri())
            sentence = sentences.nth(number).locator(".statement").inner_text()
            sentences.nth(number).click()
            claim = page.locator("article.claim:target")
            expect(claim.locator("h3")).to_be_in_viewport()
            assert sentence in claim.locator("h3").inner_text()
            claim.locator(".exceptions .cites a").first.click()
            expect_the_raw_line(page, demo)


def test_from_every_claim_by_its_population_to_the_raw_answer_in_three_clicks(browser: Browser, demo: Path) -> None:
    with offline(browser, demo) as page:
        sentences = page.locator("ol.index a")
        for number in range(sentences.count()):
            page.goto((demo / "index.html").as_uri())
            clicks = 0
            for link in (
                sentences.nth(number),
                page.locator("article.claim:target .links .to").first,
                page.locator(".members .cites a").last,
            ):
                link.click()
                clicks += 1
            expect_the_raw_line(page, demo)
            assert clicks <= CLICKS


def test_a_place_that_leads_elsewhere_would_be_noticed(browser: Browser, demo: Path) -> None:
    """The positive control of the two tests above."""
    with offline(browser, demo) as page:
        page.locator("article.claim .cites a").first.click()
        expect_the_raw_line(page, demo)
        segment = Path(unquote(urlsplit(page.url).path))
        page.goto(f"{segment.as_uri()}#L1")
        with pytest.raises(AssertionError):
            assert page.locator(".line:target .raw").evaluate("one => one.textContent") == raw_line(page, demo) + " "
        page.goto(f"{segment.as_uri()}#L99999")
        with pytest.raises(AssertionError):
            expect(page.locator(":target")).to_be_in_viewport(timeout=200)


def test_every_link_of_the_demo_leads_somewhere_and_every_member_to_an_answer(demo: Path) -> None:
    assert refuse_dead_links(demo.resolve()) > 1_000
    for path in demo.glob("tests/*/*/population-*.html"):
        cited = [href for href in links_of(path).hrefs if "/answers/" in href]
        assert cited, path
        assert "cites no evidence" not in path.read_text(), path


def test_the_sample_of_every_test_of_the_demo_can_be_drawn_by_hand(demo: Path) -> None:
    run = run_of(demo)
    assert len(run.tests) > 10
    for test in run.tests:
        expect_the_frozen_listing(demo, run, test)
    found = figures(demo / "tests" / run.id / "access-github-mfa" / "population-1.html")
    assert (found["Members listed"], found["Gaps in the population"]) == (14, 2)


def test_every_answer_and_where_it_comes_from_is_a_table(demo: Path) -> None:
    """The same as `evidence.csv` of the run, which this run was not asked for."""
    run = run_of(demo)
    folder = demo / "runs" / run.id
    assert not (folder / "evidence.csv").exists()
    evidence.render(StoredRun(run.head, folder / "evidence", folder / "findings", SOURCES), wanted := io.BytesIO())
    assert (demo / "answers" / f"{run.id}.csv").read_bytes() == wanted.getvalue()
    assert wanted.getvalue().count(b"\r\n") > 200
    requests = {row["file"]: row["request"] for row in rows((demo / "index.csv").read_bytes())}
    assert requests[f"answers/{run.id}.csv"].startswith("Information produced by the entity: ")


def test_the_exact_line_stands_on_the_page(demo: Path) -> None:
    """Every line of every segment, character by character."""
    count = 0
    for segment in demo.glob("runs/*/evidence/*.jsonl"):
        run = segment.parent.parent.name
        pages = sorted((demo / "answers" / run / segment.stem).iterdir(), key=lambda path: int(path.stem))
        parsed = (BeautifulSoup(path.read_text(), "html.parser") for path in pages)
        shown = [raw.get_text() for page in parsed for raw in page.select(".raw")]
        assert shown == segment.read_text().splitlines()
        count += len(shown)
    assert count > 500


def test_counts_that_were_reconciled_are_cited(browser: Browser, demo: Path) -> None:
    with offline(browser, demo) as page:
        page.locator(".completeness .cites a").first.click()
        expect_the_raw_line(page, demo)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "light"), (1280, "dark")])
def test_pages_can_be_read_on_any_screen(browser: Browser, demo: Path, width: int, scheme: str) -> None:
    pages = [
        demo / "index.html",
        demo / "criteria" / "CC6.1" / "index.html",
        *(next(iter(sorted(demo.glob(name)))) for name in ("tests/*/*/population-1.html", "answers/*/*/1.html")),
    ]
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in pages:
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
        ratio, node = page.evaluate(CONTRAST)
        assert ratio >= 4.5, (path, node)
        levels = page.locator("h1, h2, h3, h4, h5").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), (path, levels)
    context.close()


def test_the_first_page_prints(browser: Browser, demo: Path, tmp_path: Path) -> None:
    with offline(browser, demo) as page:
        page.emulate_media(media="print")
        for name in ("h1", ".disclaimer", ".claim h3", ".test .facts", ".exceptions .cites", "#scope table"):
            expect(page.locator(name).first).to_be_visible()
        for name in (".links", ".contents"):
            expect(page.locator(name).first).to_be_hidden()
        page.pdf(path=tmp_path / "index.pdf")
        assert (tmp_path / "index.pdf").read_bytes().count(b"/Type /Page\n") in range(10, 60)


def a_hostile_package(folder: Path, names: tuple[str, ...]) -> Path:
    """A package in which every system and person gave such names; unpacked."""
    resources = [Resource(name, name, name, name) for name in names]
    tests = a_test("volumes", Outcome.PASS, passed=len(names))
    claims = [
        a_claim(
            "at-rest" if number == 0 else f"claim-{number}", ClaimVerdict.UNPROVEN, *([tests] if number == 0 else []),
            statement=name, interpretation=name, owner=name, not_tested=(name,), reasons=(name,),
            source=Reference(title=name, url=name, document=name, retrieved=name),
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    scope = tuple(ScopeItem(target=name, task=name, reached=False, error=name, incomplete=name) for name in names)
    registers = Registers(cuecs=tuple({name: [name]} for name in names))
    head = a_head(*claims, organization="".join(names[:5]), scope=scope, registers=registers)
    run = large_run.write(folder, resources, head=head)
    build([run], folder / "evidence.zip", None, None, SOURCES, allow_unsigned=True)
    return unpack(folder / "evidence.zip", folder / "unpacked")


PLAIN = tuple(f"name-{number}-" for number in range(len(hostile.SENT)))


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_hostile_package(tmp_path_factory.mktemp("hostile"), hostile.SENT)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_hostile_package(tmp_path_factory.mktemp("plain"), PLAIN)


def ours(folder: Path) -> list[str]:
    """The names of the files that are made for the package, and not those of its runs."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != "runs")


def cells_of(data: bytes) -> list[int]:
    """Return how many cells each line has; none may act as a formula."""
    found = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    for cell in (cell for row in found for cell in row):
        assert not cell.lstrip().startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20\u2212"))
        assert not set("\r\n\t") & set(cell)
    return [len(row) for row in found]


def test_names_change_nothing_but_themselves(harmed: Path, plain: Path) -> None:
    assert ours(harmed) == ours(plain)
    assert refuse_dead_links(harmed.resolve()) == refuse_dead_links(plain.resolve())
    for name in ours(harmed):
        data = (harmed / name).read_bytes()
        if not name.endswith((".json", "SHA256SUMS", ".pem")):
            assert not hostile.ACTING & set(data.decode()), name
        if name.endswith(".csv"):
            assert cells_of(data) == cells_of((plain / name).read_bytes())
        elif name.endswith(".html"):
            assert links_of(harmed / name).tags == links_of(plain / name).tags
        elif name == "VERIFY.md":
            assert data == (plain / name).read_bytes(), "commands are to be run: no name stands in them"
        elif name.endswith(".md"):
            assert structure_of_markdown(data) == structure_of_markdown((plain / name).read_bytes())


def test_a_page_that_wrote_names_as_they_are_would_be_noticed(plain: Path, tmp_path: Path) -> None:
    """The positive control of the test above."""
    for name in (name for name in ours(plain) if name.endswith(("population-1.html", "1.html", "index.html"))):
        page = tmp_path / "page.html"
        page.write_text((plain / name).read_text().replace("name-0-", MARKUP))
        with pytest.raises(AssertionError):
            assert links_of(page).tags == links_of(plain / name).tags


def test_hostile_names_are_inert_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    folder = a_hostile_package(tmp_path, (MARKUP, ACTING.replace("\x00", "\x01"), *hostile.SENT))
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
    for name in ours(folder):
        if name.endswith(".html"):
            page.goto((folder / name).as_uri())
            assert page.locator("img, script, iframe").count() == 0
    page.goto((folder / f"tests/{large_run.RUN}/volumes/population-1.html").as_uri())
    expect(page.locator(".members .id").first).to_have_text(MARKUP)
    expect(page.locator(".members .called").nth(1)).to_have_text(ACTING_SHOWN.replace("0000", "0001"))
    page.locator("#m1 .cites a").first.click()
    expect(page.locator(":target")).to_be_in_viewport()
    assert said == []
    context.close()
