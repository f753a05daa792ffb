"""`report.md` as GitHub shows it: rendered by an independent implementation of CommonMark, raw HTML allowed."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from auditor.model import ClaimVerdict, Outcome, Resource
from auditor.reports import markdown
from auditor.reports.markdown import MOST_BYTES, MOST_NAME, REPORT, name, safe
from auditor.results import Finding
from auditor.wording import harmless
from tests import hostile
from tests.report_runs import Stored, a_claim, a_finding, a_head, a_run, a_test

OURS = {"h2", "h3", "p", "strong", "em", "code", "br", "table", "thead", "tbody", "tr", "th", "td"}
LINKS = re.compile(r"@\w|://|www\.|#[0-9]", re.IGNORECASE)


class Shown(HTMLParser):
    """What a page holds: its elements, and its text outside code, each run of it by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.prose: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [key for key, _ in attrs]
        if tag not in ("br", "img"):
            self._open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, text: str) -> None:
        if "td" in self._open:
            self.cells[-1] += text
        if "code" not in self._open:
            self.prose.append(text)


def rendered(run: Stored) -> str:
    out = io.BytesIO()
    REPORT.render(run, out)
    return out.getvalue().decode("utf-8")


def shown(text: str) -> Shown:
    return Shown(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


def test_claims_come_first_then_exceptions_then_the_disclaimer() -> None:
    text = rendered(a_run())
    order = [
        "**4 claims**",
        "| **refuted** |",
        "### Exceptions: 60",
        "### Could not be told: 2",
        "### Need evidence from elsewhere: 1",
        "### Not reached: 1 task of 2",
        "only the service auditor",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    page = shown(text)
    assert page.tags.count("tr") == 1 + 4 + 1 + 60 + 1 + 2 + 1 + 1 + 1 + 1
    assert "accepted by waiver W-1 until 2027-01-31" in "".join(page.cells)
    assert "the statement of at-rest" in page.cells
    assert "left out" not in text
    assert "what-if" not in text.lower()


@pytest.mark.parametrize("text", hostile.NAMES)
@pytest.mark.parametrize("write", [name, lambda text: safe(text, MOST_NAME)])
def test_what_is_shown_is_what_was_named(text: str, write: Callable[[str], str]) -> None:
    (cell,) = shown(f"| x |\n|---|\n| {write(text)}|\n").cells
    expected = harmless(text)
    expected = expected if len(expected) <= MOST_NAME else expected[: MOST_NAME - 1] + "…"
    assert " ".join(cell.split()) == " ".join(expected.split())


@pytest.mark.parametrize("broken", ["safe", "name"])
def test_the_reader_sees_what_is_not_escaped(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """The positive control: names written as they are do become elements, links and cells."""
    monkeypatch.setattr(markdown, broken, lambda text, _most=0: text)
    finding = a_finding(1, Outcome.FAIL, message=hostile.SCRIPT, resource=Resource("x", hostile.SCRIPT))
    claim = a_claim("at-rest", ClaimVerdict.REFUTED, a_test("volumes", Outcome.FAIL, fail=1))
    page = shown(rendered(Stored(a_head(claim), [finding])))
    assert {"script", "img"} & set(page.tags)
    assert page.attributes


def large(count: int, message: str = "m" * 300) -> Stored:
    def findings() -> Iterator[Finding]:
        resource = Resource("b", "é" * 90)
        outcomes = (Outcome.ERROR, Outcome.FAIL)
        return (a_finding(n, outcomes[n % 2], message=f"{n} {message}", resource=resource) for n in range(count))

    test = a_test("volumes", Outcome.FAIL, fail=count // 2, error=count // 2)
    return Stored(a_head(a_claim("at-rest", ClaimVerdict.REFUTED, test)), findings)


def test_a_large_summary_is_cut_between_lines_and_says_how_much_is_missing() -> None:
    text = rendered(large(6000))
    assert MOST_BYTES - 20_000 < len(text.encode()) <= MOST_BYTES
    left_out = [int(found.replace(",", "")) for found in re.findall(r"_([0-9,]+) findings left out here", text)]
    assert len(left_out) == 2
    written = len(re.findall("^\\| <code>at-rest", text, re.MULTILINE))
    assert written + sum(left_out) == 6000
    assert left_out[1] == 3000, "after the first row that did not fit there is none"
    assert all(line.endswith("|") for line in text.splitlines() if line.startswith("|"))
    assert text.endswith("period._\n")


def test_a_small_summary_is_whole() -> None:
    assert "left out" not in rendered(large(100))


def test_even_claims_alone_cannot_make_it_too_large() -> None:
    worst = "\u202e@" * 5000
    claims = [
        a_claim(f"c-{n}", ClaimVerdict.UNPROVEN, statement=worst, reasons=(worst,) * 9, owner=worst) for n in range(300)
    ]
    text = rendered(Stored(a_head(*claims, organization=worst)))
    assert len(text.encode()) <= MOST_BYTES
    left_out = re.search(r"_([0-9]+) claims left out here", text)
    assert left_out
    assert text.count("| **unproven** |") + int(left_out[1]) == 300
    assert "and 5 more" in text
    assert "only the service auditor" in text


def test_a_cut_is_never_inside_a_reference() -> None:
    for most in range(2, 40):
        text = safe("<&@|" * 20, most)
        assert html.unescape(re.sub("</?code>", "", text)) == ("<&@|" * 20)[: most - 1] + "…"
