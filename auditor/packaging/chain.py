"""What of their chains is not among the runs of a package: what was left out is what an auditor asks first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.verify import Verified
from auditor.wording import harmless


def left_out(runs: Sequence[Verified]) -> Iterator[str]:
    """Yield a sentence for each place where a run follows one that is not here; nothing where none was left out.

    What came after the last run, no run can tell. Runs of one organization may be of several chains: that two runs are
    of one, only the runs between them show, and no number. That they are of several, the same number twice shows.
    """
    here = {run.run for run in runs}
    numbers = [run.scope.sequence for run in runs]
    gaps = sorted(
        (run.scope.sequence, run.run, previous.id)
        for run in runs
        if (previous := run.scope.previous_run) is not None and previous.id not in here
    )
    several = len(set(numbers)) < len(numbers) or any(number - 1 in numbers for number, _, _ in gaps)
    if several:
        yield "the runs in this package are of more than one chain"
    for number, run, previous_id in gaps:
        first, last = max((one + 1 for one in numbers if one < number), default=1), number - 1
        if several:
            yield f"not in this package: run {harmless(previous_id)}, number {last} of its chain, which {run} follows"
            continue
        which, it, last_of = f"number {last}", "it", "which is"
        if first < last:
            which, it, last_of = f"numbers {first} to {last}", "them", "the last of which is"
        if first == 1:
            yield f"not in this package: {which} of the chain, before the first run that is"
            continue
        yield (
            f"not in this package: at least {which} of the chain of {run}, {last_of} {harmless(previous_id)}; "
            f"without {it} nobody can tell whether the runs before are of the same chain"
        )
