"""The token that GitHub gives for these questions, in words: it has no file to write it in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.questions import Need
from auditor.sources.github_operations import GithubOperation

SCOPES = ("read:org", "write:org", "admin:org")
"""Of a classic token, each of which has those before it ("Scopes for OAuth apps")."""


def write_token(settings: Any, needs: Sequence[Need], /) -> str:
    """Describe the token; `settings` are those of a GitHub target, or None."""
    organization = settings.organization if settings is not None else "<organization>"
    asked = [need.operation for need in needs if isinstance(need.operation, GithubOperation)]
    scope = max((row.scope for row in asked), key=SCOPES.index, default=SCOPES[0])
    fine_grained = "Members: read-only" if any(row.members_read for row in asked) else "none"
    unlisted = [row for row in asked if not row.members_read]
    lines = [
        f"A personal access token of an owner of the organization {organization}.",
        "To others GitHub shows less, and says 200. One of these two will do:",
        "",
        "Fine-grained token (Settings > Developer settings > Personal access tokens)",
        f"  resource owner:            {organization}",
        "  repository access:         public repositories only (none is needed)",
        f"  organization permissions:  {fine_grained}",
        *(f"  GitHub lists none for:     {row.name}; what it leaves out is an error" for row in unlisted),
        "",
        "Classic token",
        f"  scope:                     {scope}",
        "",
        "Where SAML single sign-on guards the organization, authorize the token for it:",
        "beside the token, Configure SSO. Where the organization approves fine-grained",
        "tokens, one of an owner is approved at once.",
    ]
    return "\n".join(lines) + "\n"
