"""The IAM of paging_aws: credential reports, the account summary, users, roles and SAML providers, as bytes."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.paging_aws_words import REQUEST_ID, Answer, element, xml

IAM_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
ACCOUNT = "123456789012"
CREATED = "2026-01-02T03:04:05Z"
STARTED_AT = dt.datetime.now(dt.UTC).replace(microsecond=0)
COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)
KEYS_AND_CERTIFICATES = "false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
ROOT = f"<root_account>,arn:aws:iam::{ACCOUNT}:root,{CREATED},true,{CREATED},{CREATED},not_supported,true"
ROOT = f"{ROOT},{KEYS_AND_CERTIFICATES}"


def user(name: str, console: str = "true", mfa: str = "true", *, account: str = ACCOUNT) -> str:
    """A row of a report. `name` may begin with a path."""
    arn = f"arn:aws:iam::{account}:user/{name}"
    dates = f"{CREATED},{CREATED},N/A" if console == "true" else "N/A,N/A,N/A"
    return f"{name.rpartition('/')[2]},{arn},{CREATED},{console},{dates},{mfa},{KEYS_AND_CERTIFICATES}"


def csv(*rows: str) -> str:
    """A report, as IAM writes it: without a newline at its end."""
    return "\n".join((COLUMNS, *rows))


@dataclass
class Iam:
    """What there is in IAM. `roles` and `users` are paths with names; None: the users of the report.

    `created` are the times at which users were, by name, where that is another than that of all.
    """

    report: str = csv(ROOT, user("people/ada"), user("deploy", "false", "false"))
    generated: dt.datetime = STARTED_AT
    users: list[str] | None = None
    counted: int | None = None  # in the summary; None: as many as there are
    created: dict[str, str] = field(default_factory=dict)
    root_has_mfa: bool = True
    roles: list[str] = field(default_factory=lambda: ["/service-role/lambda"])
    saml_providers: list[str] = field(default_factory=list)


def answer(operation: str, content: str) -> Answer:
    """An answer of IAM."""
    text = f"<{operation}Result>{content}</{operation}Result>"
    text += f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
    return xml("iam", f'<{operation}Response xmlns="{IAM_NAMESPACE}">{text}</{operation}Response>')


def state(word: str) -> Answer:
    """Answer GenerateCredentialReport."""
    return answer("GenerateCredentialReport", element("State", word))


def report(content: bytes | str, generated: dt.datetime | str = STARTED_AT, form: str = "text/csv") -> Answer:
    """Answer GetCredentialReport: `content` is the file, or as text its base64."""
    encoded = content if isinstance(content, str) else base64.b64encode(content).decode()
    moment = generated if isinstance(generated, str) else f"{generated:%Y-%m-%dT%H:%M:%SZ}"
    parts = element("Content", encoded) + element("ReportFormat", form) + element("GeneratedTime", moment)
    return answer("GetCredentialReport", parts)


def roles(paths: list[str], truncated: bool | str = False, marker: str | None = None) -> Answer:  # noqa: FBT001, FBT002 - as on the wire
    """Answer ListRoles."""
    members = ""
    for path in paths:
        head, _, name = path.rpartition("/")
        parts = element("Path", f"{head}/") + element("RoleName", name) + element("RoleId", "AROAEXAMPLE")
        parts += element("Arn", f"arn:aws:iam::{ACCOUNT}:role{path}") + element("CreateDate", CREATED)
        members += f"<member>{parts}{element('AssumeRolePolicyDocument', '%7B%7D')}</member>"
    content = f"<Roles>{members}</Roles>{element('IsTruncated', truncated)}{element('Marker', marker)}"
    return answer("ListRoles", content)


def saml_providers(names: list[str]) -> Answer:
    """Answer ListSAMLProviders."""
    arns = [element("Arn", f"arn:aws:iam::{ACCOUNT}:saml-provider/{name}") for name in names]
    members = "".join(f"<member>{arn}{element('CreateDate', CREATED)}</member>" for arn in arns)
    return answer("ListSAMLProviders", f"<SAMLProviderList>{members}</SAMLProviderList>")


def _list_roles(aws: Any, call: Any) -> Answer:
    asked = call.parameters
    found = [path for path in aws.state.iam.roles if path.startswith(asked.get("PathPrefix", "/"))]
    part, marker = aws.page(call, len(found), asked.get("MaxItems", "100"), asked.get("Marker"))
    return roles(found[part], marker is not None, marker)


def users_of(iam: Iam) -> list[str]:
    """The users that there are now, as paths with names."""
    if iam.users is not None:
        return iam.users
    arns = [line.split(",")[1] for line in iam.report.splitlines()[1:]]
    return ["/" + arn.partition(":user/")[2] for arn in arns if ":user/" in arn]


def summary(users: int | str, root_has_mfa: int | str = 1) -> Answer:
    """Answer GetAccountSummary."""
    told = {"Users": users, "UsersQuota": 5000, "AccountMFAEnabled": root_has_mfa, "Providers": 0}
    entries = "".join(f"<entry>{element('key', key)}{element('value', value)}</entry>" for key, value in told.items())
    return answer("GetAccountSummary", f"<SummaryMap>{entries}</SummaryMap>")


def _account_summary(aws: Any, _: Any) -> Answer:
    iam = aws.state.iam
    return summary(len(users_of(iam)) if iam.counted is None else iam.counted, int(iam.root_has_mfa))


def _list_users(aws: Any, call: Any) -> Answer:
    iam, asked = aws.state.iam, call.parameters
    found = users_of(iam)
    part, marker = aws.page(call, len(found), asked.get("MaxItems", "100"), asked.get("Marker"))
    members = ""
    for path in found[part]:
        head, _, name = path.rpartition("/")
        parts = element("Path", f"{head}/") + element("UserName", name) + element("UserId", "AIDAEXAMPLE")
        parts += element("Arn", f"arn:aws:iam::{ACCOUNT}:user{path}")
        members += f"<member>{parts}{element('CreateDate', iam.created.get(name, CREATED))}</member>"
    content = f"<Users>{members}</Users>{element('IsTruncated', marker is not None)}{element('Marker', marker)}"
    return answer("ListUsers", content)


ANSWERS: dict[str, Callable[[Any, Any], Answer]] = {
    "GenerateCredentialReport": lambda *_: state("COMPLETE"),
    "GetCredentialReport": lambda aws, _: report(aws.state.iam.report.encode(), aws.state.iam.generated),
    "GetAccountSummary": _account_summary,
    "ListUsers": _list_users,
    "ListRoles": _list_roles,
    "ListSAMLProviders": lambda aws, _: saml_providers(aws.state.iam.saml_providers),
}
