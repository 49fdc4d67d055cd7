"""uvicorn --reload: the process that a changed file replaces loses and doubles nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from tests.processes.running import APPS, EXIT, SLACK, Program, wait_stored
from tests.serving import Agent
from tests.waiting import until

RELOADS = 1


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("spool", [False, True])
def test_a_changed_file(agent: Agent, tmp_path: Path, spool: bool):
    code = tmp_path / "code"
    code.mkdir()
    shutil.copy(APPS / "reloaded.py", code)
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    command = [sys.executable, "-m", "uvicorn", "--app-dir", code, "--fd", str(listener.fileno())]
    command += ["--reload", "--reload-dir", code, "reloaded:app"]
    settings = {"AGENTSIGHT_AUTO_SEND": "1"}
    if spool:
        settings["AGENTSIGHT_SPOOL_DIR"] = str(tmp_path / "spool")
    names: list[str] = []

    with listener, Program(command, agent, tmp_path, pass_fds=[listener.fileno()], **settings) as uvicorn:
        with httpx.Client(base_url=address, timeout=30, headers={"Connection": "close"}) as client:

            def ask(count: int) -> int:
                asked = [f"c{len(names) + number}" for number in range(count)]
                names.extend(asked)
                return int([client.post(name).raise_for_status().text for name in asked][-1])

            process = ask(5)
            for reload in range(RELOADS):
                ask(10)  # pending when the file is touched
                (code / "reloaded.py").write_text(f"{(APPS / 'reloaded.py').read_text()}# {reload}\n")
                until(lambda old=process: not is_alive(old), EXIT + SLACK, lambda: uvicorn.output)
                following = ask(5)
                assert following != process
                process = following
        uvicorn.end(signal.SIGINT)
    assert "Traceback" not in uvicorn.output
    expected = {name: [f"{name} question", f"{name} answer"] for name in names}
    if spool:
        _adopt(agent, tmp_path, settings)
        expected["next"] = [f"normal {number}" for number in range(30)]
    wait_stored(agent, expected)


def _adopt(agent: Agent, tmp_path: Path, settings: dict[str, str]) -> None:
    """What the last process left on disk goes with the next one."""
    with Program(
        [sys.executable, APPS / "endings.py", "normal", "next"], agent, tmp_path, **settings
    ) as program:
        assert program.end()[0] == 0
    assert list((tmp_path / "spool").iterdir()) == []
