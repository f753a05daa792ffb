"""What the error codes of PostgreSQL, and words of libpq, mean to whoever runs an audit.

SQLSTATEs: PostgreSQL documentation, appendix A. For what happens before a session libpq gives no SQLSTATE, only a text
(fe-connect.c, fe-secure-openssl.c; the server's part in the server's language): `code_of` reads that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auditor.questions import Trouble

NOT_ADMITTED = "not_admitted"
DENIED = ("42501", NOT_ADMITTED)
TROUBLES: Mapping[Trouble, tuple[str, ...]] = MappingProxyType(
    {
        Trouble.CREDENTIALS: ("28",),  # invalid_authorization_specification, invalid_password
        Trouble.UNREACHABLE: ("08", "53300", "57P"),  # connection exceptions, too many clients, starting or stopping
    }
)
_WORDS: Mapping[str, tuple[str, ...]] = {
    "timeout": ("timeout expired",),
    "unresolved": ("failed to resolve host", "could not translate host name"),
    "refused": ("Connection refused", "No route to host", "Network is unreachable", "Host is unreachable"),
    "closed": ("server closed the connection unexpectedly", "Connection reset by peer"),
    "local": ("could not load", "could not read", "could not open certificate", "has group or world access"),
    "tls": ("certificate verify failed", "server certificate for", "does not support SSL", "SSL error"),
    "credentials": ("password authentication failed", "no password supplied", "valid client certificate"),
    NOT_ADMITTED: ("no pg_hba.conf entry", "permission denied for database", 'role "'),
}
"""What a text begins or goes on with, by our word for it; the first that fits."""


def code_of(text: str) -> str:
    """Return our word for what libpq says of a connection that came to nothing; `connection` where that is unknown."""
    return next((code for code, words in _WORDS.items() if any(word in text for word in words)), "connection")
