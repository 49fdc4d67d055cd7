"""What mypy and pyright say of programs that use the SDK, and of the SDK itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USES = ROOT / "sdk" / "tests" / "typing_uses" / "uses.py"
WRONG = {number for number, line in enumerate(USES.read_text().splitlines(), 1) if line.endswith("# wrong")}


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT / "sdk" / "src")},
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def judge(said: dict[int, str]) -> None:
    assert {line: text for line, text in said.items() if line not in WRONG} == {}, "right, and refused"
    assert sorted(WRONG - said.keys()) == [], "wrong, and not refused"


def test_there_is_something_to_refuse():
    assert len(WRONG) > 40


def test_mypy(tmp_path: Path):
    said = run(
        "mypy", "--config-file=", "--strict", "--python-version=3.10", f"--cache-dir={tmp_path}", str(USES)
    )
    lines = re.findall(rf"^{re.escape(str(USES.relative_to(ROOT)))}:(\d+): error: (.*)$", said, re.M)
    assert len(re.findall(": error:", said)) == len(lines), said  # and none in the SDK itself
    judge({int(line): text for line, text in lines})


def test_pyright(tmp_path: Path):
    project = {
        "include": [str(USES), str(ROOT / "sdk" / "src" / "agentsight")],
        "extraPaths": [str(ROOT / "sdk" / "src")],
        "pythonVersion": "3.10",
        "typeCheckingMode": "standard",
    }
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(json.dumps(project))
    said = run("basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(settings))
    found = [each for each in json.loads(said)["generalDiagnostics"] if each["severity"] == "error"]
    elsewhere = [f"{each['file']}: {each['message']}" for each in found if Path(each["file"]) != USES]
    assert elsewhere == [], "the SDK itself is clean"
    judge({each["range"]["start"]["line"] + 1: each["message"] for each in found})
