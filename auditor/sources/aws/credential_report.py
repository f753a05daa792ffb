"""IAM's credential report: one question that takes several calls.

GenerateCredentialReport has the report made, and says COMPLETE while there is one that is less than four hours old;
then GetCredentialReport gives it. Where IAM is still at it, or the report went away in between, both are asked again,
for two minutes at most; each such attempt is evidence, with what IAM said as its reason.

Sources: IAM API Reference, "GenerateCredentialReport" and "GetCredentialReport"; IAM User Guide, "Generate credential
reports for your AWS account", for the columns.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from typing import TYPE_CHECKING, NoReturn

import msgspec

from auditor.model import JSON
from auditor.questions import Failure, Reply, SourceFailure

if TYPE_CHECKING:
    from auditor.sources.aws.operations import AwsOperation, Caller

WAITS = (0.5, 0.5, 1.0, 1.0, 2.0, *(5.0,) * 23)
"""Seconds before each further attempt; 120 in all. A report usually takes a few."""
COMPLETE = "COMPLETE"
NOT_YET = ("STARTED", "INPROGRESS", "ReportInProgress", "ReportNotPresent", "ReportExpired")
"""The states and error codes by which IAM says that there is no report now and that there will be one."""

ROOT = "<root_account>"
COLUMNS = (
    "user",
    "arn",
    "password_enabled",
    "password_last_used",
    "mfa_active",
    "access_key_1_active",
    "access_key_2_active",
    "cert_1_active",
    "cert_2_active",
)
"""The columns that every report must have. There are more, and there may be new ones."""


def ask_credential_report(row: AwsOperation, caller: Caller) -> Reply:
    """Return the report as `{GeneratedTime, ReportFormat, columns: […], rows: [{column: text}]}`.

    `raw_sha256` and the server's time are those of the last call, the attempts those of all. An error is that of the
    call that failed; `timeout`: there was no report in time; `malformed`: it is not one of this account.
    """
    (generate,) = row.steps
    calls: list[Reply] = []
    for wait in (0.0, *WAITS):
        caller.sleep(wait)
        calls.append(_state(caller.call(generate)))
        if calls[-1].status == "ok":
            calls.append(_report(caller.call(row), caller.account_id))
        if calls[-1].error is None or calls[-1].error.code not in NOT_YET:
            return _whole(calls, calls[-1].error)
    said = calls[-1].attempts[-1].reason
    return _whole(calls, Failure("timeout", f"no report within {sum(WAITS):.0f} seconds: the last answer was {said}"))


def _whole(calls: list[Reply], error: Failure | None) -> Reply:
    attempts = tuple(attempt for call in calls for attempt in call.attempts)
    return msgspec.structs.replace(calls[-1], started_at=calls[0].started_at, attempts=attempts, error=error)


def _state(reply: Reply) -> Reply:
    """Return the reply as it is where the report is ready, else as a failure whose code is the state."""
    if reply.status != "ok" or reply.body["State"] == COMPLETE:
        return reply
    if reply.body["State"] in NOT_YET:
        return _failed(reply, Failure(reply.body["State"], "the report is not ready"))
    return _failed(reply, Failure("malformed", "the state of the report is none that IAM has"))


def _report(reply: Reply, account_id: str) -> Reply:
    if reply.status != "ok":
        return reply
    try:
        return msgspec.structs.replace(reply, body=read_credential_report(reply.body, account_id))
    except SourceFailure as failure:
        return _failed(reply, Failure(failure.code, failure.message))


def _failed(reply: Reply, error: Failure) -> Reply:
    *earlier, last = reply.attempts
    attempts = (*earlier, msgspec.structs.replace(last, reason=error.code))
    return msgspec.structs.replace(reply, status="error", body=None, error=error, attempts=attempts)


def read_credential_report(body: JSON, account_id: str) -> dict[str, JSON]:
    """Return the report in an answer of GetCredentialReport; `SourceFailure` unless it is one of this account."""
    if body["ReportFormat"] != "text/csv":
        _refuse("the report is not text/csv")
    columns, *lines = _table(body["Content"])
    for column in COLUMNS:
        if column not in columns:
            _refuse(f"the report has no column {column}")
    if len(set(columns)) != len(columns):
        _refuse("the report has a column twice")
    rows = []
    for number, line in enumerate(lines, 1):
        if len(line) != len(columns):
            _refuse(f"row {number} of the report has {len(line)} fields, its header {len(columns)}")
        rows.append(dict(zip(columns, line, strict=True)))
    _check_users(rows, account_id)
    return {
        "GeneratedTime": body["GeneratedTime"],
        "ReportFormat": body["ReportFormat"],
        "columns": columns,
        "rows": rows,
    }


def _table(content: str) -> list[list[str]]:
    """Return the lines of the CSV, the header first (RFC 4180)."""
    try:
        text = base64.b64decode(content, validate=True).decode()
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        _refuse("the report is not UTF-8")
    except csv.Error:
        _refuse("the report is not CSV")
    if not lines:
        _refuse("the report is empty")
    return lines


def _check_users(rows: list[dict[str, str]], account_id: str) -> None:
    """Refuse rows that are not the users of this account, each of them once, and its root."""
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        user = row["user"]
        ending = "root" if user == ROOT else f"user/(.+/)?{re.escape(user)}"
        if not user or not re.fullmatch(rf"arn:[\w-]+:iam::{account_id}:{ending}", row["arn"], re.ASCII):
            _refuse(f"row {number} of the report names no user of account {account_id}")
        if user in seen:
            _refuse(f"row {number} of the report names a user for the second time")
        seen.add(user)
    if ROOT not in seen:
        _refuse("the report has no row of the root user")


def _refuse(message: str) -> NoReturn:
    raise SourceFailure("malformed", message)
