"""GitHub's GraphQL API as far as organizations are counted, executed by graphql-core over a part of GitHub's schema.

After docs.github.com/graphql, "Organization". What GitHub refuses here it says with 200, as an error that has a `type`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

SCHEMA = """
type Query {
  "Lookup a organization by login."
  organization(login: String!): Organization
}
type Organization {
  id: ID!
  databaseId: Int
  login: String!
  membersWithRole(after: String, before: String, first: Int, last: Int): OrganizationMemberConnection!
}
type OrganizationMemberConnection {
  totalCount: Int!
}
"""


class GraphqlRefusal(Exception):
    """Why a field is null: an error of this type, and what GitHub says beside its message."""

    def __init__(self, kind: str, message: str, extensions: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.extensions = dict(extensions or {})


class Graphql:
    """Answers queries. `organization` finds one for who asks, as a mapping of its fields; it may refuse."""

    def __init__(self, organization: Callable[[Any, str], Mapping[str, Any]]) -> None:
        from graphql import build_schema  # noqa: PLC0415 - moto brings it along; only a running world needs it

        self._schema = build_schema(SCHEMA)
        self._organization = organization

    def answer(self, asking: Any, body: Any) -> dict[str, Any]:
        """Return the answer to a request's body."""
        from graphql import graphql_sync  # noqa: PLC0415 - as above

        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return {"errors": [{"message": "A query attribute must be specified and must be a string."}]}
        root = {"organization": lambda _, login: self._organization(asking, login)}
        result = graphql_sync(self._schema, body["query"], root, variable_values=body.get("variables"))
        executed = result.data is not None or any(error.path for error in result.errors or ())
        answer: dict[str, Any] = {"data": result.data} if executed else {}
        if result.errors:
            answer["errors"] = [_error(error) for error in result.errors]
        return answer


def limit_exceeded(account: int) -> dict[str, Any]:
    """Return what GitHub says over the primary limit."""
    message = f"API rate limit already exceeded for user ID {account}."
    return {"errors": [{"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": message}]}


def _error(error: Any) -> dict[str, Any]:
    """Return an error as GitHub writes it: its type stands beside the message, not among the extensions."""
    cause = error.original_error
    written: dict[str, Any] = dict(error.formatted)
    if isinstance(cause, GraphqlRefusal):
        written = {"type": cause.kind, **written}
        if cause.extensions:
            written["extensions"] = cause.extensions
    return written
