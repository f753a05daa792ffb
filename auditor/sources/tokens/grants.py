"""What to set up before tokens are minted and presented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from auditor.questions import Need
from auditor.sources.tokens.target import TokensTarget


def text(settings: Any, needs: Sequence[Need], /) -> str:
    """Return it as sentences, one to a line."""
    target = settings if isinstance(settings, TokensTarget) else TokensTarget()
    asked = {need.operation.name for need in needs}
    lines = []
    if "mint" in asked:
        customer = f" ({target.mint.customer})" if target.mint and target.mint.customer else ""
        lines += [
            f"Create a test customer{customer} that sees no real data, and name it as mint.customer.",
            "Create an API token that may create tokens for that customer, and refer to it as mint.token.",
            "Write allow: [mint]: each run creates tokens for that customer, and keeps none of them.",
        ]
    if "verify" in asked:
        lines.append("Name as verify.url something that a token of the test customer opens, and that changes nothing.")
    if "samples" in asked:
        lines.append("Or name as samples a file with a token on each line; that proves less than minting does.")
    if asked:
        lines.append("Encrypted tokens are read with secret, signed ones are checked with secret or jwks_url.")
    return "".join(f"{line}\n" for line in lines)
