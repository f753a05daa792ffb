"""`report.html`: one self-contained page for people, from the security lead to the service auditor.

It asks nothing of any network, and its content security policy allows exactly the one style and the one script it
carries. Claims, tests and the first exceptions are plain HTML, so that they can be read and printed without JavaScript.
All findings follow as blocks of JSON that the script pages through.

The template is streamed, and findings are read three times, each time holding a bounded number of them: to pick the
exceptions that stand with their tests, to write what is listed and searched (`rows`), and to write what opening one
shows (`details`). The script stands between the last two: the list is ready while the browser still reads the rest.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import resources
from typing import IO, TYPE_CHECKING, Any

import msgspec

from auditor.model import Citation, ClaimVerdict, Outcome
from auditor.notices import FACTS, SEAL_LIMITS
from auditor.results import Finding, ReportFormat, RunInfo, RunView

if TYPE_CHECKING:
    import jinja2

SHOWN_EXCEPTIONS = 50
"""Exceptions of a test that stand in the page itself; the others are in the list of all findings."""
QUOTED_PASSES = 100
"""Passes of a test whose cited values are quoted; everything that is not a pass is always quoted."""
QUOTE_BYTES = 4096
"""UTF-8 bytes of cited values that are quoted for one finding."""
BLOCK_CHARACTERS = 1 << 17
"""A block of JSON ends once it is this long: browsers append what they parse, and one long text costs its square."""
REMEMBERED = 4096
"""Values a block may refer back to; bounded, so that memory does not grow with the findings."""
LONG = 512
"""Characters beyond which a value is not remembered."""

OUTCOMES = (Outcome.FAIL, Outcome.ERROR, Outcome.MANUAL, Outcome.PASS, Outcome.NOT_APPLICABLE)
"""The order in which a reader wants them; blocks name an outcome by its place here."""
EXCEPTIONS = OUTCOMES[:3]
CLICKABLE = re.compile(r"https?://[!-~]+", re.IGNORECASE)
Origins = Callable[[Citation], Iterable[tuple[int, tuple[str, ...]]]]
"""Gives the cited lines, and fact by fact where the answer on each comes from; no facts where it is no answer."""
FIRST_ORIGINS = 3
"""Lines of a citation whose origin is told, beside the last: a list may have 10,000 pages."""
Quote = Callable[[Citation], "tuple[bytes, int] | None"]
"""Gives the beginning of a cited value as indented JSON, and the bytes of the whole; None where there is none."""
ACTIVE = re.compile("[<\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What could end a block of data early, or make its source read otherwise than it is."""
JOINERS = "\u200c\u200d"  # invisible, but spelling in Persian, Hindi and others


def render(run: RunView, out: IO[bytes]) -> None:
    """Write the page as it is read."""
    head = run.head
    css = part("report.css") + page_foot(head.run)
    js = part("report.js")
    page = environment().get_template("report.html.j2")
    values = {"css": css, "js": js, "css_sha256": csp_hash(css), "js_sha256": csp_hash(js)}
    stream = page.stream(
        head=head,
        run=head.run,
        seal_limits=SEAL_LIMITS,
        facts=FACTS,
        verdicts=tuple(ClaimVerdict),
        outcomes=OUTCOMES,
        exceptions=_exceptions(run.findings()),
        rows=_rows(run.findings()),
        details=_details(run),
        shown_exceptions=SHOWN_EXCEPTIONS,
        few_exceptions=5,
        **values,
    )
    stream.dump(out, encoding="utf-8", errors="backslashreplace")


def environment() -> jinja2.Environment:
    """Return what pages are made with: everything that is put into one is text, unless it says otherwise."""
    import jinja2  # noqa: PLC0415 - only whoever writes pages waits for it

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("auditor.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"visible": visible, "name": visible_name, "words": words, "utc": utc, "number": number}
    made.tests |= {"clickable": clickable}
    return made


def visible(text: str, *, keep: str = "\n\t") -> str:
    """Return text with its control and formatting characters written out, so that none can act on the page."""
    if text.isprintable():
        return text
    return "".join(f"⟨U+{ord(char):04X}⟩" if _acts(char) and char not in keep else char for char in text)


def visible_name(text: str) -> str:
    """Return a name as `visible` does, its line breaks and tabs written out as well."""
    return visible(text, keep="")


def words(name: str) -> str:
    """Return an outcome, verdict or support in words: `not_applicable` becomes `Not applicable`."""
    return name.replace("_", " ").capitalize()


def utc(moment: dt.datetime) -> str:
    """Return a time to the second, in UTC, said so."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def number(value: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{value:,}"


def clickable(url: str) -> bool:
    """Whether a source's address may become a link: http or https, in printable ASCII."""
    return CLICKABLE.fullmatch(url) is not None


def _acts(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and char not in JOINERS


def part(name: str) -> str:
    """Return a style or script that stands in the page."""
    return resources.files("auditor.reports").joinpath("templates", name).read_text(encoding="utf-8")


def csp_hash(text: str) -> str:
    """Return what the content security policy names a style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def page_foot(run: RunInfo) -> str:
    """Return the rule that prints a line at the foot of every sheet, each character escaped for CSS."""
    text = f"{run.organization} · run {run.id} · as of {utc(run.as_of)}"
    text = f"What-if · {text}" if run.what_if else text
    escaped = "".join(
        char if char.isascii() and char.isalnum() else f"\\{ord(char):06x}" for char in visible_name(text)
    )
    return f'@page {{ @bottom-left {{ content: "{escaped}"; }} }}\n'


def _exceptions(findings: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    """Return the first exceptions of every test, by claim and test: fails (accepted ones last), errors, manual."""
    kept: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.outcome in EXCEPTIONS:
            of_test = kept.setdefault((finding.claim, finding.test), [])
            of_test.append(finding)
            if len(of_test) >= 2 * SHOWN_EXCEPTIONS:
                _keep_first(of_test)
    for of_test in kept.values():
        _keep_first(of_test)
    return kept


def _keep_first(findings: list[Finding]) -> None:
    findings.sort(key=lambda finding: (EXCEPTIONS.index(finding.outcome), finding.waiver is not None))
    del findings[SHOWN_EXCEPTIONS:]


class _Once:
    """Writes a value out where it first occurs, and afterwards its place in the order of first occurrences."""

    def __init__(self) -> None:
        self._places: dict[Hashable, int] = {}
        self._written = 0

    def put(self, value: Hashable) -> Hashable | int:
        place = self._places.get(value)
        if place is not None:
            return place
        if len(self._places) < REMEMBERED and not (isinstance(value, str) and len(value) > LONG):
            self._places[value] = self._written
        self._written += 1
        return value


class _InBlock:
    """What a block of details writes out once: texts, the origins of lines, and each fact in these."""

    def __init__(self) -> None:
        self.texts, self._lines, self._facts = _Once(), _Once(), _Once()

    def origin(self, line: int, facts: tuple[str, ...]) -> Hashable | int | list[Any]:
        place = self._lines.put((line, facts))
        return place if isinstance(place, int) else [line, *map(self._facts.put, facts)]


class _Block:
    """A growing block of JSON; `first` is the place of its first entry among all findings."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._lines: list[str] = []
        self._length = 0
        self._first = 0

    @property
    def is_full(self) -> bool:
        return self._length >= BLOCK_CHARACTERS

    def add(self, entry: Sequence[Any]) -> None:
        line = _inert(msgspec.json.encode(entry).decode())
        self._lines.append(line)
        self._length += len(line)

    def take(self) -> str:
        """Return the block as an element that holds data only, and begin the next one."""
        text = ",\n".join(self._lines)
        element = f'<script type="application/json" class="{self._kind}" data-first="{self._first}">[{text}]</script>\n'
        self._first += len(self._lines)
        self._lines.clear()
        self._length = 0
        return element


def _inert(text: str) -> str:
    """Return JSON in which nothing can end or change the element it stands in; the JSON stays the same value."""
    return ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _rows(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield what is listed and searched of every finding, in blocks."""
    block = _Block("rows")
    contexts, messages = _Once(), _Once()
    for finding in findings:
        block.add(_row(finding, contexts, messages))
        if block.is_full:
            yield block.take()
    yield block.take()


def _details(run: RunView) -> Iterator[str]:
    """Yield what opening a finding shows, in blocks that can be read one at a time."""
    block, in_block = _Block("details"), _InBlock()
    quote, origins = _quoting(run), _origins(run)
    passes: Counter[tuple[str, str]] = Counter()
    for finding in run.findings():
        is_quoted = True
        if finding.outcome is Outcome.PASS:
            passes[finding.claim, finding.test] += 1
            is_quoted = passes[finding.claim, finding.test] <= QUOTED_PASSES
        block.add(_detail(finding, in_block, quote if is_quoted else None, origins))
        if block.is_full:
            yield block.take()
            in_block = _InBlock()
    yield block.take()


def _row(finding: Finding, contexts: _Once, messages: _Once) -> list[Any]:
    resource = finding.resource
    context = (
        finding.claim,
        finding.test,
        finding.check,
        finding.target,
        finding.severity.value,
        finding.basis.value,
        resource.type,
        resource.region,
    )
    return [
        contexts.put(context),
        OUTCOMES.index(finding.outcome),
        finding.id,
        resource.id,
        resource.name,
        messages.put(finding.message),
        *([finding.waiver.id] if finding.waiver else []),
    ]


def _detail(finding: Finding, in_block: _InBlock, quote: Quote | None, origins: Origins) -> list[Any]:
    """Return advice, citations and waiver.

    A citation is file, first line, last line and pointer; where it is quoted, also where the answers on its lines come
    from, the quote and the size of what was cut.
    """
    places: list[list[Any]] = [[in_block.texts.put(cite.file), *cite.lines, cite.pointer] for cite in finding.evidence]
    if quote is not None:
        for place, cite in zip(places, finding.evidence, strict=True):
            place.append([in_block.origin(*origin) for origin in origins(cite)])
        quotes = [quote(cite) for cite in finding.evidence]
        shares = _shares([len(found[0]) if found else 0 for found in quotes], QUOTE_BYTES)
        for place, found, share in zip(places, quotes, shares, strict=True):
            place.append(found[0][:share].decode(errors="ignore") if found else None)
            if found and share < found[1]:
                place.append(found[1])
    return [in_block.texts.put(finding.advice), places, *([finding.waiver] if finding.waiver else [])]


def _origins(run: RunView) -> Origins:
    @lru_cache(maxsize=64)  # neighbours cite the same listing or key
    def of_line(file: str, line: int) -> tuple[str, ...]:
        facts = run.provenance(Citation(file, (line, line)))
        return tuple(facts.get(name, "") for name in FACTS) if facts else ()

    def origins(cite: Citation) -> Iterator[tuple[int, tuple[str, ...]]]:
        first, last = cite.lines
        shown = [*range(first, min(first + FIRST_ORIGINS, last)), last]
        return ((line, of_line(cite.file, line)) for line in shown)

    return origins


def _quoting(run: RunView) -> Quote:
    @lru_cache(maxsize=64)  # neighbours cite the same listing or key
    def quote(citation: Citation) -> tuple[bytes, int] | None:
        try:
            value = run.fragment(citation)
        except LookupError:
            return None
        text = msgspec.json.format(msgspec.json.encode(value), indent=2)
        return text[:QUOTE_BYTES], len(text)

    return quote


def _shares(sizes: Sequence[int], budget: int) -> list[int]:
    """Divide a budget so that small values are quoted whole, and the large ones share what is left."""
    shares = [0] * len(sizes)
    smallest_first = sorted(range(len(sizes)), key=sizes.__getitem__)
    for done, index in enumerate(smallest_first):
        shares[index] = min(sizes[index], budget // (len(sizes) - done))
        budget -= shares[index]
    return shares


REPORT = ReportFormat(
    name="html", filename="report.html", summary="one page for people, to read and print", render=render
)
