"""What the error codes of AWS mean to whoever runs an audit.

Sources: "Common errors" of the API references, "Error codes" of the EC2 API Reference and of the S3 API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auditor.questions import Trouble

DENIED = ("AccessDenied", "UnauthorizedOperation", "403")
TROUBLES: Mapping[Trouble, tuple[str, ...]] = MappingProxyType(
    {
        Trouble.CREDENTIALS: (
            "AuthFailure",
            "ExpiredToken",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidToken",
            "MissingAuthenticationToken",
            "SignatureDoesNotMatch",
            "UnrecognizedClient",
            "assume_role",  # ours: AWS answered, but not with the role
        ),
        Trouble.CLOCK_SKEW: ("RequestExpired", "RequestTimeTooSkewed"),
        Trouble.RATE_LIMIT: ("RequestLimitExceeded", "RequestThrottled", "SlowDown", "Throttl", "TooManyRequests"),
        Trouble.UNREACHABLE: ("ConnectionClosedError", "HTTPClientError", "502", "503", "504"),
    }
)
