"""The GraphQL API of GitHub: where it is, and how it says what went wrong, which it does with status 200.

Sources: the GraphQL specification (October 2021), section 7.1; docs.github.com/graphql, "Rate limits and query limits
for the GraphQL API" and, for GitHub Enterprise Server, "Forming calls with GraphQL".
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from auditor.conversion import convert
from auditor.questions import SourceFailure
from auditor.sources.github_operations import GithubOperation
from auditor.sources.http import Received, parse_json, read_json, refuse

LIMITED: Final = ("RATE_LIMIT", "RATE_LIMITED", "RESOURCE_LIMITS_EXCEEDED")
"""The types of errors that are limits. GitHub sends the first, and its documents say the second."""
DENIED: Final = ("FORBIDDEN", "INSUFFICIENT_SCOPES", "NOT_FOUND")
"""The types of errors that a permission would mend; what may not be seen is not found."""
_TYPE = re.compile(r"[A-Z][A-Z_]{0,49}")


class GraphqlError(msgspec.Struct, frozen=True):
    """One error of an answer; `type` is GitHub's own, where it has one."""

    message: str
    type: str = ""
    extensions: dict[str, Any] | None = None

    @property
    def is_limit(self) -> bool:
        """Whether it is a rate limit; the secondary one has no type of its own."""
        return self.type in LIMITED or "secondary rate limit" in self.message.lower()


class _Answer(msgspec.Struct):
    errors: list[GraphqlError] | msgspec.UnsetType = msgspec.UNSET


def endpoint(base_url: str) -> str:
    """Return the URL of the GraphQL API beside a REST API; of GitHub Enterprise Server it is https://HOST/api/graphql."""
    base = base_url.rstrip("/")
    return f"{base.removesuffix('/v3') if base.endswith('/api/v3') else base}/graphql"


def refuse_errors(operation: GithubOperation, received: Received) -> None:
    """Raise `SourceFailure` where an answer names errors, whatever data stands beside them; its code is their type."""
    if "errors" not in read_json(received, dict[str, Any]):
        return
    errors = _errors(received)
    if not errors:
        refuse("errors are named, but cannot be read")
    first = errors[0]
    if any(one.is_limit for one in errors):
        raise SourceFailure("rate_limit", first.message)
    if any((one.extensions or {}).get("saml_failure") is True for one in errors):
        raise SourceFailure("sso", first.message)
    needs = f" (needs {operation.permission})" if first.type in DENIED else ""
    raise SourceFailure(first.type if _TYPE.fullmatch(first.type) else "graphql", first.message + needs)


def is_limited(received: Received) -> bool:
    """Whether an answer is a rate limit."""
    return any(one.is_limit for one in _errors(received))


def _errors(received: Received) -> list[GraphqlError]:
    try:
        body = parse_json(received.raw, _Answer)
        return convert(body, _Answer).errors or []
    except SourceFailure:
        return []
