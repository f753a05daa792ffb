"""`auditor demo` as a person runs it, in a shell that is set up for something else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from auditor import keys, verify

SHELL = {
    "AWS_SESSION_TOKEN": "the-token-of-somebody",
    "AWS_PROFILE": "no-such-profile",
    "PGHOSTADDR": "192.0.2.1",
    "HTTP_PROXY": "http://127.0.0.1:9",
}


def test_demo_exits_as_run_does_and_leaves_the_world_up_as_long_as_it_is_wanted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "auditor", "demo", "--world", "healthy", "--keep-running", "-o", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **SHELL}) as demo:
        assert demo.stdout is not None
        seen = []
        for line in demo.stdout:
            seen.append(line.rstrip())
            if line.startswith("Ctrl-C"):
                break
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
    said = "\n".join(seen)
    assert demo.returncode == 0, said
    assert re.search(r"^(\d+) claims: \1 supported; ", said, re.MULTILINE)
    assert "targets:" in said  # its auditor.yaml
    assert "export AWS_ACCESS_KEY_ID=" in said
    assert "auditor run -c" in said
    assert said.splitlines()[0].startswith("First an earlier run")
    assert said.count(" claims: ") == 1, "what the earlier run came to is of no interest"
    assert "\nsince 2" not in said
    first, second = verify.verify_chain(tmp_path, keys.load(tmp_path / keys.PUBLIC))
    selected = [json.loads((tmp_path / one.run / "plan.json").read_bytes())["selection"] for one in (first, second)]
    assert [one["checks"] for one in selected] == [["aws-ebs-key-stability"], []]
    assert (tmp_path / second.run / "report.html").is_file()


def test_demo_of_the_broken_world_can_be_shown_without_failing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "auditor", "demo", "--world", "broken", "-o", str(tmp_path), "-f", "json"]
    assert subprocess.run([*command, "--fail-on", "never"], capture_output=True, check=False).returncode == 0
