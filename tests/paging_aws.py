"""A small AWS of our own, for what moto cannot do: real pages, fan-out over regions, throttling, malformed answers.

It speaks what the AWS checks ask, in the words of botocore's service models: sts GetCallerIdentity and AssumeRole, kms
DescribeKey, s3 ListBuckets and GetBucket{LifecycleConfiguration, Versioning, Encryption, Tagging}, and what
paging_aws_ec2, paging_aws_iam and paging_aws_config answer. Signatures are not checked. Whatever it does not understand
it refuses: no parameter is ignored.

    with PagingAws(State(volumes={"eu-west-1": [Volume("vol-1")]})) as aws:
        aws.throttle("DescribeVolumes", times=2)
        ...  # any client, with endpoint_url=aws.url
        assert aws.calls["DescribeVolumes"] == 3
"""

import json
import re
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests import paging_aws_config, paging_aws_ec2, paging_aws_iam
from tests import paging_aws_words as words

if TYPE_CHECKING:
    from datetime import datetime

S3_QUESTIONS = {
    "lifecycle": "GetBucketLifecycleConfiguration",
    "versioning": "GetBucketVersioning",
    "encryption": "GetBucketEncryption",
    "tagging": "GetBucketTagging",
}
# The parameters that are understood; the largest page of the two lists.
PARAMETERS = {
    "GetCallerIdentity": set[str](),
    "AssumeRole": {"RoleArn", "RoleSessionName", "ExternalId"},
    "DescribeRegions": {"AllRegions"},
    "DescribeVolumes": {"MaxResults", "NextToken", *paging_aws_ec2.FILTER},
    "DescribeKey": {"KeyId"},
    "ListBuckets": {"max-buckets", "continuation-token", "prefix", "bucket-region"},
    **{operation: {question} for question, operation in S3_QUESTIONS.items()},
    **{operation: set() for operation in paging_aws_iam.ANSWERS},
    "ListRoles": {"PathPrefix", "MaxItems", "Marker"},
    "ListUsers": {"MaxItems", "Marker"},
    **{operation: set() for operation in paging_aws_config.ANSWERS},
    "ListDiscoveredResources": {"resourceType", "limit", "nextToken"},
}
TOKENS = ("NextToken", "continuation-token", "Marker", "nextToken")
LARGEST_PAGE = {
    "DescribeVolumes": 500,
    "ListBuckets": 10_000,
    "ListRoles": 1000,
    "ListUsers": 1000,
    "ListDiscoveredResources": 100,
}


@dataclass
class Volume:
    """An EBS volume. `encrypted` may be a text, to be sent as it is."""

    volume_id: str
    encrypted: bool | str = True
    kms_key_id: str | None = None
    state: str = "in-use"
    size: int = 8
    create_time: str = words.CREATED
    hidden: bool = False  # left out of the list, as a page that is short leaves it out; by its id it is there


@dataclass
class Key:
    """A KMS key."""

    arn: str
    manager: str = "CUSTOMER"
    state: str = "Enabled"


@dataclass
class Bucket:
    """An S3 bucket. `lifecycle` is the XML between <LifecycleConfiguration> and its end; None: there is none."""

    name: str
    region: str = "us-east-1"
    lifecycle: str | None = None
    versioning: str | None = None
    encryption: str | None = "AES256"
    kms_key_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class State:
    """All there is in the account. The keys of `volumes` are the enabled regions."""

    volumes: dict[str, list[Volume]] = field(default_factory=lambda: {"us-east-1": []})
    disabled_regions: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)
    config: dict[str, paging_aws_config.Config] = field(default_factory=dict)
    iam: paging_aws_iam.Iam = field(default_factory=paging_aws_iam.Iam)
    account_id: str = "123456789012"
    user: str = "auditor"
    role_secret: str = "the secret key of the assumed role"
    role_token: str = "the session token of the assumed role"


@dataclass(frozen=True)
class Call:
    """One request, as it was understood. `of` is the bucket or the key that it is about."""

    operation: str
    region: str
    parameters: dict[str, str]
    of: str = ""
    expected_owner: str | None = None
    access_key: str = ""
    session_token: str | None = None


@dataclass
class Scheduled:
    """An answer that is given instead of the true one: to `times` calls (None: to all) of an operation."""

    operation: str
    answer: words.Answer
    times: int | None
    only: str | None  # a region, bucket or key

    def suits(self, call: Call) -> bool:
        """Whether it is for this call and not yet used up."""
        return call.operation == self.operation and self.times != 0 and self.only in (None, call.region, call.of)


class PagingAws:
    """The server. Use it as a context manager; set `state`, schedule answers, and read `calls` at any time."""

    def __init__(self, state: State | None = None, *, page_size: int = 1000) -> None:
        self.state = state or State()
        self.page_size = page_size  # the server never gives more than this, whatever is asked for
        self.date: datetime | None = None  # for the Date header; None: now
        self._lock = threading.Lock()
        self._requests: list[Call] = []
        self._scheduled: list[Scheduled] = []
        self._empty_pages: Counter[str] = Counter()
        self._repeated_tokens: set[str] = set()
        self._tokens: set[str] = set()
        self.ending = threading.Event()
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.aws = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, when every answer under way has been given."""
        self.ending.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The endpoint_url of every service."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def requests(self) -> list[Call]:
        """Every call so far, in order."""
        with self._lock:
            return list(self._requests)

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was called so far."""
        return Counter(call.operation for call in self.requests)

    def respond(
        self,
        operation: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
        body: bytes | str = b"",
        *,
        times: int | None = None,
        only: str | None = None,
        cut: bool = False,
    ) -> None:
        """Answer calls of an operation with this instead of the truth. `cut`: hang up after half of the body.

        Answers scheduled first are given first. `times` None means always; `only` limits it to a region, bucket or key.
        """
        content = body.encode() if isinstance(body, str) else body
        answer = words.Answer(status, content, headers or {"Content-Type": "text/xml;charset=UTF-8"}, cut=cut)
        self._schedule(operation, answer, times, only)

    def hang_up(self, operation: str, times: int | None = None, *, only: str | None = None) -> None:
        """End the connection of the next calls of an operation without a word."""
        self._schedule(operation, words.Answer(0, b"", silent=True), times, only)

    def hold(self, operation: str, times: int | None = None, *, only: str | None = None) -> None:
        """Leave the next calls of an operation without an answer for as long as the server runs."""
        self._schedule(operation, words.Answer(0, b"", silent=True, held=True), times, only)

    def throttle(self, operation: str, times: int = 1, *, only: str | None = None) -> None:
        """Refuse the next calls of an operation as too many."""
        self._schedule(operation, words.error(operation, *words.THROTTLING[words.service_of(operation)]), times, only)

    def deny(self, operation: str, *, only: str | None = None) -> None:
        """Refuse every call of an operation as not permitted."""
        self._schedule(operation, words.error(operation, *words.DENIAL[words.service_of(operation)]), None, only)

    def empty_page(self, operation: str, times: int = 1) -> None:
        """Let the next pages of a list be empty, each with a token for the rest."""
        with self._lock:
            self._empty_pages[operation] += times

    def repeat_token(self, operation: str) -> None:
        """Let every page of a list carry the same token, for ever."""
        with self._lock:
            self._repeated_tokens.add(operation)

    def _schedule(self, operation: str, answer: words.Answer, times: int | None, only: str | None) -> None:
        if operation not in PARAMETERS:
            raise KeyError(operation)
        with self._lock:
            self._scheduled.append(Scheduled(operation, answer, times, only))

    def answer(self, call: Call) -> words.Answer:
        """Count a call and answer it."""
        with self._lock:
            self._requests.append(call)
            for scheduled in self._scheduled:
                if scheduled.suits(call):
                    scheduled.times = None if scheduled.times is None else scheduled.times - 1
                    return scheduled.answer
        if unknown := call.parameters.keys() - PARAMETERS[call.operation]:
            return words.error(call.operation, 400, "UnknownParameter", f"unknown: {sorted(unknown)}")
        token = next((call.parameters[name] for name in TOKENS if name in call.parameters), None)
        if token is not None and token not in self._tokens:
            code = "InvalidNextToken" if call.operation == "DescribeVolumes" else "InvalidArgument"
            return words.error(call.operation, 400, code, "The token was not given by this server")
        for part in (paging_aws_ec2.ANSWERS, paging_aws_iam.ANSWERS, paging_aws_config.ANSWERS):
            if call.operation in part:
                return part[call.operation](self, call)
        return getattr(self, f"_{call.operation}")(call)  # type: ignore[no-any-return]

    def page(self, call: Call, item_count: int, limit: str | None, token: str | None) -> tuple[slice, str | None]:
        """Which items the asked-for page holds, and the token of the next page."""
        first = int(urlsafe_b64decode(token).split(b":")[1]) if token else 0
        size = min(int(limit or LARGEST_PAGE[call.operation]), LARGEST_PAGE[call.operation], self.page_size)
        with self._lock:
            if self._empty_pages[call.operation] > 0:
                self._empty_pages[call.operation] -= 1
                size = 0
            last = first + size
            next_token = None
            if call.operation in self._repeated_tokens:
                next_token = _token(call.operation, 0, 0)
            elif last < item_count:
                next_token = _token(call.operation, last, len(self._requests))
            if next_token:
                self._tokens.add(next_token)
        return slice(first, last), next_token

    def _GetCallerIdentity(self, _: Call) -> words.Answer:  # noqa: N802 - named as its operation
        return words.caller_identity(self.state.account_id, self.state.user)

    def _AssumeRole(self, _: Call) -> words.Answer:  # noqa: N802
        return words.assumed_role(self.state.role_secret, self.state.role_token)

    def _DescribeKey(self, call: Call) -> words.Answer:  # noqa: N802
        for key in self.state.keys:
            if call.of in (key.arn, key.arn.rpartition("/")[2]):
                return words.key(self.state.account_id, **vars(key))
        return words.error(call.operation, 400, "NotFoundException", f"Key '{call.of}' does not exist")

    def _ListBuckets(self, call: Call) -> words.Answer:  # noqa: N802
        asked = call.parameters
        buckets = sorted(self.state.buckets, key=lambda bucket: bucket.name)
        buckets = [bucket for bucket in buckets if bucket.name.startswith(asked.get("prefix", ""))]
        buckets = [bucket for bucket in buckets if asked.get("bucket-region") in (None, bucket.region)]
        part, token = self.page(call, len(buckets), asked.get("max-buckets"), asked.get("continuation-token"))
        entries = [(bucket.name, bucket.region if asked else None) for bucket in buckets[part]]
        return words.buckets(entries, token, asked.get("prefix"))

    def _bucket(self, call: Call) -> Bucket | words.Answer:
        """The bucket that a call is about, or why it is not answered."""
        for bucket in self.state.buckets:
            if bucket.name == call.of:
                if call.expected_owner not in (None, self.state.account_id):
                    return words.error(call.operation, 403, "AccessDenied", "Access Denied")
                return bucket if call.region == bucket.region else words.redirect(bucket.region, bucket.name)
        return words.error(call.operation, 404, "NoSuchBucket", "The specified bucket does not exist")

    def _GetBucketLifecycleConfiguration(self, call: Call) -> words.Answer:  # noqa: N802
        bucket = self._bucket(call)
        return words.lifecycle(bucket.lifecycle) if isinstance(bucket, Bucket) else bucket

    def _GetBucketVersioning(self, call: Call) -> words.Answer:  # noqa: N802
        bucket = self._bucket(call)
        return words.versioning(bucket.versioning) if isinstance(bucket, Bucket) else bucket

    def _GetBucketEncryption(self, call: Call) -> words.Answer:  # noqa: N802
        bucket = self._bucket(call)
        return words.encryption(bucket.encryption, bucket.kms_key_id) if isinstance(bucket, Bucket) else bucket

    def _GetBucketTagging(self, call: Call) -> words.Answer:  # noqa: N802
        bucket = self._bucket(call)
        return words.tagging(bucket.tags) if isinstance(bucket, Bucket) else bucket


def _token(operation: str, offset: int, serial: int) -> str:
    """A token that means nothing to a client. `serial` makes each one different."""
    return urlsafe_b64encode(f"{operation}:{offset}:{serial}".encode()).decode()


class _HttpServer(ThreadingHTTPServer):
    """One thread for each connection, all of them joined at the end."""

    daemon_threads = False
    request_queue_size = 256  # a fan-out over all regions comes at once
    aws: PagingAws


class _Handler(BaseHTTPRequestHandler):
    """Turns HTTP into calls, and answers into HTTP."""

    protocol_version = "HTTP/1.1"
    timeout = 10  # an idle connection must not keep the server from ending
    server: _HttpServer

    def do_GET(self) -> None:
        """S3: the operation is in path and query."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        bucket = unquote(parts.path).strip("/")
        operations = [S3_QUESTIONS[name] for name in query if name in S3_QUESTIONS] if bucket else ["ListBuckets"]
        self._give(operations[0] if operations else None, query, bucket)

    def do_POST(self) -> None:
        """STS, EC2, IAM, KMS and Config: the operation is in the body or in a header."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target")
        if target and target.startswith(paging_aws_config.TARGET):
            asked = {name: str(value) for name, value in json.loads(body).items()}
            self._give(target.removeprefix(paging_aws_config.TARGET), asked, "")
        elif target:
            key_id = re.search(rb'"KeyId": *"([^"]+)"', body)
            of = key_id[1].decode() if key_id else ""
            self._give(target.removeprefix("TrentService."), {"KeyId": of}, of)
        else:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            form.pop("Version", None)
            self._give(form.pop("Action", None), form, "")

    def _give(self, operation: str | None, parameters: dict[str, str], of: str) -> None:
        """Answer one call."""
        scope = re.search(r"Credential=([^/]+)/\d{8}/([^/]+)/", self.headers.get("Authorization", ""))
        if operation not in PARAMETERS:
            answer = words.Answer(501, b"", {"X-Refused": f"{self.command} {self.path}"})
        elif scope is None:
            answer = words.error(
                operation, 403, "MissingAuthenticationToken", "Request is missing Authentication Token"
            )
        else:
            owner = self.headers.get("x-amz-expected-bucket-owner")
            token = self.headers.get("X-Amz-Security-Token")
            answer = self.server.aws.answer(Call(operation, scope[2], parameters, of, owner, scope[1], token))
        if answer.silent:
            self.close_connection = not answer.held or self.server.aws.ending.wait()
            return
        date = self.server.aws.date
        self.send_response_only(answer.status)
        self.send_header("Date", format_datetime(date, usegmt=True) if date else self.date_time_string())
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by the library
        """Log nothing."""
