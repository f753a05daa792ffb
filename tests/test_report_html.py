"""`report.html` as a reader meets it: in a real browser, with and without JavaScript, on a phone and on paper."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from auditor.cli import auditor
from auditor.model import Citation, ClaimVerdict, Outcome, Resource
from auditor.notices import FACTS
from auditor.reports.html import QUOTE_BYTES, QUOTED_PASSES, REPORT, SHOWN_EXCEPTIONS
from auditor.results import Finding, Reference, Registers, ScopeItem
from tests import large_run
from tests.report_runs import Stored, a_claim, a_finding, a_head, a_run, a_test, an_item, several

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
ALL_ORIGINS = "evidence.csv, which “auditor report RUN -f evidence -o FOLDER” writes"
ACTING = "a\u202egnp.exe \x1b[31mred\x1b[0m nul\x00 \x9b"
ACTING_SHOWN = "a⟨U+202E⟩gnp.exe ⟨U+001B⟩[31mred⟨U+001B⟩[0m nul⟨U+0000⟩ ⟨U+009B⟩"
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => color.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    throw new Error("no background");
  };
  const worst = [Infinity, ""];
  for (const node of document.querySelectorAll("body *:not(script, svg *)")) {
    const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!text || !node.checkVisibility()) continue;
    const pair = [light(rgb(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < worst[0]) worst.splice(0, 2, ratio, node.outerHTML.slice(0, 200));
  }
  return worst;
}"""


def write(run: Stored, path: Path) -> Path:
    with path.open("wb") as out:
        REPORT.render(run, out)
    return path


def rendered(run: Stored) -> str:
    out = io.BytesIO()
    REPORT.render(run, out)
    return out.getvalue().decode()


def blocks(html: str, kind: str) -> list[list[Any]]:
    pattern = f'<script type="application/json" class="{kind}"[^>]*>(.*?)</script>'
    return [entry for text in re.findall(pattern, html, re.DOTALL) for entry in json.loads(text)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(a_run(), tmp_path_factory.mktemp("html") / "report.html")


@contextmanager
def opened(browser: Browser, path: Path, fragment: str = "", **options: Any) -> Iterator[Page]:
    """Open a report; on leaving, nothing may have been asked of a network, complained of, or popped up."""
    context = browser.new_context(**options)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []

    def refuse(dialog: Dialog) -> None:
        said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("dialog", refuse)
    page.goto(path.as_uri() + fragment)
    yield page
    page.wait_for_timeout(0)
    assert said == []
    assert set(asked) == {path.as_uri()}
    context.close()


def shown(page: Page) -> Locator:
    return page.locator("#list > li")


def test_claims_carry_their_words_and_everything_around_them(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Explo")
        expect(page.locator(".disclaimer")).to_contain_text("only the service auditor concludes")
        claims = page.locator("article.claim")
        expect(claims.locator("> header .badge")).to_have_text(
            ["Refuted", "Supported", "Unproven", "Supported with exceptions"]
        )
        expect(claims.locator("> header .basis")).to_have_text(
            ["by configuration", "by configuration", "no test", "by configuration"]
        )
        for text in ("the statement of at-rest", "what at-rest means", "CC6.1 (direct)", "security@example.com"):
            expect(claims.first).to_contain_text(text)
        for text in (
            "every volume that is listed",
            "every member, not a sample",
            "blocks are encrypted",
            "disks of other kinds",
        ):
            expect(claims.first.locator(".test")).to_contain_text(text)
        expect(claims.first.locator(".test > .counts")).to_have_text(
            re.compile(r"Population\s*203\s*Tested\s*200\s*Fail\s*60\s*Error\s*2\s*Manual\s*1\s*Pass\s*140")
        )
        expect(claims.nth(2).locator("dd q")).to_have_text("short-lived")
        link = claims.first.get_by_role("link", name="https://example.com/trust")
        expect(link).to_have_attribute("rel", "noopener noreferrer")
        expect(page.locator("#scope tbody tr").nth(1)).to_contain_text(re.compile("not reached\\s*timed out"))
        expect(page.locator("#registers")).to_contain_text("Rotate your password")
        expect(page.locator("#registers")).not_to_contain_text("Subservice")
        for text in ("sha256sum -c SHA256SUMS", "auditor verify RUN", "auditor evaluate RUN", "c3c3c3"):
            expect(page.locator("#verify")).to_contain_text(text)
        levels = page.locator("h1, h2, h3, h4, h5").evaluate_all("all => all.map(one => Number(one.tagName[1]))")
        assert all(after <= before + 1 for before, after in pairwise(levels)), "a heading is left out"
        assert page.locator("[id]").evaluate_all("all => all.length - new Set(all.map(one => one.id)).size") == 0


def test_filters_narrow_the_list_and_say_how_far(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        status = page.get_by_role("status")
        expect(status).to_have_text("1 to 50 of 205 findings")
        expect(shown(page).locator(".badge")).to_have_text(["Fail"] * 50)
        page.get_by_role("searchbox").fill("VOL-00002 accessdenied")
        expect(status).to_have_text("1 to 2 of 2 findings, out of 205")
        expect(shown(page).locator(".badge")).to_have_text(["Error", "Error"])
        assert page.locator(".chips .found").all_inner_texts() == ["0", "2", "0", "0", "0"]
        page.get_by_role("button", name="Clear filters").click()
        expect(status).to_have_text("1 to 50 of 205 findings")
        page.get_by_role("checkbox", name="Manual").check()
        expect(status).to_have_text("1 to 1 of 1 finding, out of 205")
        page.get_by_role("checkbox", name="Pass").check()
        expect(status).to_have_text("1 to 50 of 143 findings, out of 205")
        assert page.locator(".chips .found").all_inner_texts() == ["60", "2", "1", "142", "0"]
        page.get_by_role("button", name="Next").click()
        expect(status).to_have_text("51 to 100 of 143 findings, out of 205")
        page.locator(".by summary").click()
        page.get_by_role("combobox", name="Target").select_option("app-db")
        expect(status).to_have_text("1 to 2 of 2 findings, out of 205")
        address = page.url
        assert address.endswith("#findings?outcome=manual%2Cpass&target=app-db")
        page.get_by_role("combobox", name="Severity").select_option("high")
        expect(status).to_have_text("0 findings, out of 205")
    with opened(browser, report, address[address.index("#") :]) as page:
        expect(page.get_by_role("status")).to_have_text("1 to 2 of 2 findings, out of 205")


def test_a_claim_links_to_its_findings(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.locator("#claim-tls").get_by_role("link", name="findings of this claim").click()
        expect(page.get_by_role("status")).to_have_text("1 to 2 of 2 findings, out of 205")
        expect(page.locator("#findings-title")).to_be_in_viewport()


def test_a_finding_opens_with_the_fragment_it_cites(browser: Browser, report: Path) -> None:
    with opened(browser, report, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.get_by_role("searchbox").fill("vol-00003001")
        expect(shown(page)).to_have_count(1)
        shown(page).locator("summary").focus()
        page.keyboard.press("Enter")
        expect(shown(page).locator("pre")).to_have_text(
            '{\n  "Encrypted": false,\n  "at": "/Volumes/3001/Encrypted"\n}'
        )
        expect(shown(page).locator(".place")).to_contain_text(
            "evidence/prod.us-east-1.jsonl line 7 /Volumes/3001/Encrypted"
        )
        expect(shown(page).locator(".advice")).to_have_count(0)
        shown(page).locator(".copy").click()
        expect(shown(page).locator(".copy")).to_have_text("Copied")
        assert (
            page.evaluate("navigator.clipboard.readText()") == "evidence/prod.us-east-1.jsonl:7 /Volumes/3001/Encrypted"
        )


def test_a_cited_line_says_where_its_answer_comes_from(browser: Browser, report: Path) -> None:
    with opened(browser, report, f"#finding-{3001:016x}") as page:
        origin = shown(page).locator("details[open] .origin")
        expect(origin.locator("summary")).to_have_text("Where this answer comes from")
        expect(origin.locator("dl")).to_be_hidden()
        origin.locator("summary").click()
        expect(origin.locator("dt")).to_have_text(list(FACTS))
        expect(origin.locator("dd")).to_have_text(list(an_item(7).facts.values()))


def test_a_list_says_it_of_its_first_pages_and_its_last(browser: Browser, tmp_path: Path) -> None:
    cites = (
        Citation("evidence/prod.us-east-1.jsonl", (6, 14)),
        Citation("evidence/prod.us-east-1.jsonl", (7, 8)),
        Citation("evidence/prod.us-east-1.jsonl", (1, 1), "/targets/prod"),
    )
    findings = [a_finding(n, Outcome.FAIL, evidence=cites[n % 2 :]) for n in range(2)]
    run = Stored(a_head(), findings, items=map(an_item, range(6, 15)))
    with opened(browser, write(run, tmp_path / "report.html")) as page:
        for index, said in enumerate(
            (
                [f"Where line {line} comes from" for line in (6, 7, 8, 14, 7, 8)],
                [f"Where line {line} comes from" for line in (7, 8)],
            )
        ):
            one = shown(page).nth(index)
            one.locator("summary").first.click()
            expect(one.locator(".origin summary")).to_have_text(said)
            lines = [int(text.split()[2]) for text in said]
            expect(one.locator(".origin dd:last-of-type")).to_have_text([f"Pseudonyms of line {n}" for n in lines])
            expect(one.locator(".origins").last).to_have_text(
                "Line 1 is no answer of a system: it holds what the settings declare."
            )
        others = shown(page).first.locator(".origins > .note").first
        expect(others).to_have_text(f"Where the other 5 lines come from stands in {ALL_ORIGINS}.")
    (whole, again) = blocks(rendered(run), "details")
    assert [origin[0] for origin in whole[1][0][4]] == [6, 7, 8, 14]
    assert whole[1][1][4] == [1, 2], "a line is told once, and then named by its place"
    assert again[1][0][4] == [1, 2]
    assert whole[1][0][4][1][1:4] == [0, 1, 2], "and so is each fact"


def test_advice_is_good_practice_and_leaves_the_outcome_alone(browser: Browser, report: Path) -> None:
    with opened(browser, report, f"#finding-{4000:016x}") as page:
        box = shown(page).filter(has=page.locator("details[open]"))
        expect(box.locator(".badge")).to_have_text("Pass")
        expect(box.locator(".advice")).to_have_text(re.compile(r"Good practice\s*Prefer 1\.3\."))
        assert page.locator(".advice .badge").count() == 0


@pytest.mark.parametrize("prefix", ["#finding-", "#"])
def test_a_deep_link_opens_its_finding(browser: Browser, report: Path, prefix: str) -> None:
    with opened(browser, report, f"{prefix}{139:016x}") as page:
        box = shown(page).filter(has=page.locator("details[open]"))
        expect(box).to_have_count(1)
        expect(box.locator(".id").first).to_have_text("vol-00000139")
        expect(box.locator("summary")).to_be_in_viewport()
        expect(box.locator("summary")).to_be_focused()
        expect(box.locator(".note")).to_contain_text("Not quoted here")
        expect(box.locator(".note")).to_contain_text(f"where it comes from, in {ALL_ORIGINS}.")


def test_the_page_says_how_to_get_what_is_not_written_unless_asked_for(tmp_path: Path) -> None:
    """The command as the page has it, on a run whose folder has no such file."""
    run = large_run.write(tmp_path, large_run.volumes(3))
    assert not (run / "evidence.csv").exists()
    names = {"RUN": str(run), "FOLDER": str(tmp_path / "again")}
    command = [names.get(word, word) for word in ALL_ORIGINS.partition("“auditor ")[2].partition("”")[0].split()]
    ended = CliRunner().invoke(auditor, [*command, "--allow-unsigned"])
    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "again" / "evidence.csv").exists()


def test_an_exception_links_to_its_evidence(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.locator(".exception").first.get_by_role("link").click()
        expect(shown(page).locator("details[open] pre")).to_contain_text("/Volumes/3001/Encrypted")


def test_without_javascript_claims_and_exceptions_can_be_read(browser: Browser, report: Path) -> None:
    with opened(browser, report, java_script_enabled=False) as page:
        expect(page.locator("article.claim h3").first).to_be_visible()
        expect(page.locator(".exception:visible")).to_have_count(5)
        page.locator(".more summary").click()
        expect(page.locator(".exception:visible")).to_have_count(SHOWN_EXCEPTIONS)
        expect(page.locator(".exception").first).to_contain_text("vol-00003001")
        expect(page.locator(".exception").first).to_contain_text("/Volumes/3001/Encrypted")
        expect(page.locator(".exceptions")).to_contain_text("The other 13 are in the list of all findings")
        expect(page.locator("#findings noscript")).to_be_visible()
        expect(page.locator("#explorer")).to_be_hidden()
        page.locator(".theme").get_by_text("Dark").click()
        assert page.locator("html").evaluate("one => getComputedStyle(one).colorScheme") == "dark"


def test_exceptions_stand_in_order_fails_then_errors_then_manual() -> None:
    few = [finding for finding in several() if finding.outcome is not Outcome.FAIL or finding.id < f"{3004:016x}"]
    claim = a_claim("at-rest", ClaimVerdict.REFUTED, a_test("volumes", Outcome.FAIL, fail=4, error=2, manual=1))
    html = rendered(Stored(a_head(claim), few))
    listed = [int(found, 16) for found in re.findall(r'class="exception" id="finding-(\w+)"', html)]
    assert listed == [3001, 3002, 3003, 3000, 2000, 2001, 1000], "the accepted fail comes after the others"
    assert "Accepted by waiver <bdi>W-1</bdi>" in html
    assert "It remains a fail." in html


def test_names_stay_text_and_cannot_break_the_page(browser: Browser, tmp_path: Path) -> None:
    resource = Resource(HOSTILE, HOSTILE, ACTING, "r" * 2000)
    hostile = a_finding(
        1,
        Outcome.FAIL,
        resource=resource,
        message=f"{HOSTILE} {'m' * 2000}",
        advice=f"{HOSTILE}{ACTING}",
        evidence=(Citation(f"evidence/{HOSTILE}.jsonl", (1, 2), f"/{HOSTILE}"),),
    )
    claim = a_claim(
        "at-rest",
        ClaimVerdict.REFUTED,
        a_test("volumes", Outcome.FAIL, fail=1),
        statement=f"{HOSTILE} {ACTING}",
        reasons=(HOSTILE,),
        owner=HOSTILE,
        source=Reference(title=HOSTILE, url=" JavaScript:alert(3)//https://x", document=HOSTILE),
        not_tested=(HOSTILE,),
    )
    registers = Registers(cuecs=({HOSTILE: [HOSTILE]},), subservice_organizations=({"name": "w" * 2000},))
    scope = (ScopeItem(target=HOSTILE, task="t" * 2000, reached=False, error=HOSTILE),)
    head = a_head(claim, organization=f"{HOSTILE}{ACTING}", scope=scope, registers=registers)
    fragment = {"key</script><!--<script>": f"\u2028{HOSTILE}{ACTING}"}
    path = write(Stored(head, [hostile], lambda _: fragment), tmp_path / "report.html")
    for width in (390, 1280):
        with opened(browser, path, f"#finding-{1:016x}", viewport={"width": width, "height": 900}) as page:
            box = shown(page)
            expect(box.locator("pre")).to_contain_text("key</script><!--<script>")
            expect(box.locator("pre")).to_contain_text("⟨U+2028⟩")
            expect(box.locator(".id").first).to_have_text(HOSTILE)
            expect(box.locator(".called")).to_have_text(ACTING_SHOWN)
            expect(page.locator(".exception .called")).to_have_text(ACTING_SHOWN)
            expect(page.locator("article h3")).to_contain_text(f"{HOSTILE} {ACTING_SHOWN}")
            expect(page.locator(".source")).to_contain_text("JavaScript:alert(3)")
            expect(page.locator(".source a")).to_have_count(0)
            expect(page.locator("img")).to_have_count(0)
            assert page.locator("script:not([type])").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") == width
    text = path.read_text(encoding="utf-8")
    assert not set("\u202e\x1b\x00\x9b\u2028") & set(text)


def test_paper_shows_claims_tests_exceptions_scope_and_registers(browser: Browser, report: Path) -> None:
    with opened(browser, report, color_scheme="dark", viewport={"width": 673, "height": 950}) as page:
        page.emulate_media(media="print", color_scheme="dark")
        for selector in ("article.claim h3", ".test .facts", "#scope table", "#registers table", "#verify"):
            expect(page.locator(selector).first).to_be_visible()
        for selector in ("#explorer", ".theme", ".contents"):
            expect(page.locator(selector).first).to_be_hidden()
        expect(page.locator(".exception").nth(SHOWN_EXCEPTIONS - 1)).to_be_visible()
        assert page.locator("html").evaluate("one => getComputedStyle(one).colorScheme") == "light"
        assert page.evaluate("document.documentElement.scrollWidth") == 673, "something is cut off at the margin"
        assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_both_themes_at_both_widths(browser: Browser, report: Path, tmp_path: Path, scheme: Any, width: int) -> None:
    size = {"width": width, "height": 900}
    with opened(browser, report, f"#finding-{4000:016x}", viewport=size, color_scheme=scheme) as page:
        expect(shown(page).locator("details[open] .evidence")).to_be_visible()
        shown(page).locator(".origin summary").click()
        expect(shown(page).locator(".origin dl")).to_be_visible()
        page.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        ratio, where = page.evaluate(CONTRAST)
        assert ratio >= 4.5, f"contrast of {ratio:.2f} in {where}"


def test_a_hundred_thousand_findings_open_in_a_bounded_page(browser: Browser, tmp_path: Path) -> None:
    def findings(count: int) -> Callable[[], Iterator[Finding]]:
        return lambda: (a_finding(n, Outcome.PASS if n % 10 else Outcome.FAIL) for n in range(count))

    head = a_head(a_claim("at-rest", ClaimVerdict.REFUTED, a_test("volumes", Outcome.FAIL, passed=90_000, fail=10_000)))
    nodes = []
    for count in (1_000, 100_000):
        path = write(Stored(head, findings(count)), tmp_path / f"{count}.html")
        with opened(browser, path) as page:
            expect(page.get_by_role("status")).to_have_text(f"1 to 50 of {count:,} findings")
            nodes.append(page.evaluate("document.querySelectorAll('*:not(script[type])').length"))
            page.get_by_role("searchbox").fill(f"vol-{count - 1:08}")
            expect(page.get_by_role("status")).to_have_text(f"1 to 1 of 1 finding, out of {count:,}")
            shown(page).locator("summary").click()
            expect(shown(page).locator(".place")).to_contain_text(f"/Volumes/{count - 1}/Encrypted")
    assert nodes[0] == nodes[1] < 5_000


def test_memory_does_not_grow_with_the_findings() -> None:
    class Discard(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            return len(data)

    def peak(count: int) -> int:
        outcomes = (Outcome.FAIL, Outcome.ERROR, Outcome.PASS)
        run = Stored(
            a_head(a_claim("at-rest", ClaimVerdict.REFUTED, a_test("volumes", Outcome.FAIL, fail=count))),
            lambda: (a_finding(n, outcomes[n % 3], message=f"{n} {'m' * 200}") for n in range(count)),
            lambda cite: [cite.pointer] * 100,
        )
        tracemalloc.start()
        try:
            REPORT.render(run, io.BufferedWriter(Discard()))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is loaded and compiled once
    assert peak(20_000) < 1.3 * peak(1_000)


def test_fragments_are_quoted_up_to_their_share() -> None:
    large = Citation("evidence/a.jsonl", (1, 1), "/large")
    small = Citation("evidence/a.jsonl", (2, 2), "/small")
    gone = Citation("evidence/a.jsonl", (3, 3), "/gone")
    values = {large: ["é" * 50] * 500, small: None}  # null is a value; what is gone is a LookupError
    findings = [a_finding(n, evidence=(large, small, gone)) for n in range(QUOTED_PASSES + 1)]
    findings.append(a_finding(999, Outcome.NOT_APPLICABLE, evidence=(large, small, gone)))
    entries = blocks(rendered(Stored(a_head(), findings, values.__getitem__)), "details")
    whole = len(json.dumps(values[large], indent=2, ensure_ascii=False).encode())
    for entry in (*entries[:QUOTED_PASSES], entries[-1]):
        first, second, third = entry[1]
        assert QUOTE_BYTES - len("null") - 2 < len(first[5].encode()) <= QUOTE_BYTES - len("null")
        assert (first[6], second[5:], third[5:]) == (whole, ["null"], [None])
    assert [len(place) for place in entries[QUOTED_PASSES][1]] == [4, 4, 4], "the pass after those is not quoted"


def test_the_page_is_the_same_bytes_every_time() -> None:
    assert rendered(a_run()) == rendered(a_run())
