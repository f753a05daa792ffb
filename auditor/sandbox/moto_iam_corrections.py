"""What moto 5.2.5 gets wrong in the IAM calls that the AWS checks make. See moto_corrections for the rules.

The columns and words of credential reports: IAM User Guide, "Generate credential reports for your AWS account".
"""

import csv
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import ReportNotPresentException
from moto.iam.models import AccountSummary, IAMBackend, User
from moto.iam.responses import IamResponse

from auditor.sandbox.moto_replacement import replaces

ROOT: dict[str, str] = {}
"""Columns of root's row that the world decides. Set by the server before it serves."""
SIGNED_IN: dict[str, str] = {}
"""When users last signed in (RFC 3339), by name. Set by the server before it serves."""

COLUMNS = (
    *("user", "arn", "user_creation_time"),
    *("password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active"),
    *("access_key_1_active", "access_key_1_last_rotated"),
    *("access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service"),
    *("access_key_2_active", "access_key_2_last_rotated"),
    *("access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service"),
    *("cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"),
)
FRESH = dt.timedelta(hours=4)
ACCOUNT_MADE = "2021-01-04T09:30:00Z"
_kept: dict[str, tuple[str, dt.datetime]] = {}


def credential_reports_are_kept() -> None:
    """Moto writes the report anew at each question, and dates it 2015; IAM keeps it, with its own time, for 4 hours."""

    @replaces(IamResponse, "generate_credential_report")
    def generate_credential_report(self: IamResponse) -> ActionResult:
        now = dt.datetime.now(dt.UTC)
        account = self.current_account
        if account in _kept and now - _kept[account][1] < FRESH:
            return ActionResult({"State": "COMPLETE"})
        self.backend.generate_report()
        _kept[account] = self.backend.get_credential_report(), now
        description = "No report exists. Starting a new report generation task"
        return ActionResult({"State": "STARTED", "Description": description})

    @replaces(IamResponse, "get_credential_report")
    def get_credential_report(self: IamResponse) -> ActionResult:
        if self.current_account not in _kept:
            raise ReportNotPresentException("Unknown")
        report, made = _kept[self.current_account]
        return ActionResult({"Content": report, "ReportFormat": "text/csv", "GeneratedTime": _written(made)})


def credential_reports_begin_with_root() -> None:
    """Moto's report has users only; the first row of IAM's is `<root_account>` (facts A5.8)."""
    report = IAMBackend.get_credential_report

    @replaces(IAMBackend, "get_credential_report")
    def get_credential_report(self: IAMBackend) -> str:
        header, _, users = report(self).partition("\n")
        row = dict.fromkeys(COLUMNS, "N/A") | {
            "user": "<root_account>",
            "arn": f"arn:aws:iam::{self.account_id}:root",
            "user_creation_time": ACCOUNT_MADE,
            "password_enabled": "true",
            "password_last_used": "no_information",
            "password_next_rotation": "not_supported",
            **dict.fromkeys(("mfa_active", "access_key_1_active", "access_key_2_active"), "false"),
            **dict.fromkeys(("cert_1_active", "cert_2_active"), "false"),
            **ROOT,
        }
        if row["password_enabled"] in ("true", "not_supported"):
            row["password_last_changed"] = ACCOUNT_MADE
        if row["access_key_1_active"] == "true":
            row["access_key_1_last_rotated"] = ACCOUNT_MADE
        return f"{header}\n{_line(row)}{users}".removesuffix("\n")


def credential_reports_are_in_the_words_of_iam() -> None:
    """Moto says not_supported of what a user does not have; IAM says N/A, and no_information of an unused password.

    Times end in Z, and a password has its next rotation only where the account's policy wants one.
    """

    @replaces(User, "to_csv")
    def to_csv(self: Any) -> str:
        row = dict.fromkeys(COLUMNS, "N/A") | {
            "user": self.name,
            "arn": self.arn,
            "user_creation_time": _written(self.create_date),
            "password_enabled": "true" if self.password else "false",
            "mfa_active": "true" if self.mfa_devices else "false",
            **dict.fromkeys(("access_key_1_active", "access_key_2_active"), "false"),
            **dict.fromkeys(("cert_1_active", "cert_2_active"), "false"),
        }
        if self.password:
            row["password_last_used"] = SIGNED_IN.get(self.name, "no_information")
            row["password_last_changed"] = _written(self.create_date)
        for number, key in enumerate(self.access_keys, 1):
            row[f"access_key_{number}_active"] = "true" if key.status == "Active" else "false"
            row[f"access_key_{number}_last_rotated"] = _written(key.create_date)
            if key.last_used:
                row[f"access_key_{number}_last_used_date"] = _written(key.last_used.timestamp)
                row[f"access_key_{number}_last_used_region"] = key.last_used.region
                row[f"access_key_{number}_last_used_service"] = key.last_used.service
        return _line(row)


def _line(row: dict[str, str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(row.values())
    return text.getvalue()


def _written(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def account_summaries_know_root() -> None:
    """Moto's summary always says that root has neither MFA nor access keys; IAM's says what is (GetAccountSummary)."""
    summary: Any = AccountSummary.summary_map
    read = summary.fget

    def summary_map(self: AccountSummary) -> dict[str, Any]:
        keys = [ROOT.get("access_key_1_active"), ROOT.get("access_key_2_active")]
        return {
            **read(self),
            "AccountMFAEnabled": int(ROOT.get("mfa_active") == "true"),
            "AccountAccessKeysPresent": int("true" in keys),
        }

    AccountSummary.summary_map = property(summary_map)  # type: ignore[assignment,method-assign]


def list_users_pages() -> None:
    """Moto ignores MaxItems and Marker (facts A5.8); IAM pages by them, 100 users at a time unless said."""

    @replaces(IamResponse, "list_users")
    def list_users(self: IamResponse) -> ActionResult:
        prefix, marker = self._get_param("PathPrefix"), self._get_param("Marker")
        users = list(self.backend.list_users(prefix, None, None))
        first = int(bytes.fromhex(marker)) if marker else 0
        last = first + int(self._get_param("MaxItems") or 100)
        more = last < len(users)
        return ActionResult(
            {
                "Users": users[first:last],
                "IsTruncated": more,
                **({"Marker": str(last).encode().hex()} if more else {}),
            }
        )


CORRECTIONS: tuple[Callable[[], None], ...] = (
    credential_reports_are_kept,
    credential_reports_begin_with_root,
    credential_reports_are_in_the_words_of_iam,
    account_summaries_know_root,
    list_users_pages,
)
