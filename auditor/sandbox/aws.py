"""The AWS half of a demo world: moto's server in a child process, filled with what the world describes."""

import os
import secrets
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import botocore.session
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import auditor
from auditor.sandbox.aws_seed import Rekeyed, seed
from auditor.sandbox.aws_world import ACCOUNT_ID, AwsWorld, IamUser, KeyOfVolume, read_aws_world
from auditor.sandbox.part import Expected, SandboxError

TARGET = "prod"
SECONDS_TO_END = 5


class AwsServer:
    """moto's server as a child process. It ends with `stop`, and with this process however that ends."""

    def __init__(self, settings: bytes, folder: Path, command: tuple[str, ...]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "moto.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment_of_the_server(),
                start_new_session=True,  # Ctrl-C is for the auditor alone: it ends the server when it is done
            )
        self.pid = self._process.pid
        try:
            self.endpoint_url = f"http://127.0.0.1:{self._greet(settings)}"
        except (OSError, ValueError) as error:
            words = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            self.stop()
            raise SandboxError(f"moto's server did not start: {words[-1]}. Is auditor[sandbox] installed?") from error

    def _greet(self, settings: bytes) -> int:
        """Tell the server its settings; hear its port."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        pipe_in.write(settings + b"\n")
        pipe_in.flush()
        return int(pipe_out.readline())

    def change_key(self, key: KeyOfVolume) -> None:
        """Put a volume under another key; returns when that is so."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        pipe_in.write(msgspec.json.encode(key) + b"\n")
        pipe_in.flush()
        if pipe_out.readline() != b"done\n":
            raise SandboxError(f"moto's server did not change the key of {key.volume_id}: {self._log} says why")

    def stop(self) -> None:
        """End the server and remove its log. A second call does nothing."""
        if self._process.stdin and not self._process.stdin.closed:
            with suppress(BrokenPipeError):  # where it is gone already
                self._process.stdin.close()
        if self._process.stdout:
            self._process.stdout.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.unlink(missing_ok=True)


class AwsPart:
    """A running AWS account, a `Part`. `administrator` is the environment of a user who may do everything."""

    def __init__(self, server: AwsServer, users: tuple[dict[str, Any], dict[str, Any]]) -> None:
        administrator, auditors_user = users
        self.server = server
        self.administrator = _environment(administrator)
        self.environment = _environment(auditors_user)
        self.targets: list[dict[str, object]] = [
            {
                "id": TARGET,
                "type": "aws",
                "account_id": ACCOUNT_ID,
                "endpoint_url": server.endpoint_url,
                "tags": ["production"],
            }
        ]
        self.expected: list[Expected] = []
        self.rekeyed: list[Rekeyed] = []
        # Nothing of the user's own AWS configuration or proxy may lead calls away from this machine.
        nothing = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
        self._session = botocore.session.Session(session_vars=nothing)

    def client(self, service: str, region: str) -> Any:
        """A client of the administrator, as boto3 makes them."""
        return self._session.create_client(
            service,
            region_name=region,
            endpoint_url=self.server.endpoint_url,
            aws_access_key_id=self.administrator["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.administrator["AWS_SECRET_ACCESS_KEY"],
            config=Config(proxies={}, s3={"addressing_style": "path"}),
        )

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Put the volumes that are said to have changed their key back under the one they had."""
        for volume in self.rekeyed:
            self.server.change_key(volume.before)
        try:
            yield
        finally:
            for volume in self.rekeyed:
                self.server.change_key(volume.now)

    def stop(self) -> None:
        """End the server. A second call does nothing."""
        self.server.stop()


def start_aws(world: Path, folder: Path) -> AwsPart:
    """Start the AWS account that `world`/aws.yaml describes. Its server logs into `folder` until it is stopped."""
    return start_account(read_aws_world(world / "aws.yaml"), folder)


def start_account(
    world: AwsWorld,
    folder: Path,
    command: tuple[str, ...] = ("-m", "auditor.sandbox.moto_server"),
) -> AwsPart:
    """Start an AWS account as `start_aws` does. `command` is what python runs as the server."""
    users = _user("administrator", ["*"]), _user("auditor", world.auditor_may, world.auditor_may_not)
    signed_in = {user.name: user.last_sign_in for user in world.users if user.last_sign_in}
    settings = msgspec.json.encode(
        {
            "enabled_regions": world.enabled_regions,
            "users": users,
            "root": _root(world),
            "signed_in": signed_in,
            "recording_since": {recorder.region: recorder.since for recorder in world.recorders},
        }
    )
    part = AwsPart(AwsServer(settings, folder, command), users)
    try:
        volume_ids, part.rekeyed = seed(world, part.client)
    except (BotoCoreError, ClientError) as error:
        part.stop()
        raise SandboxError(f"The AWS world cannot be built: {error}") from error
    except BaseException:
        part.stop()
        raise
    part.expected = expected_of(world, volume_ids)
    return part


def expected_of(world: AwsWorld, volume_ids: dict[str, str]) -> list[Expected]:
    """The truth about a world, by resource id."""
    resources = [(volume_ids[volume.name], volume.expected) for volume in world.volumes]
    resources += [(bucket.name, bucket.expected) for bucket in world.buckets]
    resources += [(f"arn:aws:iam::{ACCOUNT_ID}:root", world.root.expected)]
    resources += [(user.arn, user.expected) for user in (*world.users, *_our_users(world))]
    resources += [(ACCOUNT_ID, world.identity_center.expected)]
    resources += [(provider.arn, provider.expected) for provider in world.saml_providers]
    return [
        Expected(check=check, target=TARGET, resource=resource, outcome=truth.outcome, why=truth.why)
        for resource, truths in resources
        for check, truth in truths.items()
    ]


def _our_users(world: AwsWorld) -> list[IamUser]:
    """The users that act in a world: they have access keys only."""
    return [IamUser(name, world.expected_of_our_users) for name in ("administrator", "auditor")]


def _root(world: AwsWorld) -> dict[str, str]:
    """The columns of a credential report that the world decides of its root user."""
    root = world.root
    return {
        "password_enabled": {"yes": "true", "no": "false", "unsaid": "not_supported"}[root.console],
        "password_last_used": "N/A" if root.console == "no" else root.last_sign_in or "no_information",
        "mfa_active": str(root.mfa).lower(),
        "access_key_1_active": str(root.access_key).lower(),
    }


def _user(name: str, actions: list[str], denied: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Describe an IAM user with a new access key."""
    letters = "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
    # As long as those of AWS, and always with the characters that a careless URL or log would mangle.
    random = b64encode(secrets.token_bytes(30)).decode()
    secret = f"{random[:12]}/{random[13:27]}+{random[28:]}"
    return {
        "name": name,
        "access_key_id": f"AKIA{letters}",
        "secret_access_key": secret,
        "actions": actions,
        "denied": denied or {},
    }


def _environment(user: dict[str, Any]) -> dict[str, str]:
    """The variables by which AWS tools act as a user."""
    return {
        "AWS_ACCESS_KEY_ID": user["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": user["secret_access_key"],
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


def _environment_of_the_server() -> dict[str, str]:
    """This process's environment, without what would change moto, and with the way to this package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    package_root = str(Path(auditor.__file__).parent.parent)
    # Loading the list of public machine images costs half a second, and nothing here asks for them.
    return {**kept, "PYTHONPATH": package_root, "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
