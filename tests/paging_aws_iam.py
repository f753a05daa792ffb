"""The IAM of paging_aws: credential reports, roles and SAML providers, as bytes."""

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
    """What there is in IAM. `roles` are paths with names."""

    report: str = csv(ROOT, user("people/ada"), user("deploy", "false", "false"))
    generated: dt.datetime = STARTED_AT
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


ANSWERS: dict[str, Callable[[Any, Any], Answer]] = {
    "GenerateCredentialReport": lambda *_: state("COMPLETE"),
    "GetCredentialReport": lambda aws, _: report(aws.state.iam.report.encode(), aws.state.iam.generated),
    "ListRoles": _list_roles,
    "ListSAMLProviders": lambda aws, _: saml_providers(aws.state.iam.saml_providers),
}
