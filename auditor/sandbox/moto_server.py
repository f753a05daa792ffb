"""Moto's server, with its known errors corrected: the AWS of a demo world, run as a child process.

    python -m auditor.sandbox.moto_server

It reads its settings (one line of JSON) from standard input, listens on a loopback port that the system chooses, and
writes that port to standard output. Each further line changes the key of a volume, and is answered by a line. When
standard input ends it ends: the pipe closes however the parent dies, so nothing stays behind even after a kill -9.
"""

import datetime as dt
import logging
import os
import sys
import threading
from typing import Any

import msgspec
from moto import settings as moto_settings
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from auditor.sandbox import moto_config_corrections, moto_corrections, moto_iam_corrections
from auditor.sandbox.aws_world import ACCOUNT_ID, KeyOfVolume


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An IAM user of the account: its access key, and what its one policy says.

    `actions` are allowed on every resource; `denied` are denied on the buckets named.
    """

    name: str
    access_key_id: str
    secret_access_key: str
    actions: list[str]
    denied: dict[str, list[str]] = {}


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the server is told on standard input.

    `root` holds columns of root's row in credential reports, `signed_in` when users last did so, by name;
    `recording_since` when AWS Config's recorders were started, by region.
    """

    enabled_regions: list[str]
    users: list[User]
    root: dict[str, str]
    signed_in: dict[str, str]
    recording_since: dict[str, dt.datetime] = {}


class QuietRequestHandler(MotoRequestHandler):
    """Moto's handler without a log line for every request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: errors still reach the log."""


def create_user(user: User) -> None:
    """Create one IAM user with a known access key, as an administrator would have."""
    iam = iam_backends[ACCOUNT_ID]["aws"]
    # moto makes up an id in its own style; those of AWS begin with AIDA.
    iam.create_user(region_name="us-east-1", user_name=user.name).id = f"AIDA{user.access_key_id[4:]}"
    statements: list[dict[str, Any]] = [{"Effect": "Allow", "Action": user.actions, "Resource": "*"}]
    for action, buckets in user.denied.items():
        arns = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
        statements.append({"Effect": "Deny", "Action": action, "Resource": arns})
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_user_policy(user.name, "demo", msgspec.json.encode(policy).decode())
    key = iam.create_access_key(user.name)
    iam.access_keys.pop(key.physical_resource_id)
    key.access_key_id, key.secret_access_key = user.access_key_id, user.secret_access_key
    iam.access_keys[key.physical_resource_id] = key


def change_key(change: KeyOfVolume) -> None:
    """Put a volume under another key."""
    ec2_backends[ACCOUNT_ID][change.region].volumes[change.volume_id].kms_key_id = change.kms_key_id


def serve() -> None:
    """Serve as standard input says, until standard input ends."""
    # The pipe carries the port and what is done; what libraries print goes where errors go.
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)
        settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=ServerSettings)
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        moto_corrections.ENABLED_REGIONS[:] = settings.enabled_regions
        moto_iam_corrections.ROOT.update(settings.root)
        moto_iam_corrections.SIGNED_IN.update(settings.signed_in)
        moto_config_corrections.SINCE.update(settings.recording_since)
        for user in settings.users:
            create_user(user)
        # From the first request on, signatures are checked and only what a user's policy allows is answered.
        moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        application = DomainDispatcherApplication(create_backend_app)
        server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answers.write(f"{server.server_port}\n")
        for line in sys.stdin.buffer:
            change_key(msgspec.json.decode(line, type=KeyOfVolume))
            answers.write("done\n")
    # There is nothing to save, and taking an interpreter with moto apart takes half a second.
    os._exit(0)


if __name__ == "__main__":
    moto_corrections.apply()
    serve()
