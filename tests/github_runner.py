"""A job of GitHub Actions, carried out as its runner would: expressions, files of a step, composite actions, commands.

After docs.github.com/actions ("Workflow syntax", "Metadata syntax", "Contexts", "Evaluate expressions in workflows and
actions") and actions/runner. It knows what our recipes use; whatever else they might say is an error here.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PATIENCE = 120
COMMAND = re.compile(r"::([a-z-]+)( [^:]*)?::(.*)", re.DOTALL)
ACTION = re.compile(r"OWNER/auditor/(?P<folder>[^@]+)@COMMIT")
TOKEN = re.compile(r"\s*(&&|\|\||==|!=|!|\(|\)|'(?:[^']|'')*'|[A-Za-z_][A-Za-z0-9_.-]*)")
STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "shell", "env"}
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], None: ["bash", "-e"]}


@dataclass
class Commands:
    """Reads the lines of a step: `::name properties::data` after blanks, or `##[name]` anywhere."""

    commands: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    token: str = ""

    def read(self, text: str) -> Commands:
        for line in text.splitlines():
            if self.token:
                self.token = "" if line.strip() == f"::{self.token}::" else self.token
            elif found := COMMAND.match(line.strip()):
                self._carry_out(found[1], found[2] or "", found[3])
            elif "##[" in line:
                self._carry_out(line.partition("##[")[2], "", "")
        return self

    def _carry_out(self, name: str, properties: str, data: str) -> None:
        if name == "stop-commands":
            self.token = data
            return
        pairs = dict(pair.split("=", 1) for pair in properties.strip().split(",") if pair)
        self.commands.append((name, {key: self._plain(text) for key, text in pairs.items()}, self._plain(data)))

    @staticmethod
    def _plain(text: str) -> str:
        for code, char in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            text = text.replace(code, char)
        return text


def read_outputs(text: str) -> dict[str, str]:
    """Read $GITHUB_OUTPUT: `name=value`, or `name<<end`, lines, `end`."""
    found = {}
    lines = iter(text.split("\n"))
    for line in lines:
        name, mark, rest = line.partition("=")
        if "<<" in name:
            name, _, end = line.partition("<<")
            value = []
            for inner in lines:
                if inner == end:
                    break
                value.append(inner)
            else:
                raise ValueError(f"{name}: {end} never came")
            found[name] = "\n".join(value)
        elif mark:
            found[name] = rest
        elif line:
            raise ValueError(f"no output: {line!r}")
    return found


class Expression:
    """One `${{ … }}`, evaluated over contexts. What a context does not have is an error, but for outputs of steps."""

    def __init__(self, text: str, contexts: Mapping[str, Any], *, failed: bool) -> None:
        self._tokens = list(self._cut(text))
        self._contexts = contexts
        self._failed = failed

    @staticmethod
    def _cut(text: str) -> Iterator[str]:
        at = 0
        while at < len(text.rstrip()):
            found = TOKEN.match(text, at)
            if not found:
                raise ValueError(f"not understood: {text[at:]!r}")
            at = found.end()
            yield found[1]

    def value(self) -> Any:
        result = self._any()
        if self._tokens:
            raise ValueError(f"not understood: {self._tokens}")
        return result

    def _next(self, *wanted: str) -> str:
        return self._tokens.pop(0) if self._tokens and (not wanted or self._tokens[0] in wanted) else ""

    def _any(self) -> Any:
        left = self._all()
        while self._next("||"):
            right = self._all()
            left = left or right
        return left

    def _all(self) -> Any:
        left = self._equal()
        while self._next("&&"):
            right = self._equal()
            left = left and right
        return left

    def _equal(self) -> Any:
        left = self._one()
        while sign := self._next("==", "!="):
            same = str(left).casefold() == str(self._one()).casefold()
            left = same if sign == "==" else not same
        return left

    def _one(self) -> Any:
        token = self._next()
        if token == "!":
            return not self._one()
        if token == "(":
            inner = self._any()
            assert self._next(")")
            return inner
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if self._next("("):
            assert self._next(")")
            return {"success": not self._failed, "failure": self._failed, "always": True, "cancelled": False}[token]
        return self._looked_up(token.split("."))

    def _looked_up(self, names: list[str]) -> Any:
        value: Any = self._contexts
        for depth, name in enumerate(names):
            if name not in value and names[0] == "steps" and depth == len(names) - 1:
                return ""
            value = value[name]
        return value


def filled(text: Any, contexts: Mapping[str, Any]) -> str:
    """Return a text with its expressions evaluated."""
    text = str(text).lower() if isinstance(text, bool) else str(text)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(Expression(found[1], contexts, failed=False).value()), text)


@dataclass
class Step:
    """How a step ended. `given` is what an action that was left out would have been given."""

    name: str
    code: int = 0
    out: str = ""
    err: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    skipped: bool = False


class Job:
    """Steps in one workspace. `others` are the actions of other people: left out, with the outputs they stand for."""

    def __init__(
        self, root: Path, workspace: Path, temporary: Path, environment: Mapping[str, str], others: Mapping[str, Any]
    ) -> None:
        self._root = root
        self._workspace = workspace
        self._temporary = temporary
        self._environment = dict(environment)
        self._others = others
        self.done: list[Step] = []

    def __getitem__(self, name: str) -> Step:
        (step,) = [step for step in self.done if step.name == name]
        return step

    def carry_out(self, steps: Iterable[Mapping[str, Any]], contexts: Mapping[str, Any]) -> bool:
        """Carry out the steps of a job; return whether all went well."""
        return self._steps(steps, {**contexts, "steps": {}}, {}, None)

    def _steps(
        self,
        steps: Iterable[Mapping[str, Any]],
        contexts: dict[str, Any],
        environment: Mapping[str, str],
        action: Path | None,
    ) -> bool:
        failed = False
        for step in steps:
            assert step.keys() <= STEP_KEYS, step
            done = Step(step.get("name") or step.get("uses") or "run")
            own = {**environment, **{name: filled(text, contexts) for name, text in step.get("env", {}).items()}}
            if not self._wanted(str(step.get("if", "success()")), contexts, failed=failed):
                done.skipped = True
            elif "run" in step:
                self._run(done, step, own, action)
            else:
                self._use(done, step, contexts, own)
            self.done.append(done)
            contexts["steps"][step.get("id", object())] = {"outputs": done.outputs}
            failed = failed or bool(done.code)
        return not failed

    @staticmethod
    def _wanted(text: str, contexts: Mapping[str, Any], *, failed: bool) -> bool:
        inner = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", text.strip())
        wanted = bool(Expression(inner, contexts, failed=failed).value())
        asked = re.search(r"\b(success|failure|always|cancelled)\(\)", inner)
        return wanted if asked else wanted and not failed

    def _run(self, done: Step, step: Mapping[str, Any], environment: Mapping[str, str], action: Path | None) -> None:
        assert action is None or step.get("shell"), "a composite action names the shell of each step"
        assert "${{" not in step["run"], "an expression in a script is an injection"
        number = len(self.done)
        script = self._temporary / f"step-{number}.sh"
        script.write_text(step["run"], encoding="utf-8")
        files = {name: self._temporary / f"{name}-{number}" for name in ("OUTPUT", "STEP_SUMMARY", "ENV", "PATH")}
        for file in files.values():
            file.touch()
        ended = subprocess.run(
            [*SHELLS[step.get("shell")], script],
            cwd=self._workspace,
            env={
                **self._environment,
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_WORKSPACE": str(self._workspace),
                "RUNNER_TEMP": str(self._temporary),
                **({"GITHUB_ACTION_PATH": str(action)} if action else {}),
                **{f"GITHUB_{name}": str(file) for name, file in files.items()},
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        done.code, done.out, done.err = ended.returncode, ended.stdout.decode(), ended.stderr.decode()
        done.outputs = read_outputs(files["OUTPUT"].read_text(encoding="utf-8"))
        done.summary = files["STEP_SUMMARY"].read_text(encoding="utf-8")
        assert not files["ENV"].read_bytes() + files["PATH"].read_bytes(), "the steps after it would be changed"

    def _use(self, done: Step, step: Mapping[str, Any], contexts: Mapping[str, Any], own: Mapping[str, str]) -> None:
        given = {name: filled(value, contexts) for name, value in step.get("with", {}).items()}
        ours = ACTION.fullmatch(step["uses"])
        if not ours:
            done.given = given
            done.outputs = dict(self._others[step["uses"].partition("@")[0]])
            return
        folder = self._root / ours["folder"]
        action = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
        declared = action["inputs"]
        assert given.keys() <= declared.keys()
        assert given.keys() >= {name for name, one in declared.items() if one.get("required")}
        inputs = {name: given.get(name, str(one.get("default", ""))) for name, one in declared.items()}
        inner: dict[str, Any] = {"inputs": inputs, "steps": {}}
        well = self._steps(action["runs"]["steps"], inner, own, folder)
        done.code = 0 if well else 1
        done.outputs = {name: filled(one["value"], inner) for name, one in action["outputs"].items()}
