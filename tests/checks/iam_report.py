"""What the source gives of a credential report, its roles and providers."""

from __future__ import annotations

from typing import Any

from auditor.model import JSON

ACCOUNT = "123456789012"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
GENERATED = "2026-11-23T08:12:00+00:00"
SAID = "by the report of 2026-11-23 08:12 UTC (3 h 48 min old)"  # at NOW
USED = "2026-11-20T07:58:03Z"
COLUMNS = {
    "password_enabled": "true",
    "password_last_used": USED,
    "mfa_active": "true",
    "access_key_1_active": "false",
    "access_key_2_active": "false",
    "cert_1_active": "false",
    "cert_2_active": "false",
}


def account(*rows: JSON) -> dict[str, Any]:
    """Return the report of these rows."""
    return {
        "GeneratedTime": GENERATED,
        "ReportFormat": "text/csv",
        "columns": ["user", "arn", *COLUMNS],
        "rows": list(rows),
    }


def root(**columns: str) -> dict[str, str]:
    """Return the row of the root user, with MFA unless said."""
    return {"user": "<root_account>", "arn": ROOT_ARN, **COLUMNS, **columns}


def user(name: str, **columns: str) -> dict[str, str]:
    """Return the row of a console user, with MFA unless said."""
    return {"user": name, "arn": user_arn(name), **COLUMNS, **columns}


def user_arn(name: str) -> str:
    """Return the ARN of a user."""
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


def role(path: str, name: str) -> dict[str, str]:
    """Return an item of ListRoles."""
    return {"Path": path, "RoleName": name, "Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}"}


def provider(name: str) -> dict[str, str]:
    """Return an item of ListSAMLProviders."""
    return {"Arn": f"arn:aws:iam::{ACCOUNT}:saml-provider/{name}"}
