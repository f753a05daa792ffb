"""A virtual environment for one test: it sees what is installed here, and nothing done in it is seen here."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.cli_process import PATIENCE, Ended, environment

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


class Environment:
    """A fresh virtual environment without pip, which looks for what it lacks in the one that runs the tests."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self.bin = folder / "bin"
        (packages,) = folder.glob("lib/python*/site-packages")
        here = sysconfig.get_path("purelib")
        (packages / "everything_else.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    def command(self, module: str) -> None:
        """Make a command of a module, as pip does with entry points."""
        path = self.bin / module
        path.write_text(f"#!{self.bin / 'python'}\nimport runpy\nrunpy.run_module({module!r}, run_name='__main__')\n")
        path.chmod(0o755)

    def pip(self, *arguments: object) -> None:
        """Run pip for this environment."""
        command = [*PIP, "--python", self.bin / "python", *arguments]
        subprocess.run([*map(str, command)], check=True, capture_output=True, timeout=PATIENCE)

    def auditor(self, *arguments: object, cwd: Path, **variables: str) -> Ended:
        """Run auditor in this environment."""
        done = subprocess.run(
            [self.bin / "python", "-m", "auditor", *map(str, arguments)], cwd=cwd, env=environment(**variables),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)
