"""What may be asked of a token service."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auditor.questions import Operation

_ROWS = (
    Operation(
        name="mint",
        summary="A new token for the test customer, of a given lifetime or the service's default, and its claims.",
        effect="create",
        permission="an API token that may create tokens for a test customer; allow: [mint]",
        needs_identity=False,
    ),
    Operation(
        name="verify",
        summary="Whether the service accepts a minted token: fresh, expired, tampered with, foreign, or garbage.",
        effect="probe",
        needs_identity=False,
    ),
    Operation(
        name="samples",
        summary="The tokens of a file, with their claims.",
        permission="read access to the file of samples",
        items="/items",
        needs_identity=False,
        dated="/modified_at",
    ),
)
OPERATIONS: Mapping[str, Operation] = MappingProxyType({row.name: row for row in _ROWS})
