"""How Heroku cuts a list into pages: `Range` asks for a part of it, `Next-Range` says how to go on.

After devcenter.heroku.com/articles/platform-api-reference#ranges.
"""

import re
from typing import Any, NamedTuple

USUAL_MAX, MOST_MAX = 200, 1000
_RANGE = re.compile(r"(\w+)\s+(\]?)(.*?)\.\.([^;]*?)\s*(?:;([^;]*);?)?\s*")
_OPTION = re.compile(r"max=(\d{1,9})|order=(asc|desc)")


class Unsatisfiable(Exception):
    """This list cannot be cut in this way."""


class Page(NamedTuple):
    """A part of a list, with the status and the headers it comes with."""

    items: list[dict[str, Any]]
    status: int
    headers: dict[str, str]


class Span(NamedTuple):
    """What a `Range` asks for: items from `start` (or after it) to `end`, by one attribute, and how many at most."""

    start: str = ""
    after: bool = False
    end: str = ""
    descending: bool = False
    most: int = USUAL_MAX

    def holds(self, value: str) -> bool:
        """Whether an item with this value is within."""
        first, last = (self.end, self.start) if self.descending else (self.start, self.end)
        return (
            (not first or value >= first) and (not last or value <= last) and not (self.after and value == self.start)
        )

    def following(self, attribute: str, value: str) -> str:
        """Return the range that goes on after an item with this value."""
        order = ",order=desc" if self.descending else ""
        return f"{attribute} ]{value}..{self.end}; max={self.most}{order};"


def cut(wanted: str, items: list[dict[str, Any]], attribute: str) -> Page:
    """Return what a `Range` ("" for none) asks for: 200 where nothing follows it, else 206 and how to go on."""
    span = _read(wanted, attribute) if wanted else Span()
    found = sorted((one for one in items if span.holds(one[attribute])), key=lambda one: str(one[attribute]))
    found = found[::-1] if span.descending else found
    page = found[: span.most]
    headers = {"Accept-Ranges": attribute}
    if page:
        headers["Content-Range"] = f"{attribute} {page[0][attribute]}..{page[-1][attribute]}"
    if len(found) == len(page):
        return Page(page, 200, headers)
    return Page(page, 206, {**headers, "Next-Range": span.following(attribute, page[-1][attribute])})


def _read(text: str, attribute: str) -> Span:
    """Read a `Range` such as `email ]b@example.com..; max=1000,order=desc;`. A page beyond the most is cut down."""
    match = _RANGE.fullmatch(text)
    if match is None or match[1] != attribute:
        raise Unsatisfiable(f"this list can be ranged by {attribute}")
    most, descending = USUAL_MAX, False
    for option in filter(None, map(str.strip, (match[5] or "").split(","))):
        found = _OPTION.fullmatch(option)
        if found is None or found[1] == "0":
            raise Unsatisfiable(f"{option} is no option of a range")
        most = min(MOST_MAX, int(found[1])) if found[1] else most
        descending = descending or found[2] == "desc"
    return Span(match[3], bool(match[2]), match[4], descending, most)
