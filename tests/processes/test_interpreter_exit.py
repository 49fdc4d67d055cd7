"""The ends of an interpreter: what was tracked arrives, or is counted, and nobody is kept waiting."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.running import EXIT, SLACK, Program, python, stored
from tests.serving import Agent

TRACKED = 30


def texts(how: str) -> list[str]:
    return [f"{how} {number}" for number in range(TRACKED)]


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody answers: taken, but not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silence() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("normal", 0),
        ("exception", 1),
        ("exit in a thread", 0),
        ("a thread that goes on", 0),
        ("handled SIGTERM", 0),
    ],
)
def test_everything_arrives(agent: Agent, tmp_path: Path, how: str, code: int):
    with Program(python("endings.py", how, "c"), agent, tmp_path, AGENTSIGHT_AUTO_SEND="1") as program:
        ended, _ = program.end()
        assert ended == code
        assert float(program.wait_for(r"held up for ([\d.]+)")) < EXIT
        assert "unsent" not in program.output
    more = ["from the thread"] if how == "a thread that goes on" else []
    assert stored(agent) == {"c": texts(how) + more}


@pytest.mark.parametrize(("address", "how"), [("nobody", "normal"), ("silence", "exception")])
def test_without_a_server_the_end_is_in_time_and_the_loss_is_counted(
    request: pytest.FixtureRequest, agent: Agent, tmp_path: Path, address: str, how: str
):
    with Program(
        python("endings.py", how, "c"),
        agent,
        tmp_path,
        AGENTSIGHT_AUTO_SEND="1",
        AGENTSIGHT_API_ENDPOINT=request.getfixturevalue(address),
    ) as program:
        program.end()
        assert float(program.wait_for(r"held up for ([\d.]+)")) < EXIT + 0.5
        assert program.output.count(f"unsent items: {TRACKED}") == 1


def test_a_signal_that_nobody_handles_leaves_it_to_the_spool(agent: Agent, tmp_path: Path):
    """No Python runs then: neither sending nor counting is possible, so the next process does it."""
    settings = {"AGENTSIGHT_AUTO_SEND": "1", "AGENTSIGHT_SPOOL_DIR": str(tmp_path / "spool")}
    with Program(python("endings.py", "SIGTERM", "killed"), agent, tmp_path, **settings) as program:
        code, seconds = program.end()
        assert code == -signal.SIGTERM
        assert seconds < EXIT + SLACK
    assert stored(agent) == {}
    with Program(python("endings.py", "normal", "next"), agent, tmp_path, **settings) as program:
        assert program.end()[0] == 0
    assert stored(agent) == {"killed": texts("SIGTERM"), "next": texts("normal")}
    assert list((tmp_path / "spool").iterdir()) == []
