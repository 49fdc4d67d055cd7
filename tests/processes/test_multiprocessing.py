"""Child processes of every kind: each sends what it has tracked, and nothing of its parent's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.running import EXIT, SLACK, Program, python, stored
from tests.serving import Agent


def expected(how: str) -> dict[str, list[str]]:
    children = {f"{how} {child}": [f"{how} {child} {number}" for number in range(20)] for child in range(3)}
    return {"parent": ["before", "after"]} | children


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver", "pool", "executor", "bare"])
def test_children_send_what_they_tracked(agent: Agent, tmp_path: Path, how: str):
    with Program(python("children.py", how), agent, tmp_path, AGENTSIGHT_AUTO_SEND="1") as program:
        code, seconds = program.end()
        assert code == 0
        assert "unsent" not in program.output
    assert stored(agent) == expected(how)
    assert seconds < EXIT + SLACK


def test_a_child_that_sends_nothing_is_told(agent: Agent, tmp_path: Path):
    with Program(python("children.py", "fork"), agent, tmp_path) as program:
        assert program.end()[0] == 0
        assert program.output.count("unsent items at exit: 20") == 3
        assert program.output.count("unsent items at exit: 2 ") == 1
    assert stored(agent) == {}


def test_children_share_a_spool(agent: Agent, tmp_path: Path):
    settings = {"AGENTSIGHT_SPOOL_DIR": str(tmp_path / "spool")}
    with Program(python("children.py", "fork"), agent, tmp_path, **settings) as program:
        assert program.end()[0] == 0
    assert stored(agent) == {}
    with Program(
        python("endings.py", "normal", "next"), agent, tmp_path, AGENTSIGHT_AUTO_SEND="1", **settings
    ) as program:
        assert program.end()[0] == 0
    assert stored(agent) == {"next": [f"normal {number}" for number in range(30)]} | expected("fork")
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"])
def test_the_background_imports_nothing(agent: Agent, tmp_path: Path, proxy: str):
    """A child forked in the middle of an import has a module that is half there, and locked for good."""
    settings = {
        "AGENTSIGHT_AUTO_SEND": "1",
        "AGENTSIGHT_SPOOL_DIR": str(tmp_path / "spool"),
        "HTTPS_PROXY": proxy,
    }
    with Program(python("imports.py"), agent, tmp_path, **settings) as program:
        assert program.end()[0] == 0
        assert program.output == "imported meanwhile: []\n"
    assert stored(agent) == {"c": ["one"]}
