"""Celery's prefork pool: its processes end by themselves after some tasks, and warm with the worker."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

from tests.processes.running import APPS, EXIT, Program, python, wait_stored
from tests.serving import Agent


def test_processes_that_end_with_something_unsent(agent: Agent, tmp_path: Path):
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    settings = {"CELERY_FOLDER": str(tmp_path), "AGENTSIGHT_AUTO_SEND": "1"}
    names = [f"task {number}" for number in range(20)]
    command = [
        sys.executable,
        "-m",
        "celery",
        "--workdir",
        APPS,
        "-A",
        "tasks",
        "worker",
        "--loglevel",
        "INFO",
    ]
    command += ["--pool", "prefork", "--concurrency", "2", "--max-tasks-per-child", "5"]

    with Program(command, agent, tmp_path, **settings) as worker:
        worker.wait_for("ready")
        # This one tracks in "main process" too: it loads the same module to ask for the tasks.
        with Program(python("tasks.py", *names), agent, tmp_path, **settings) as asking:
            assert int(asking.wait_for(r"processes: (\d)", 60)) >= 4
            worker.end(signal.SIGTERM)  # takes Celery some seconds by itself
        held_up = re.findall(r"held up for ([\d.]+)", worker.output)
        assert len(held_up) >= 4
        assert all(float(seconds) < EXIT for seconds in held_up)
        assert "unsent" not in worker.output
        assert "Traceback" not in worker.output
    expected = {name: [f"{name} question", f"{name} answer"] for name in names}
    wait_stored(agent, expected | {"main process": ["Action load_model performed"] * 2})
