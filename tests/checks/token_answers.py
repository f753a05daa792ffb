"""Answers of a token service, as the source keeps them."""

from __future__ import annotations

from typing import Any

from auditor.model import JSON
from tests.checks.asking import Question, question

MINTED = 1_795_600_000
"""The second in which the tokens here are minted: 2026-11-25 09:46:40 UTC."""
BEFORE, AFTER, TOLD = "2026-11-25T09:46:40.100000Z", "2026-11-25T09:46:40.400000Z", "2026-11-25T09:46:40Z"
LASTING, SHORT = "11" * 32, "22" * 32
THING = "application/json (customer: string, rows: number)"


def number(seconds: float) -> dict[str, JSON]:
    return {"type": "number", "seconds": seconds}


MISSING: dict[str, JSON] = {"type": "missing"}


def token(exp: JSON = None, iat: JSON = None, **more: Any) -> dict[str, JSON]:
    """An encrypted token that lives a day and says not since when."""
    return {
        "sha256": LASTING,
        "format": "jwe",
        "algorithm": "dir/A256GCM",
        "signature": "decrypted",
        "header": {"alg": "dir", "enc": "A256GCM"},
        "claims": {"cst": "test"},
        "dates": {"exp": exp or number(MINTED + 86_400), "iat": iat or MISSING},
        **more,
    }


def minted(exp: JSON = None, iat: JSON = None, *, server_time: str | None = TOLD, **more: Any) -> dict[str, JSON]:
    told = {} if server_time is None else {"server_time": server_time}
    return {"token": token(exp, iat, **more), "requested": "", "minted_at": {"before": BEFORE, "after": AFTER}, **told}


def accepted(status: int = 200, content: str = THING) -> dict[str, JSON]:
    return {"status": status, "outcome": "accepted", "content": content}


def refused(status: int = 401) -> dict[str, JSON]:
    return {"status": status, "outcome": "refused", "content": "application/json"}


def presented(**other: JSON) -> dict[Question, JSON]:
    """What jwt-expiry-enforced asks, and the answers of a service that is as it should be; `other` replaces some."""
    bodies = {
        "fresh": accepted(),
        "before": accepted(),
        "tampered": refused(),
        "foreign": refused(),
        "expired": refused(403),
        "after": accepted(),
        **other,
    }
    return {
        question("mint"): minted(),
        question("mint", lifetime="PT4S"): minted(number(MINTED + 4), sha256=SHORT),
        question("verify", token=SHORT, moment="fresh"): bodies["fresh"],
        question("verify", token=LASTING, moment="fresh", purpose="before"): bodies["before"],
        question("verify", token=LASTING, moment="tampered"): bodies["tampered"],
        question("verify", token=LASTING, moment="foreign"): bodies["foreign"],
        question("verify", token=SHORT, moment="expired", leeway="PT1S", max_wait="PT30S"): bodies["expired"],
        **({question("verify", token=LASTING, moment="garbage"): bodies["garbage"]} if "garbage" in bodies else {}),
        question("verify", token=LASTING, moment="fresh", purpose="after"): bodies["after"],
    }
