"""The API keeps to its own document: Schemathesis calls every address in it, rightly and wrongly, with each key.

SCHEMA_EXAMPLES=500 makes it a long run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ServerProcess

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "3"))
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,use_after_free,ignored_auth"
)


# What each key is for; that it can do nothing else is test_access.py's to say.
ADDRESSES = {
    "write": (),
    "read": ("--include-tag", "Reading", "--include-tag", "Analytics"),
    "ingest": ("--include-tag", "Writing"),
    None: ("--exclude-path", "/api/ingest/batch/"),
}


@pytest.mark.timeout(120 + EXAMPLES * 60)
@pytest.mark.parametrize("role", ["write", "read", "ingest", None])
def test_answers_are_as_documented(sqlite_server: ServerProcess, tmp_path: Path, role: str | None) -> None:
    _explore(sqlite_server, tmp_path, role, EXAMPLES if role == "write" else max(1, EXAMPLES // 3))


@pytest.mark.timeout(120 + EXAMPLES * 60)
@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
def test_answers_are_as_documented_on_postgresql(server: ServerProcess, tmp_path: Path) -> None:
    _explore(server, tmp_path, "write", max(1, EXAMPLES // 3))


def _explore(server: ServerProcess, folder: Path, role: str | None, examples: int) -> None:
    agent = server.agent()
    with agent.client() as client:  # something to find, at the numbers that are tried first
        for name in ("a", "b"):
            client.post("/api/track/", json={"conversation_id": name, "question": "Why?", "answer": "So."})
    phases = "fuzzing,stateful" if role == "write" else "fuzzing"
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{server.address}/api/openapi.json",
        "--max-examples", str(examples), "--phases", phases, "--checks", CHECKS,
        "--suppress-health-check", "all", "--continue-on-failure", "--no-color", "--warnings", "off",
        "--request-timeout", "60",
        *(("--generation-deterministic", "--no-shrink") if examples < 20 else ()),
        *ADDRESSES[role],
        *(("--header", f"Authorization: Api-Key {agent.keys[role]}") if role else ()),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.search(r"Operations:\s+(\d+) selected / (\d+) total", done.stdout)
    assert tested is not None, done.stdout
    assert role != "write" or tested[1] == tested[2], tested[0]
