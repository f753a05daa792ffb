"""Names of people who mean harm change nothing in any report, whatever its format: ours, or a plug-in's.

Each format has a judge here, which reads a report as its readers do and returns its structure. A run in which
everything is called as it should not be must have the structure of the same run with plain names. A format without a
judge fails.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from auditor import plugins
from auditor.results import RunView
from tests import hostile
from tests.test_report_csv import rows_of
from tests.test_report_junit import checked
from tests.test_report_markdown import LINKS, shown

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20\u2212")
PLAIN = tuple(f"name-{number}-" for number in range(len(hostile.SENT)))


def structure_of_json(data: bytes) -> Any:
    """Return the document with the kind of each value in its place."""

    def kinds(value: Any) -> Any:
        if isinstance(value, dict):
            return [kinds(item) for item in value.values()]
        return [kinds(item) for item in value] if isinstance(value, list) else type(value)

    lines = data.decode().split("\n")
    assert sum(line.startswith('{"id":') for line in lines) == len(json.loads(data)["findings"]), (
        "one line, one finding"
    )
    return kinds(json.loads(data))


class _Page(HTMLParser):
    """Every tag with the names of its attributes, but for the blocks of data: longer names make more of them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self._is_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pointing = [str(value) for name, value in attrs if name in ("href", "src", "action") and value]
        assert all(value.startswith(("#", "https://")) for value in pointing), pointing
        self._is_data = ("type", "application/json") in attrs
        if not self._is_data:
            self.found.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._is_data:
            self.found.append(("/", tag))
        self._is_data = False

    def handle_data(self, data: str) -> None:
        if self._is_data:
            json.loads(data)
            assert "<" not in data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def structure_of_html(data: bytes) -> Any:
    """Return the elements of the page in order; Chromium shows the same in tests/test_report_html.py."""
    page = _Page()
    page.feed(data.decode())
    page.close()
    return page.found


def structure_of_junit(data: bytes) -> Any:
    return [(element.tag, sorted(element.attrib)) for element in checked(data).iter()]


def structure_of_markdown(data: bytes) -> Any:
    """Return the elements that GitHub would show, but for the code elements that switch its links off."""
    page = shown(data.decode())
    assert page.attributes == []
    assert not [prose for prose in page.prose if LINKS.search(prose)]
    return [tag for tag in page.tags if tag != "code"]


def structure_of_csv(data: bytes) -> Any:
    """Return how many cells each line has; none may act as a formula."""
    for row in rows_of(data):
        for cell in row.values():
            assert not cell.lstrip().startswith(FORMULA)
            assert not set("\r\n\t") & set(cell)
    return [len(line) for line in csv.reader(io.StringIO(data.decode(), newline=""), strict=True)]


def structure_of_evidence(data: bytes) -> Any:
    """Return how many cells each line has; none may act as a formula."""
    found = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    assert not [text for row in found for text in row if text.lstrip().startswith(FORMULA) or set("\r\n\t") & set(text)]
    return [len(row) for row in found]


STRUCTURE: Mapping[str, Callable[[bytes], Any]] = {
    "json": structure_of_json,
    "html": structure_of_html,
    "junit": structure_of_junit,
    "markdown": structure_of_markdown,
    "csv": structure_of_csv,
    "evidence": structure_of_evidence,
}


def rendered(name: str, run: RunView) -> bytes:
    out = io.BytesIO()
    plugins.reports()[name].render(run, out)
    return out.getvalue()


def structure(name: str, data: bytes) -> Any:
    """Return what is there, for a reader of this format, after what holds for all."""
    assert name in STRUCTURE, f"nobody judges whether names are harmless in {name}: give it a judge in {__name__}"
    acting = hostile.ACTING & set(data.decode("utf-8"))
    assert not acting, f"{sorted(acting)} as they are"
    return STRUCTURE[name](data)


@pytest.fixture(scope="module", params=sorted(plugins.reports()))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def plain(name: str) -> bytes:
    return rendered(name, hostile.run(PLAIN))


def test_names_change_nothing_but_themselves(name: str, plain: bytes) -> None:
    assert structure(name, rendered(name, hostile.run(hostile.SENT))) == structure(name, plain)


@pytest.mark.parametrize("wrong", [hostile.SCRIPT, hostile.ANSI, hostile.RTL])
def test_a_format_that_wrote_names_as_they_are_would_be_noticed(name: str, plain: bytes, wrong: str) -> None:
    """The positive control, in each format."""
    raw = re.sub(rb"name-3-", lambda _: wrong.encode(), plain)
    assert raw != plain
    try:
        found = structure(name, raw)
    except (AssertionError, ValueError, csv.Error, SyntaxError):  # ElementTree's ParseError is a SyntaxError
        return
    assert found != structure(name, plain)


def test_a_format_nobody_judges_is_noticed() -> None:
    with pytest.raises(AssertionError, match="nobody judges"):
        structure("xlsx", b"")
