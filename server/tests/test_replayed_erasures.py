"""A restored backup does not bring back what was erased after it was made."""

from __future__ import annotations

from pathlib import Path

from server.tests.test_erase_command import agentsight, bytes_with, names, talk
from tests.serving import Agent, ServerProcess
from tests.waiting import until


def backed_up(tmp_path: Path) -> tuple[Path, Path, Agent]:
    """Data of which something was erased after the backup: the data's folder, the backup, the remaining agent."""
    data, backup = tmp_path / "data", tmp_path / "all.tar"
    with ServerProcess(data) as server:
        agent, other = server.agent("Desk"), server.agent("Shop")
        talk(agent, "ana-1", "ana", "marzipan")
        talk(agent, "bob-1", "bob", "nougat")
        talk(other, "eve-1", "eve", "praline")
        assert agentsight(data, "backup", str(backup)).returncode == 0
        for what in (["--agent", "Desk", "--customer", "ana"], ["--agent", "Shop"]):
            done = agentsight(data, "erase", *what, "--yes")
            assert done.returncode == 0, done.stderr
        talk(agent, "ana-2", "ana", "truffle")
    return data, backup, agent


def test_what_the_replaced_data_knows_goes_again(tmp_path: Path) -> None:
    data, backup, _ = backed_up(tmp_path)
    done = agentsight(data, "restore", str(backup), "--force")
    assert done.returncode == 0, done.stderr
    assert "1 conversations, 1 whole agents" in done.stderr
    for aside in data.glob("replaced-*/*"):
        aside.unlink()
    assert bytes_with(data, "marzipan")
    with ServerProcess(data):
        until(lambda: bytes_with(data, "marzipan") == [] == bytes_with(data, "praline"))
    assert bytes_with(data, "nougat")


def test_a_list_kept_beside_the_backup_is_replayed_elsewhere(tmp_path: Path) -> None:
    data, backup, desk = backed_up(tmp_path)
    kept = tmp_path / "erasures.jsonl"
    done = agentsight(data, "erasures", "export", str(kept))
    assert done.returncode == 0, done.stderr
    assert "ana" not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    elsewhere = tmp_path / "elsewhere"
    done = agentsight(elsewhere, "restore", str(backup), "--erasures", str(kept))
    assert done.returncode == 0, done.stderr
    with ServerProcess(elsewhere) as server:
        agent = Agent(server, desk.id, desk.keys)
        until(lambda: names(agent) == {"bob-1"})
        # The old batch, sent once more, finds the stones; what is new is taken under the old name.
        again = agentsight(elsewhere, "erasures", "replay", str(kept))
        assert "Nothing that was erased has come back" in again.stderr
        until(lambda: bytes_with(elsewhere, "marzipan") == [])


def test_a_list_that_is_none_is_refused_before_anything_is_restored(tmp_path: Path) -> None:
    _, backup, _ = backed_up(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    for text in (
        b"",
        b"[]\n",
        b'{"agentsight": "erasures"}\n',
        b'{"agentsight":"erasures","key":"00"}\n{"agent":1',
    ):
        (tmp_path / "list").write_bytes(text)
        done = agentsight(elsewhere, "restore", str(backup), "--erasures", str(tmp_path / "list"))
        assert done.returncode == 2
        assert "was not read" in done.stderr
        assert not (elsewhere / "agentsight.db").exists()
