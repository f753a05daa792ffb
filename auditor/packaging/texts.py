"""The two texts of a package: how to verify it, and what it cannot show."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.notices import SEAL_LIMITS
from auditor.packaging.site import Site
from auditor.packaging.view import View


def write(site: Site, views: Sequence[View], left_out: Sequence[str], *, signed: bool) -> None:
    """Write VERIFY.md and LIMITS.md; `views` are newest first, `signed` whether the package itself is.

    `left_out` says which runs of the chain are not in the package.
    """
    of_all = {
        "runs": views,
        "signed": signed,
        "any_signed": any(view.key for view in views),
        "unsigned_runs": not all(view.key for view in views),
    }
    site.text(
        "LIMITS.md",
        "LIMITS.md.j2",
        limits=SEAL_LIMITS,
        disclaimer=views[0].head.run.disclaimer,
        left_out=left_out,
        **of_all,
    )
    site.text(
        "VERIFY.md",
        "VERIFY.md.j2",
        stamped=any(view.stamped for view in views),
        example=next((f"{one.folder}/population.csv" for one in views[0].listed.values()), ""),
        **of_all,
    )
