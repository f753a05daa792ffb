"""Everything there is to know about one check, gathered from where it is true: for the terminal and the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from auditor.checking import Check
from auditor.cli.shapes import Shape, in_yaml
from auditor.policy_rules import required_params
from auditor.questions import Operation, SourceType


class Question(NamedTuple):
    """An operation that a check may ask, and the least number of times that a complete population takes."""

    source: str
    operation: Operation
    least: int

    @property
    def times(self) -> str:
        """How often it is asked, in words."""
        return f"at least {self.least}" if self.least else "as needed"


def questions(check: Check, sources: Mapping[str, SourceType]) -> Iterator[Question]:
    """Yield every question of a check, those to its target first."""
    for name, operations in check.sources.items():
        for operation, least in operations.items():
            yield Question(name, sources[name].operations[operation], least)


def procedure(check: Check) -> str:
    """Return what a check reads, how often, and how strong the evidence is."""
    return f"reads {', '.join(check.sources)}, once per {check.shard}; by {check.basis.value}"


def policy_entry(check: Check, *, everything: bool = False) -> str:
    """Return a test of the check as it stands below `tests:` in a policy pack.

    What may be left out is a comment, unless `everything` is wanted.
    """
    lines = [
        f"id: my-{check.id}",
        f"check: {check.id}",
        f"targets: [{check.target_type}]  # an id, a tag or the type of targets in auditor.yaml",
    ]
    if check.further_sources:
        bound = ", ".join(f"{name}: my-{name}" for name in check.further_sources)
        lines.append(f"with: {{{bound}}}  # ids of targets in auditor.yaml")
    lines += ["severity: high", "cadence: P1D", "max_age: P1D", *_params(check, everything=everything)]
    return "\n".join([f"- {lines[0]}", *(f"  {line}" for line in lines[1:])])


def _params(check: Check, *, everything: bool) -> Iterator[str]:
    required = required_params(check)
    shape = Shape(check.params)
    fields = msgspec.structs.fields(check.params)
    if fields:
        yield "params:" if required or everything else "# params:"
    for field in fields:
        default = None if field.required else shape.default(field.encode_name)
        value = in_yaml(shape.example(field.encode_name) if default is None else default)
        if everything or field.required:
            yield f"  {field.encode_name}: {value}"
        else:
            yield f"  # {field.encode_name}: {value}" if required else f"#   {field.encode_name}: {value}"
