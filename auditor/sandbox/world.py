"""A demo world: real servers on loopback, the auditor.yaml and environment to audit them, and the truth about them.

What a world is like stands in worlds/<name>/<part>.yaml. The parts start side by side.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from auditor import keys, yamlcore
from auditor.sandbox.part import Changed, Expected, Part

WORLDS = Path(__file__).with_name("worlds")
PARTS = {
    "aws": "auditor.sandbox.aws:start_aws",
    "github": "auditor.sandbox.github:start_github",
    "heroku": "auditor.sandbox.heroku:start_heroku",
    "postgres": "auditor.sandbox.postgres_part:start_postgres",
    "tokens": "auditor.sandbox.tokens:start_tokens",
}
"""What starts each part, by the name of its file; imported when a world has one."""


@dataclass(frozen=True)
class World:
    """A running world. `config` is its auditor.yaml, whose references `environment` resolves.

    While `as_it_was` is open, the world is as it was when an earlier run looked at it: the truth is about what changed
    since, too.
    """

    name: str
    config: Path
    environment: dict[str, str]
    expected: list[Expected]
    organization: str = ""
    as_it_was: Callable[[], AbstractContextManager[None]] = nullcontext


def names() -> list[str]:
    """Return the worlds there are."""
    return sorted(folder.name for folder in WORLDS.iterdir() if folder.is_dir())


@contextmanager
def running(name: str, runs: Path | None = None) -> Iterator[World]:
    """Start a world, and end everything it started; `SandboxError` says in one line what is missing.

    `runs` is where its runs go, and the file of their public keys; without it, its earlier runs are an empty folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="auditor-world-"))
    with ExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        parts = _start(WORLDS / name, folder, cleanup)
        config = folder / "auditor.yaml"
        organization = f"Explo (demo world: {name})"
        settings = {
            "version": 1,
            "organization": organization,
            "targets": [*(target for part in parts for target in part.targets), _earlier_runs(runs, folder)],
        }
        config.write_text(yamlcore.dump(settings), encoding="utf-8")
        environment = {key: value for part in parts for key, value in part.environment.items()}
        expected = [line for part in parts for line in part.expected]
        yield World(name, config, environment, expected, organization, lambda: _as_they_were(parts))


def _earlier_runs(runs: Path | None, folder: Path) -> dict[str, object]:
    target: dict[str, object] = {"id": "past", "type": "runs"}
    if runs is not None:
        return {**target, "path": str(runs.resolve()), "keys": str(runs.resolve() / keys.PUBLIC)}
    (folder / "runs").mkdir()
    return {**target, "path": "./runs"}


@contextmanager
def _as_they_were(parts: list[Part]) -> Iterator[None]:
    with ExitStack() as stack:
        for part in parts:
            if isinstance(part, Changed):
                stack.enter_context(part.as_it_was())
        yield


def _start(world: Path, folder: Path, cleanup: ExitStack) -> list[Part]:
    files = sorted(world.glob("*.yaml"))
    with ThreadPoolExecutor(len(files)) as pool:
        starting = [pool.submit(_start_part, file, folder) for file in files]
    problem: Exception | None = None
    parts = []
    for future in starting:
        try:
            part = future.result()
        except Exception as error:  # noqa: BLE001 - the others must be stopped first; raised again below
            problem = problem or error
            continue
        cleanup.callback(part.stop)
        parts.append(part)
    if problem is not None:
        raise problem
    return parts


def _start_part(file: Path, folder: Path) -> Part:
    module, _, name = PARTS[file.stem].partition(":")
    part: Part = getattr(importlib.import_module(module), name)(file.parent, folder)
    return part
