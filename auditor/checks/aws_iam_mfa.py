"""The root user and every IAM user with a console password have MFA, by the account's credential report.

On the basis of configuration: what the accounts have set. With an MFA device, AWS asks for it at every sign-in to the
console (IAM User Guide, "AWS multi-factor authentication in IAM"). The report writes true and false in small letters,
its documentation in capitals: both are read, and nothing else is guessed at.

People who come through IAM Identity Center or another SAML provider are no IAM users: their MFA is evidence elsewhere.
Identity Center makes its roles below PATH and its provider with such a NAME (IAM Identity Center User Guide, "Using
service-linked roles"; the managed policy AWSSSOServiceRolePolicy), so the account itself says whether it is in use.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from auditor.answers import Answer
from auditor.checking import Check, Reconciled, Source, Subject
from auditor.model import Basis, Outcome, Resource, Unproven, Verdict, failed, manual, not_applicable, passed

ROOT, USER = "aws.iam.root", "aws.iam.user"
IDENTITY_CENTER, PROVIDER = "aws.identity-center", "aws.iam.saml-provider"
PATH = "/aws-reserved/sso.amazonaws.com/"
NAME = ("AWSSSO_", "DO_NOT_DELETE")

Flag = Literal["true", "false", "TRUE", "FALSE"]
YES = ("true", "TRUE")
UNSAID = "not_supported"
"""What older reports say of root's password: not whether it has one."""
CREDENTIALS = ("/access_key_1_active", "/access_key_2_active", "/cert_1_active", "/cert_2_active")
Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
MOST_SKEW = dt.timedelta(seconds=60)
"""How far clocks may differ; and a user made so shortly before the report may have been too late for it."""
MOST_NAMED = 3


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None: root and every user are meant, without exception."""


def collect(params: Params, aws: Source) -> Iterator[Subject | Reconciled]:  # noqa: ARG001 - as in every check
    """Root and every user of the report, IAM Identity Center, and every SAML provider that is not its own."""
    report = aws.ask("iam.get_credential_report")
    summary = aws.ask("iam.get_account_summary")
    reported: set[str] = set()
    for row in report.items("/rows"):
        user, arn = row.get("/user", str), row.get("/arn", str)
        if user == "<root_account>":
            yield Subject(Resource(ROOT, arn, user), row=row, report=report, summary=summary)
        else:
            reported.add(arn)
            yield Subject(Resource(USER, arn, user), row=row, report=report)
    yield _reconciled(aws, report, summary, reported)
    roles = aws.listing("iam.list_roles", PathPrefix=PATH)
    providers = aws.listing("iam.list_saml_providers")
    center = Resource(IDENTITY_CENTER, aws.target.get("/account_id", str), "IAM Identity Center")
    yield Subject(center, roles=roles, providers=providers)
    for provider in providers:
        arn = provider.get("/Arn", str)
        if not _is_of_identity_center(arn):
            yield Subject(Resource(PROVIDER, arn, _name(arn)), provider=provider)


def _reconciled(aws: Source, report: Answer, summary: Answer, reported: set[str]) -> Reconciled:
    """Hold the users of the report against how many there are; where that differs, ask who came and went since."""
    held = Reconciled(
        what="IAM users of the credential report",
        listed=len(reported),
        counted=summary.at("/SummaryMap/Users", int),
        source="IAM's account summary",
        parts=(report, summary),
    )
    if not summary.readable or summary.get("/SummaryMap/Users", int) == len(reported):
        return held
    users = aws.listing("iam.list_users")
    since = report.get("/GeneratedTime", Moment) - MOST_SKEW
    listed: set[str] = set()
    younger: set[str] = set()
    for user in users:
        listed.add(user.get("/Arn", str))
        if user.get("/CreateDate", Moment) >= since:
            younger.add(user.get("/Arn", str))
    came, gone = (listed - reported) & younger, reported - listed
    left_out = listed - reported - younger
    is_explained = not left_out and len(listed) == summary.get("/SummaryMap/Users", int)
    said = [
        f"left out of it though older: {_some(left_out)}" if left_out else "",
        f"created since: {len(came)}" if came else "",
        f"deleted since: {len(gone)}" if gone else "",
        f"iam:ListUsers lists {len(listed)}",
    ]
    return msgspec.structs.replace(
        held,
        allowed=len(came) + len(gone) if is_explained else 0,
        note="; ".join(filter(None, said)),
        parts=(*held.parts, users),
    )


def _some(arns: set[str]) -> str:
    first = sorted(arns)[:MOST_NAMED]
    more = len(arns) - len(first)
    return ", ".join(map(_name, first)) + (f" and {more} more" if more else "")


def evaluate(subject: Subject, params: Params) -> Verdict:  # noqa: ARG001 - every check has the same shape
    """Fail root and console users without MFA; what others know better is manual."""
    if subject.resource.type == IDENTITY_CENTER:
        return _identity_center(subject)
    if subject.resource.type == PROVIDER:
        arn = subject.provider.get("/Arn", str)
        return manual(f"the MFA of people who sign in through {_name(arn)} is evidence of that identity provider")
    return _root(subject) if subject.resource.type == ROOT else _user(subject)


def _root(subject: Subject) -> Verdict:
    report = _report(subject)
    advice = "delete its access key: requests signed with it need no MFA" if _has_key(subject) else ""
    has_mfa = _flag(subject, "/mfa_active")
    if has_mfa is not (subject.summary.get("/SummaryMap/AccountMFAEnabled", Literal[0, 1]) == 1):
        was, is_now = ("MFA", "none") if has_mfa else ("no MFA", "MFA")
        message = f"has {was} {report}, and {is_now} by the account summary, which is newer: its MFA changed since"
        raise Unproven(message, [subject.row, subject.summary])
    if has_mfa:
        return passed(f"has MFA, {report}", advice=advice)
    password = subject.row.get("/password_enabled", Literal[Flag, "not_supported"])
    if password not in (*YES, UNSAID) and not any(_flag(subject, pointer) for pointer in CREDENTIALS):
        return not_applicable(f"has no password, no active access key and no active certificate, {report}")
    return failed(f"has no MFA, {report}", advice="; ".join(filter(None, ["enable MFA for the root user", advice])))


def _user(subject: Subject) -> Verdict:
    report = _report(subject)
    if not _flag(subject, "/password_enabled"):
        return not_applicable(f"has no console password, {report}")
    unused = subject.row.get("/password_last_used", str) == "no_information"
    if _flag(subject, "/mfa_active"):
        advice = "remove the console password if nobody needs it: AWS knows of no use" if unused else ""
        return passed(f"has a console password and MFA, {report}", advice=advice)
    advice = "enable MFA, or remove the console password" + (": AWS knows of no use of it" if unused else "")
    return failed(f"has a console password and no MFA, {report}", advice=advice)


def _identity_center(subject: Subject) -> Verdict:
    cites = (subject.roles.cite(), subject.providers.cite())
    roles = [role.get("/RoleName", str) for role in subject.roles if role.get("/Path", str).startswith(PATH)]
    arns = [provider.get("/Arn", str) for provider in subject.providers]
    own = [_name(arn) for arn in arns if _is_of_identity_center(arn)]
    if roles or own:
        found = f"roles of permission sets: {len(roles)}; SAML providers of its own: {len(own)}"
        message = f"is in use ({found}), so the MFA of those who sign in through it is evidence of its own settings"
        return Verdict(Outcome.MANUAL, message, cites=cites)
    message = "is not in use: it made no role and no SAML provider in this account"
    return Verdict(Outcome.NOT_APPLICABLE, message, cites=cites)


def _report(subject: Subject) -> str:
    """Return which report says so and how old it was; raises where it claims to be from after it was read."""
    generated = subject.report.get("/GeneratedTime", Moment).astimezone(dt.UTC)
    age = subject.as_of - generated
    if age < -MOST_SKEW:
        raise Unproven(f"the report is dated {generated:%Y-%m-%d %H:%M} UTC, after it was read", [subject.report])
    hours, minutes = divmod(max(0, int(age.total_seconds())) // 60, 60)
    return f"by the report of {generated:%Y-%m-%d %H:%M} UTC ({hours} h {minutes} min old)"


def _has_key(subject: Subject) -> bool:
    return any([_flag(subject, "/access_key_1_active"), _flag(subject, "/access_key_2_active")])


def _flag(subject: Subject, pointer: str) -> bool:
    return subject.row.get(pointer, Flag) in YES


def _is_of_identity_center(arn: str) -> bool:
    start, end = NAME
    return _name(arn).startswith(start) and _name(arn).endswith(end)


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


CHECK = Check(
    id="aws-iam-mfa",
    title="AWS root and console users have MFA",
    sources={
        "aws": {
            "iam.get_credential_report": 1,
            "iam.get_account_summary": 1,
            "iam.list_users": 0,
            "iam.list_roles": 1,
            "iam.list_saml_providers": 1,
        }
    },
    shard="account",
    basis=Basis.CONFIGURATION,
    params=Params,
    collect=collect,
    evaluate=evaluate,
    population=(
        "the root user and every IAM user of the credential report; IAM Identity Center, where it gives access to the "
        "account, and every other SAML provider"
    ),
    proves="each user that can sign in to the console with a password has an MFA device, and so has the root user",
    cannot_prove=(
        "users, passwords and MFA devices of after the report: IAM makes a new one every four hours at most",
        (
            "which users the account summary counts: where the numbers are equal, a user whom the report leaves out "
            "and another who was deleted since cancel each other out"
        ),
        "access keys: requests signed with them need no MFA, so users without a console password are apart",
        "people who come through IAM Identity Center or a SAML provider: their MFA is evidence there",
        "OpenID Connect providers, and principals of other accounts whom a role trusts",
        "which kind of MFA device it is",
        "a list of roles or of SAML providers that is short and well-formed: nothing counts them by kind",
        "that nobody lets a root user without credentials recover its password, as the management account can",
    ),
    second_source=(
        "IAM's account summary counts the users of now (GetAccountSummary), and says whether root has MFA; where the "
        "counts differ, ListUsers says who was created or deleted since the report"
    ),
    no_second_source=(
        "IAM counts roles and providers of all kinds together (GetAccountSummary), so nothing to hold the roles of "
        "Identity Center and the SAML providers against"
    ),
    time_based=True,
    criteria=("CC6.1", "CC6.3", "CC6.6"),
)
