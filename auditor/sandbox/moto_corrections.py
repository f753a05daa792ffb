"""What moto 5.2.5 gets wrong in the calls that the AWS checks make, corrected in process.

Only errors that meet ec2 DescribeRegions and DescribeVolumes, kms DescribeKey, sts GetCallerIdentity, s3 ListBuckets
and GetBucket{LifecycleConfiguration, Versioning, Encryption, Tagging}, iam {Generate, Get}CredentialReport,
GetAccountSummary and List{Users, Roles, SAMLProviders}, config DescribeConfigurationRecorder{s, Status} and
ListDiscoveredResources are here (those of S3, IAM and Config in modules of their own, moto_*_corrections).
Each correction is one function whose docstring says what moto does, what AWS does, and where that is written:
botocore's service model and its documentation, unless said. tests/test_sandbox_aws.py has a probe for each, and runs
every probe against moto as it comes too: a correction that is no longer needed fails there.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.ec2.models.elastic_block_store import EBSBackend, Volume
from moto.ec2.responses import EC2Response
from moto.ec2.responses.availability_zones_and_regions import AvailabilityZonesAndRegions
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.iam.access_control import IAMRequest
from moto.kms.models import Alias, Key, KmsBackend, kms_backends
from moto.kms.responses import KmsResponse
from moto.kms.utils import RESERVED_ALIASES
from werkzeug.exceptions import HTTPException

from auditor.sandbox import moto_config_corrections, moto_iam_corrections, moto_s3_corrections
from auditor.sandbox.moto_replacement import replaces

ENABLED_REGIONS: list[str] = []
"""Regions that are enabled for the account. Empty: all of them. Set by the server before it serves."""

# EC2 and AWS General Reference: a Region launched after 20 March 2019 must be opted in to; these need not.
OPT_IN_NOT_REQUIRED = frozenset(
    [
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
        *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    ]
)
MAX_RESULTS_FLOOR, MAX_RESULTS_CEILING = 5, 500


class Denied(HTTPException):
    """A refusal, worded as the called service words it."""

    def __init__(self, code: int, body: str) -> None:
        super().__init__(body)
        self.code = code


def describe_regions_lists_what_is_enabled() -> None:
    """Moto lists every region of three partitions; EC2 the enabled ones of one, and all of them with AllRegions."""

    @replaces(AvailabilityZonesAndRegions, "describe_regions")
    def describe_regions(self: AvailabilityZonesAndRegions) -> ActionResult:
        self.error_on_dryrun()
        wanted = self._get_param("RegionNames", [])
        every = self._get_param("AllRegions", if_none=False)
        regions = []
        for region in RegionsAndZonesBackend.regions:
            name = region.name
            if name.startswith(("us-gov-", "cn-")) or (wanted and name not in wanted):
                continue
            enabled = not ENABLED_REGIONS or name in ENABLED_REGIONS
            if enabled or every or wanted:
                status = "opt-in-not-required" if name in OPT_IN_NOT_REQUIRED else "opted-in"
                status = status if enabled else "not-opted-in"
                regions.append({"RegionName": name, "Endpoint": region.endpoint, "OptInStatus": status})
        return ActionResult({"Regions": regions})


def describe_volumes_pages() -> None:
    """Moto ignores MaxResults and NextToken; EC2 pages by them, 5 to 500 at a time (facts A5.1, botocore 1.29 docs)."""

    @replaces(ElasticBlockStore, "describe_volumes")
    def describe_volumes(self: ElasticBlockStore) -> ActionResult:
        ids = self._get_param("VolumeIds", [])
        limit = self._get_param("MaxResults")
        token = self._get_param("NextToken")
        volumes = self.ec2_backend.describe_volumes(volume_ids=ids, filters=self._filters_from_querystring())
        if limit is None and token is None:
            return ActionResult({"Volumes": volumes})
        if ids:
            raise EC2ClientError(
                "InvalidParameterCombination",
                "The parameter volumeSet cannot be used with the parameter maxResults",
            )
        page_size = MAX_RESULTS_CEILING if limit is None else int(limit)
        if page_size < MAX_RESULTS_FLOOR:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ( {limit} ) for parameter maxResults is invalid. Expecting a value of 5 or more.",
            )
        first = _offset(token) if token else 0
        last = first + min(page_size, MAX_RESULTS_CEILING)
        result: dict[str, Any] = {"Volumes": volumes[first:last]}
        if last < len(volumes):
            result["NextToken"] = f"volumes-from-{last}".encode().hex()
        return ActionResult(result)


def _offset(token: str) -> int:
    """Where the page that a NextToken stands for begins."""
    try:
        return int(bytes.fromhex(token).decode().removeprefix("volumes-from-"))
    except ValueError:
        raise EC2ClientError("InvalidNextToken", "The specified NextToken is not valid.") from None


def volumes_name_their_key_by_arn() -> None:
    """Moto returns KmsKeyId as it was sent; EC2 the ARN of the key, whatever form was sent (Volume.KmsKeyId)."""
    create = EBSBackend.create_volume

    @replaces(EBSBackend, "create_volume")
    def create_volume(self: Any, *arguments: Any, **named: Any) -> Volume:
        key_id = named.get("kms_key_id")
        if key_id and ":key/" not in key_id:
            named["kms_key_id"] = kms_backends[self.account_id][self.region_name].describe_key(key_id).arn
        return create(self, *arguments, **named)


def keys_of_aws_say_so() -> None:
    """Moto's key behind alias/aws/ebs is the customer's; a predefined alias names one managed by AWS (DescribeKey)."""
    create = KmsBackend.create_alias

    @replaces(KmsBackend, "create_alias")
    def create_alias(self: KmsBackend, target_key_id: str, alias_name: str) -> Alias:
        alias = create(self, target_key_id, alias_name)
        if alias_name in RESERVED_ALIASES:
            self.keys[alias.target_key_id].key_manager = "AWS"
        return alias


def key_metadata_has_no_nulls() -> None:
    """Moto says `"MultiRegion": null, "KeyUsage": null`; KMS gives the defaults, and leaves out what does not apply."""
    describe = Key.to_dict

    @replaces(Key, "to_dict")
    def to_dict(self: Key) -> dict[str, Any]:
        given = {name: value for name, value in describe(self)["KeyMetadata"].items() if value not in (None, [])}
        return {"KeyMetadata": {"KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": False, **given}}


def kms_answers_are_json() -> None:
    """Moto calls its JSON text/html; the protocol (json 1.1) says application/x-amz-json-1.1."""
    answer = KmsResponse.call_action

    @replaces(KmsResponse, "call_action")
    def call_action(self: KmsResponse) -> Any:
        status, headers, body = answer(self)
        return status, {**headers, "Content-Type": "application/x-amz-json-1.1"}, body


def denials_are_worded_by_their_service() -> None:
    """Moto says AccessDenied in XML for all; EC2 says UnauthorizedOperation, KMS and Config a 400 in JSON.

    Written in the EC2 API Reference ("Error codes"), and as "Common errors" (AccessDeniedException) in the other two.
    """
    deny = IAMRequest._raise_access_denied  # noqa: SLF001 - moto has no public place for it
    answer = EC2Response.call_action

    @replaces(IAMRequest, "_raise_access_denied")
    def raise_access_denied(self: IAMRequest) -> None:
        who_and_what = f"User: {self._access_key.arn} is not authorized to perform: {self._action}"
        if self._service == "ec2":
            message = f"You are not authorized to perform this operation. {who_and_what}"
            error = f"<Error><Code>UnauthorizedOperation</Code><Message>{escape(message)}</Message></Error>"
            body = f"<Response><Errors>{error}</Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
            raise Denied(403, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}')
        if self._service in ("kms", "config"):
            raise Denied(400, json.dumps({"__type": "AccessDeniedException", "Message": who_and_what}))
        deny(self)

    @replaces(EC2Response, "call_action")
    def call_action(self: EC2Response) -> Any:
        status, headers, body = answer(self)
        headers.setdefault("Content-Type", "text/xml;charset=UTF-8")
        return status, headers, body


CORRECTIONS: tuple[Callable[[], None], ...] = (
    describe_regions_lists_what_is_enabled,
    describe_volumes_pages,
    volumes_name_their_key_by_arn,
    keys_of_aws_say_so,
    key_metadata_has_no_nulls,
    kms_answers_are_json,
    denials_are_worded_by_their_service,
    *moto_s3_corrections.CORRECTIONS,
    *moto_iam_corrections.CORRECTIONS,
    *moto_config_corrections.CORRECTIONS,
)


def apply() -> None:
    """Correct moto in this process. For a process that only serves moto: there is no way back."""
    for correct in CORRECTIONS:
        correct()
