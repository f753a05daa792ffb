"""Fill an AWS account with what a world describes, as its administrator would: by calling AWS."""

import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from auditor.sandbox.aws_world import (
    ACCOUNT_ID,
    AWS,
    AwsWorld,
    Bucket,
    CustomerKey,
    IamUser,
    IdentityCenter,
    KeyOfVolume,
    Recorder,
    Volume,
)

# The types of each service's client are a package of their own, which a demo does not need.
Client = Any


class Rekeyed(NamedTuple):
    """A volume that was under another key when an earlier run looked at it."""

    before: KeyOfVolume
    now: KeyOfVolume


def seed(world: AwsWorld, connect: Callable[[str, str], Client]) -> tuple[dict[str, str], list[Rekeyed]]:
    """Create everything; return the ids of the volumes by name, and those that were under another key.

    `connect(service, region)` gives a client. It is called in this thread only: making clients is not thread safe.
    """
    items: list[CustomerKey | Volume | Bucket] = [*world.keys, *world.volumes, *world.buckets]
    regions = sorted({item.region for item in items})
    clients = {(service, region): connect(service, region) for region in regions for service in ("ec2", "kms", "s3")}
    iam = connect("iam", "us-east-1")
    create_users(iam, world.users)
    for recorder in world.recorders:
        create_recorder(connect("config", recorder.region), recorder)
    create_identity_center(iam, world.identity_center)
    for provider in world.saml_providers:
        create_saml_provider(iam, provider.name)

    def seed_region(region: str) -> tuple[dict[str, str], list[Rekeyed]]:
        ec2, kms, s3 = (clients[service, region] for service in ("ec2", "kms", "s3"))
        keys = [key for key in world.keys if key.region == region]
        key_ids = {key.name: create_key(kms, key) for key in keys}
        volumes = [volume for volume in world.volumes if volume.region == region]
        volume_ids = {volume.name: create_volume(ec2, volume, key_ids) for volume in volumes}
        for bucket in world.buckets:
            if bucket.region == region:
                create_bucket(s3, bucket, key_ids)
        # Last, as in life: a key ends after things were encrypted with it.
        for key in keys:
            end_key(kms, key, key_ids[key.name])
        changed = [volume for volume in volumes if volume.earlier_key]
        return volume_ids, [rekeyed(ec2, kms, volume, volume_ids[volume.name], key_ids) for volume in changed]

    # Two at a time: more of them only make moto load the same models at once.
    with ThreadPoolExecutor(max_workers=2) as pool:
        seeded = list(pool.map(seed_region, regions))
    ids = {name: volume_id for volume_ids, _ in seeded for name, volume_id in volume_ids.items()}
    return ids, [volume for _, changed in seeded for volume in changed]


def create_key(kms: Client, key: CustomerKey) -> str:
    """Create a KMS key; return its id."""
    tags = [{"TagKey": "Name", "TagValue": key.name}]
    return str(kms.create_key(Description=key.name, Tags=tags)["KeyMetadata"]["KeyId"])


def end_key(kms: Client, key: CustomerKey, key_id: str) -> None:
    """Bring a key into the state that the world wants it in."""
    if key.state == "disabled":
        kms.disable_key(KeyId=key_id)
    elif key.state == "pending_deletion":
        kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)


def create_volume(ec2: Client, volume: Volume, key_ids: dict[str, str]) -> str:
    """Create a volume, by itself or as the root volume of a new instance; return its id."""
    zone = f"{volume.region}a"
    tags = [{"Key": "Name", "Value": volume.name}]
    encryption: dict[str, object] = {"Encrypted": volume.encrypted}
    if volume.key:
        encryption["KmsKeyId"] = key_ids[volume.key]
    if volume.state == "available":
        tagged = [{"ResourceType": "volume", "Tags": tags}]
        created = ec2.create_volume(AvailabilityZone=zone, Size=volume.size, TagSpecifications=tagged, **encryption)
        return str(created["VolumeId"])
    disk = {"VolumeSize": volume.size, "VolumeType": "gp3", **encryption}
    reservation = ec2.run_instances(
        ImageId="ami-0abcdef1234567890",
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        Placement={"AvailabilityZone": zone},
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": disk}],
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
    )
    (mapping,) = reservation["Instances"][0]["BlockDeviceMappings"]
    return str(mapping["Ebs"]["VolumeId"])


def rekeyed(ec2: Client, kms: Client, volume: Volume, volume_id: str, key_ids: dict[str, str]) -> Rekeyed:
    """Return the key that a volume is under, and the one it was under, by their ARNs."""
    (found,) = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    earlier = "alias/aws/ebs" if volume.earlier_key == AWS else key_ids[str(volume.earlier_key)]
    before = kms.describe_key(KeyId=earlier)["KeyMetadata"]["Arn"]
    return Rekeyed(*(KeyOfVolume(volume.region, volume_id, arn) for arn in (before, found["KmsKeyId"])))


def create_bucket(s3: Client, bucket: Bucket, key_ids: dict[str, str]) -> None:
    """Create a bucket and configure it."""
    # us-east-1 is the one region that must not be named.
    location = {} if bucket.region == "us-east-1" else {"LocationConstraint": bucket.region}
    s3.create_bucket(Bucket=bucket.name, **({"CreateBucketConfiguration": location} if location else {}))
    if bucket.tags:
        tags = [{"Key": key, "Value": value} for key, value in bucket.tags.items()]
        s3.put_bucket_tagging(Bucket=bucket.name, Tagging={"TagSet": tags})
    if bucket.versioning != "never":
        versioning = {"Status": bucket.versioning.capitalize()}
        s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioning)
    if bucket.lifecycle:
        rules = {"Rules": bucket.lifecycle}
        s3.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=rules)
    if bucket.encryption:
        default: dict[str, str] = {"SSEAlgorithm": bucket.encryption.algorithm}
        if bucket.encryption.key:
            default["KMSMasterKeyID"] = key_ids[bucket.encryption.key]
        configuration = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
        s3.put_bucket_encryption(Bucket=bucket.name, ServerSideEncryptionConfiguration=configuration)


def create_user(iam: Client, user: IamUser) -> None:
    """Create an IAM user with the credentials that the world gives it."""
    iam.create_user(UserName=user.name, Path=user.path)
    if user.password:
        iam.create_login_profile(UserName=user.name, Password=secrets.token_urlsafe(20))
    if user.mfa:
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName=user.name)["VirtualMFADevice"]
        codes = {"AuthenticationCode1": "000000", "AuthenticationCode2": "111111"}  # moto takes any two
        iam.enable_mfa_device(UserName=user.name, SerialNumber=device["SerialNumber"], **codes)
    if user.access_key:
        iam.create_access_key(UserName=user.name)


def create_users(iam: Client, users: list[IamUser]) -> None:
    """Create the users; between those of before and after it, have IAM make the report, which it keeps for hours."""
    newcomers = [user for user in users if user.after_report]
    for user in users:
        if user not in newcomers:
            create_user(iam, user)
    while newcomers and iam.generate_credential_report()["State"] != "COMPLETE":
        pass  # the first answer says that it was begun
    for user in newcomers:
        create_user(iam, user)


def create_recorder(config: Client, recorder: Recorder) -> None:
    """Switch AWS Config on in a region."""
    group = {"resourceTypes": recorder.only} if recorder.only else {"allSupported": True}
    role = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
    config.put_configuration_recorder(
        ConfigurationRecorder={"name": "default", "roleARN": role, "recordingGroup": group}
    )
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "acme-config"})
    config.start_configuration_recorder(ConfigurationRecorderName="default")
    if recorder.stopped:
        config.stop_configuration_recorder(ConfigurationRecorderName="default")


def create_identity_center(iam: Client, center: IdentityCenter) -> None:
    """Create what IAM Identity Center creates for permission sets: on AWS nobody else may."""
    if not center.permission_sets:
        return
    arn = create_saml_provider(iam, "AWSSSO_6f1c2b3d4e5f6071_DO_NOT_DELETE")
    trusted = {"Effect": "Allow", "Action": "sts:AssumeRoleWithSAML", "Principal": {"Federated": arn}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    for name in center.permission_sets:
        iam.create_role(
            Path=f"/aws-reserved/sso.amazonaws.com/{center.region}/",
            RoleName=f"AWSReservedSSO_{name}_0a1b2c3d4e5f6071",
            AssumeRolePolicyDocument=trust,
        )


def create_saml_provider(iam: Client, name: str) -> str:
    """Create a SAML provider; return its ARN."""
    metadata = "<EntityDescriptor/>".ljust(1000)  # AWS wants as many characters
    return str(iam.create_saml_provider(Name=name, SAMLMetadataDocument=metadata)["SAMLProviderArn"])
