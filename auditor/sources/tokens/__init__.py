"""Services that issue tokens (JWS and JWE), asked to mint some and to accept or refuse them.

Sources: docs.explo.co, "Embed secrets (JWTs)" and "Generate Embed JWT"; RFC 7515 to 7519.
"""

from __future__ import annotations

from contextlib import closing

from auditor.questions import SourceType
from auditor.sources.tokens import grants
from auditor.sources.tokens.connection import TokensConnection
from auditor.sources.tokens.operations import OPERATIONS
from auditor.sources.tokens.target import TokensTarget, declare

SOURCE = SourceType(
    name="tokens",
    settings=TokensTarget,
    operations=OPERATIONS,
    declare=declare,
    open=lambda target, opening: closing(TokensConnection(target, opening)),
    where=("/mint/url", "/verify/url", "/jwks_url", "/samples"),
    parallel_questions=1,  # the order of minting and presenting is what the checks are about
    denied=("403", "not allowed"),
    grants={"tokens": grants.text},
)
