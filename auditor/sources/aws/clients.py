"""Signing in to an account, and the clients that ask it."""

from __future__ import annotations

import logging
import threading
from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from auditor import __version__
from auditor.questions import Opening, SourceFailure
from auditor.sources.aws.failures import failure_of
from auditor.sources.aws.operations import ASSUME_ROLE
from auditor.sources.aws.strict import require
from auditor.sources.aws.target import AwsTarget
from auditor.sources.aws.wire import Wire

CONNECT_SECONDS, READ_SECONDS = 10, 30
SESSION_NAME = "auditor"

# botocore's debug log quotes requests and answers in full: session tokens, and the secret keys that AssumeRole gives.
logging.getLogger("botocore").setLevel(logging.INFO)


@cache
def _loader() -> Loader:
    """Return the service models of the process: one loader for all sessions, or each region would load its own."""
    return Loader(include_default_search_paths=True)


class Clients:
    """Signs in once, and makes each client when it is first needed. Safe to share between threads."""

    def __init__(self, target: AwsTarget, opening: Opening, wire: Wire) -> None:
        self._target = target
        self._opening = opening
        self._wire = wire
        self._lock = threading.Lock()
        self._session: boto3.session.Session | None = None
        self._made: dict[tuple[str, str], Any] = {}

    def get(self, service: str, region: str) -> Any:
        """Return the client of a service in a region; `SourceFailure` or botocore's own where nobody can sign in."""
        with self._lock:  # making clients is not thread-safe, using them is
            if (service, region) not in self._made:
                self._made[service, region] = self._make(self._signed_in(), service, region)
            return self._made[service, region]

    def close(self) -> None:
        """Close every pooled connection."""
        for client in self._made.values():
            client.close()

    def _make(self, session: boto3.session.Session, service: str, region: str) -> Any:
        endpoint = self._target.endpoint_url
        options: dict[str, Any] = {  # the stubs do not know them all
            "retries": {"mode": "standard", "total_max_attempts": self._target.max_attempts},
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "user_agent_extra": f"auditor/{__version__}",
            "ignore_configured_endpoint_urls": True,  # who is asked stands in the settings, and so in the evidence
            "s3": {
                "disable_s3_express_session_auth": True,  # a directory bucket would make botocore ask CreateSession
                **({"addressing_style": "path"} if endpoint else {}),
            },
        }
        make: Any = session.client  # the stubs know services by literal names only
        client = make(service, region_name=region, endpoint_url=endpoint, config=Config(**options))
        self._wire.watch(client)
        return client

    def _signed_in(self) -> boto3.session.Session:
        if self._session is None:
            base = _new_session()
            self._conceal(base)
            self._session = self._assume(base) if self._target.role_arn else base
        return self._session

    def _assume(self, base: boto3.session.Session) -> boto3.session.Session:
        """Sign in as the target's role. The answer is a secret: it is used and concealed, and never evidence."""
        request: dict[str, Any] = {"RoleArn": self._target.role_arn, "RoleSessionName": SESSION_NAME}
        if self._target.external_id is not None:
            request["ExternalId"] = self._opening.secret(self._target.external_id)
        exchange = self._wire.begin(ASSUME_ROLE)
        client = self._make(base, ASSUME_ROLE.service, self._target.home_region)
        try:
            answer = client.assume_role(**request)
            require(answer, ASSUME_ROLE.required)
        except Exception as error:  # boundary: botocore's parsers raise whatever their parts raise
            failure = failure_of(error, exchange)
            if failure is None:
                raise
            cause = f"{self._target.role_arn}: {failure.code}: {failure.message}"
            raise SourceFailure("assume_role" if exchange.status else failure.code, cause) from None
        finally:
            client.close()
        assumed = botocore.session.get_session()
        credentials = answer["Credentials"]
        assumed.set_credentials(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
        session = _new_session(assumed)
        self._conceal(session)
        return session

    def _conceal(self, session: boto3.session.Session) -> None:
        credentials = session.get_credentials()
        if credentials is not None:
            frozen = credentials.get_frozen_credentials()
            for secret in (frozen.secret_key, frozen.token):
                if secret:
                    self._opening.conceal(secret)


def _new_session(core: botocore.session.Session | None = None) -> boto3.session.Session:
    core = core or botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=core)
