"""gevent: greenlets keep their conversations, and the background sends beside them."""

from __future__ import annotations

from pathlib import Path

from tests.processes.running import EXIT, SLACK, Program, python, stored
from tests.serving import Agent


def test_greenlets_in_a_patched_process(agent: Agent, tmp_path: Path):
    with Program(python("greenlets.py"), agent, tmp_path, AGENTSIGHT_AUTO_SEND="1") as program:
        program.wait_for("senders: 1\n")
        program.wait_for("sent in the background")
        code, seconds = program.end()
        assert code == 0
        assert seconds < EXIT + SLACK
        assert "unsent" not in program.output
        assert "no conversation is current" not in program.output
    expected = {"last": ["just before the end"]}
    for greenlet in range(30):
        name = f"greenlet {greenlet}"
        expected[name] = [text for turn in range(5) for text in (f"{name} {turn}", f"{name} answer {turn}")]
    assert stored(agent) == expected
