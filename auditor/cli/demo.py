"""`auditor demo`: a world of real servers on loopback, audited exactly as `auditor run` would."""

from __future__ import annotations

import os
import re
import shlex
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.cli import options
from auditor.cli.run import EXIT_CODES, audit

if TYPE_CHECKING:
    from auditor.sandbox.world import World

WORLDS = ("healthy", "broken")
EVERYTHING: dict[str, tuple[str, ...]] = {"claims": (), "tests": (), "checks": (), "targets": ()}
COMPARING = ("aws-ebs-key-stability",)
"""The checks that compare what is with what earlier runs saw."""
MEANT_FOR_OTHERS = re.compile(r"AWS_|BOTO|PG[A-Z]|(HTTPS?|ALL|NO)_PROXY$", re.IGNORECASE)
"""Variables of a developer's shell that would send the demo elsewhere, or lend it his own credentials."""


@click.command(name="demo", epilog=EXIT_CODES)
@click.option("--world", type=click.Choice(WORLDS), default="broken", show_default=True, help="Which world to audit.")
@options.output
@options.formats
@options.fail_on
@click.option("--keep-running", is_flag=True, help="Leave the world up afterwards, and print how to reach it.")
@options.verbose
@options.no_color
def command(
    world: str,
    output: Path,
    formats: str,
    fail_on: str,
    keep_running: bool,  # noqa: FBT001 - click passes flags so
    verbose: int,
    no_color: bool,  # noqa: FBT001
) -> int:
    """Start a demo world on loopback and audit it.

    A world is a real PostgreSQL, moto's AWS, and a GitHub, a Heroku and token services that answer as theirs do, filled
    with what a healthy company has, or with many faults at once. Some claims are about what was before, so an earlier
    run is made first, of what these ask only.
    Needs the extra auditor[sandbox], and PostgreSQL 15 or later on this machine.
    """
    from auditor import keys
    from auditor.cli import earlier
    from auditor.cli.screen import console
    from auditor.model import Problem, UsageError

    try:
        from auditor.sandbox.part import SandboxError
        from auditor.sandbox.world import running
    except ImportError as error:
        raise UsageError(Problem(f"the demo needs {error.name}: pip install 'auditor[sandbox]'")) from None
    out = console(color=options.wants_color(no_color=no_color))
    for name in [name for name in os.environ if MEANT_FOR_OTHERS.match(name)]:
        del os.environ[name]
    try:
        with running(world, output) as started:
            os.environ.update(started.environment)
            seal_with_a_new_key(started.config, options.make_folder(output) / keys.PUBLIC)
            before = earlier.find(output, started.organization)
            out.print(f"First an earlier run, so that there is one to compare with: of {', '.join(COMPARING)} only.")

            one = partial(audit, started.config, pack(), output, formats, "threads:16", fail_on)
            with started.as_it_was():
                one({**EVERYTHING, "checks": COMPARING}, verbose, no_color=no_color, show=False)
            code = one(EVERYTHING, verbose, no_color=no_color, since=before)
            if keep_running:
                with suppress(KeyboardInterrupt):
                    out.print("\n" + how_to_reach(started), soft_wrap=True)
                    signal.pause()
            return code
    except SandboxError as error:
        raise UsageError(Problem(str(error))) from None


def seal_with_a_new_key(config: Path, public: Path) -> None:
    """Give the world a key of its own: its private half ends with the world, its public half stays beside the runs."""
    from auditor import keys, yamlcore
    from auditor.sources.clock import utcnow

    keys.generate(config.parent / keys.PRIVATE, public, utcnow())
    seal = {"seal": {"key": {"file": keys.PRIVATE}, "keys": str(public.resolve())}}
    with config.open("a", encoding="utf-8") as handle:
        handle.write(yamlcore.dump(seal))


def pack() -> Path:
    """Return the pack for the demo worlds: of the checkout, or of the installed package."""
    package = Path(__file__).resolve().parent.parent
    return next(path for path in (package.parent / "policies/explo", package / "policies/explo") if path.is_dir())


def how_to_reach(world: World) -> str:
    """Return the environment and the command with which anybody can audit a running world."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in sorted(world.environment.items())]
    config = world.config.read_text(encoding="utf-8").rstrip()
    command = f"auditor run -c {shlex.quote(str(world.config))} --policies {shlex.quote(str(pack()))}"
    return "\n".join(
        [
            f"{world.config}:",
            config,
            "",
            "The world is still up. In another terminal:",
            *exports,
            command,
            "Ctrl-C here ends it.",
        ]
    )
