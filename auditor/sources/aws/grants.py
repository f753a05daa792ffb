"""The IAM policy that allows exactly these API calls, as JSON and as Terraform.

Grammar: IAM User Guide, "Grammar of the IAM JSON policy language"; the Terraform AWS provider's
`aws_iam_policy_document` and `aws_iam_policy`. The resource is `*`: the calls list what is there, whatever it is named.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from auditor.questions import Need
from auditor.sources.aws.operations import ASSUME_ROLE
from auditor.wording import counted, harmless

SID, NAME = "Auditor", "auditor"


def actions(needs: Sequence[Need]) -> list[str]:
    """Return the IAM actions, each once; calls that need none (STS GetCallerIdentity) are not among them."""
    return sorted({action for need in needs for action in need.operation.permissions})


def write_policy(settings: Any, needs: Sequence[Need], /) -> str:
    """Return the policy as JSON, which has no place for a comment."""
    del settings
    statement = {"Sid": SID, "Effect": "Allow", "Action": actions(needs), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2) + "\n"


def write_terraform(settings: Any, needs: Sequence[Need], /) -> str:
    """Return the policy for Terraform; where the target names a role, how that must trust who runs the audit."""
    allowed = actions(needs)
    lines = [
        f"# What auditor asks of AWS, and nothing else: {counted(len(allowed), 'action')}.",
        "",
        f'data "aws_iam_policy_document" "{NAME}" {{',
        "  statement {",
        f'    sid    = "{SID}"',
        '    effect = "Allow"',
        "",
        "    actions = [",
        *(f"      {json.dumps(action)}," for action in allowed),
        "    ]",
        "",
        '    resources = ["*"]',
        "  }",
        "}",
        "",
        f'resource "aws_iam_policy" "{NAME}" {{',
        f'  name   = "{NAME}"',
        f"  policy = data.aws_iam_policy_document.{NAME}.json",
        "}",
    ]
    return "\n".join([*lines, *_trust(settings)]) + "\n"


def _trust(settings: Any) -> Iterator[str]:
    if settings is None or settings.role_arn is None:
        return
    role = harmless(settings.role_arn)
    yield ""
    yield f"# Attach it to the role {role},"
    yield f"# and allow whoever runs auditor {ASSUME_ROLE.permission} on that role. Its trust policy:"
    yield "#"
    yield f'# data "aws_iam_policy_document" "{NAME}_trust" {{'
    yield "#   statement {"
    yield f'#     actions = ["{ASSUME_ROLE.permission}"]'
    yield "#"
    yield "#     principals {"
    yield '#       type        = "AWS"'
    yield '#       identifiers = ["<ARN of whoever runs auditor>"]'
    yield "#     }"
    if settings.external_id is not None:
        where = settings.external_id.env or settings.external_id.file
        yield "#"
        yield "#     condition {"
        yield '#       test     = "StringEquals"'
        yield '#       variable = "sts:ExternalId"'
        yield f'#       values   = ["<what {harmless(str(where))} holds>"]'
        yield "#     }"
    yield "#   }"
    yield "# }"
