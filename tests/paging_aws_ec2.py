"""The EC2 of paging_aws: regions and volumes, in pages or by their ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests import paging_aws_words as words

MOST_VALUES = 200
VALUES = [f"Filter.1.Value.{number}" for number in range(1, MOST_VALUES + 1)]
FILTER = ("Filter.1.Name", *VALUES)
SMALLEST_PAGE = 5


def _regions(aws: Any, call: Any) -> words.Answer:
    regions = [(name, "opt-in-not-required") for name in aws.state.volumes]
    if call.parameters.get("AllRegions") == "true":
        regions += [(name, "not-opted-in") for name in aws.state.disabled_regions]
    return words.regions(regions)


def _volumes(aws: Any, call: Any) -> words.Answer:
    asked = call.parameters
    if call.region not in aws.state.volumes:
        message = "AWS was not able to validate the provided access credentials"
        return words.error(call.operation, 401, "AuthFailure", message)
    limit, token = asked.get("MaxResults"), asked.get("NextToken")
    if limit is not None and int(limit) < SMALLEST_PAGE:
        return words.error(call.operation, 400, "InvalidParameterValue", f"maxResults {limit} is too small")
    if asked.get("Filter.1.Name", "volume-id") != "volume-id":
        return words.error(call.operation, 400, "InvalidParameterValue", "this server filters by volume-id only")
    wanted = [asked[name] for name in VALUES if name in asked]
    volumes = [
        vars(volume)
        for volume in aws.state.volumes[call.region]
        if (volume.volume_id in wanted if wanted else not volume.hidden)
    ]
    if limit is None and token is None:
        return words.volumes(call.region, volumes, None)  # unpaged is all, as on AWS
    part, next_token = aws.page(call, len(volumes), limit, token)
    return words.volumes(call.region, volumes[part], next_token)


ANSWERS: dict[str, Callable[[Any, Any], words.Answer]] = {"DescribeRegions": _regions, "DescribeVolumes": _volumes}
