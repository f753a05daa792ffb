"""Writes the pages and tables of a package into a folder, in the look of `report.html`: no script, no network."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from auditor.model import ClaimVerdict, EvidenceError
from auditor.reports import html as report
from auditor.reports import markdown
from auditor.reports.csv import write
from auditor.results import RunInfo
from auditor.stored_zip import unsafe

if TYPE_CHECKING:
    import jinja2

TEMPLATES = "templates"
MOST_TEXT = 4_000
"""Characters of a statement or a reason that stand in a text."""


class Site:
    """A folder that fills with files; names are relative to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = _environment()
        self._css = report.part("report.css") + _read("package.css")

    def page(self, name: str, template: str, run: RunInfo, **values: Any) -> None:
        """Write one page from its template; `up` leads from it to the root of the package."""
        css = self._css + report.page_foot(run)
        up = "../" * name.count("/")
        stream = self._environment.get_template(template).stream(
            run=run, css=css, css_sha256=report.csp_hash(css), up=up, **values
        )
        with self._new(name).open("wb") as out:
            stream.dump(out, encoding="utf-8", errors="backslashreplace")

    def text(self, name: str, template: str, **values: Any) -> None:
        """Write a text for people, in Markdown, from its template."""
        text = self._environment.overlay(autoescape=False).get_template(template).render(**values)
        self._new(name).write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")

    def data(self, name: str, data: bytes) -> None:
        """Write a file as it is."""
        self._new(name).write_bytes(data)

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, more: bool = False) -> None:
        """Write a CSV file that no spreadsheet takes for formulas; with `more`, add to the one that is there."""
        with self._new(name).open("ab" if more else "wb") as out:
            write(out, None if more else columns, rows)

    def _new(self, name: str) -> Path:
        if reason := unsafe(name):
            raise EvidenceError(f"{name!r}: its name {reason}, so the run cannot be packed")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def inert(text: str) -> Markup:
    """Return text as it is shown on a page: only text to HTML, and what would act or not be seen written out."""
    return Markup(html.escape(report.visible(text, keep=""), quote=False))  # noqa: S704 - just escaped


def _environment() -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 - only whoever writes pages waits for it

    environment = report.environment()
    environment.loader = jinja2.ChoiceLoader(
        [jinja2.PackageLoader("auditor.packaging"), jinja2.PackageLoader("auditor.reports")]
    )
    environment.filters |= {"md": lambda text: markdown.safe(text, MOST_TEXT), "code": markdown.name}
    environment.globals |= {"outcomes": report.OUTCOMES, "verdicts": tuple(ClaimVerdict)}
    return environment


def _read(name: str) -> str:
    return Path(__file__).with_name(TEMPLATES).joinpath(name).read_text(encoding="utf-8")
