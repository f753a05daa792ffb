"""The command line: the only place that reads arguments and environment, prints, and exits (see exit_codes.py)."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from auditor import __version__
from auditor.cli.exit_codes import EVIDENCE, INTERNAL, INTERRUPTED, TERMINATED, USAGE

COMPLETE = "_AUDITOR_COMPLETE"
"""The variable in which the scripts of `auditor completion` ask what may come next."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("auditor.cli.run:command", "Audit the systems of auditor.yaml and write the evidence."),
    "demo": ("auditor.cli.demo:command", "Start a demo world on loopback and audit it."),
    "plan": ("auditor.cli.plan:command", "Show what a run would ask of whom."),
    "doctor": ("auditor.cli.doctor:command", "Try each question once: what is in the way of a run."),
    "permissions": ("auditor.cli.permissions:command", "Print the least privilege that the checks need."),
    "checks": ("auditor.cli.checks:group", "List the checks and what they prove."),
    "policy": ("auditor.cli.policy:group", "Lay out, validate and compare policies, print their schema."),
    "report": ("auditor.cli.report:command", "Write the reports of a stored run again."),
    "evaluate": ("auditor.cli.evaluate:command", "Judge a stored run again, offline."),
    "verify": ("auditor.cli.verify:command", "Verify that evidence is what was sealed."),
    "package": ("auditor.cli.package:command", "Pack runs for the auditor, in one file."),
    "sample": ("auditor.cli.sample:command", "Draw members of a population with the auditor's seed."),
    "keys": ("auditor.cli.keys:group", "Make and show the keys that runs are sealed with."),
    "completion": ("auditor.cli.completion:command", "Print the script that makes a shell complete."),
}
"""Each command, where it lives and what it does: help must not import what it only lists."""


class LazyGroup(click.Group):
    """Imports a command's module when it is called, not when help is printed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]} is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or say which one may have been."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from auditor.wording import did_you_mean, quoted

            ctx.fail(f"there is no command {quoted(args[0])}{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Offer the commands without importing them, and the options."""
        found = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="auditor", message="%(prog)s %(version)s")
def auditor() -> None:
    """Prove, or refute, what a company publishes about its own security.

    Claims and their tests stand in policies/, the systems to ask in auditor.yaml. Evidence and reports go to
    reports/<run id>/.
    """


class Terminated(BaseException):
    """SIGTERM arrived."""


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    _prepare_streams()
    code = guarded(_carry_out)
    _let_go_of_stdout()
    if threading.active_count() > 1:
        os._exit(code)  # a thread still waits for an answer nobody wants any more
    sys.exit(code)


def guarded(call: Callable[[], object]) -> int:
    """Call, and turn whatever happens into an exit code and at most a few lines on stderr."""
    try:
        result = call()
    except click.ClickException as error:
        return _refuse(error)
    except (KeyboardInterrupt, click.Abort) as error:
        return _stopped("interrupted", INTERRUPTED, error.__cause__ or error)  # click makes one of the other
    except Terminated as error:
        return _stopped("terminated", TERMINATED, error)
    except (BrokenPipeError, SystemExit):
        # Whoever read our output has seen enough. click and rich would exit with 1 then, which here says "refuted".
        return INTERNAL
    except Exception as error:  # noqa: BLE001 - boundary: nobody is shown a traceback
        return _explain(error)
    return result if isinstance(result, int) else 0


def _carry_out() -> object:
    if instruction := os.environ.get(COMPLETE):
        from auditor.cli.completing import complete

        return complete(auditor, instruction)
    result = auditor.main(prog_name="auditor", standalone_mode=False)
    sys.stdout.flush()
    return result


def _prepare_streams() -> None:
    """Make sure that there is something to print to, and that no character can be refused."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    """Flush; what can no longer be written is dropped, lest Python complain of it with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stopped(how: str, code: int, error: BaseException) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # once is enough
    click.echo(": ".join([how, *_notes(error)]), err=True)
    return code


def _refuse(error: click.ClickException) -> int:
    """Print what click says of a wrong command line, its long lines wrapped as all others."""
    from auditor.cli.complaint import complain

    shown = io.StringIO()
    error.show(shown)
    complain(*shown.getvalue().splitlines())
    return USAGE


def _explain(error: Exception) -> int:
    from auditor.cli.complaint import complain
    from auditor.cli.logs import concealed, where_the_log_is
    from auditor.model import AuditorError, EvidenceError, UsageError
    from auditor.wording import counted

    if isinstance(error, UsageError):
        lines = [*map(str, error.problems), f"{counted(len(error.problems), 'problem')}; nothing was run"]
        complain(*map(concealed, lines))
        return USAGE
    if isinstance(error, EvidenceError):
        said = "\n".join([f"evidence does not verify: {error}", *_notes(error)])
        complain(*concealed(said).splitlines())
        return EVIDENCE
    if isinstance(error, AuditorError):
        complain(concealed(str(error)))
    elif isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or type(error).__name__
        complain(f"cannot go on: {concealed(what)}; {where_the_log_is(error)}")
    else:
        complain(f"internal error: {type(error).__name__}; {where_the_log_is(error)}")
    return INTERNAL


def _notes(error: BaseException) -> list[str]:
    """Return what those added whom an error came by (`BaseException.add_note`)."""
    return list(getattr(error, "__notes__", ()))


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    del signum, frame
    raise Terminated
