"""The spool when the disk is full, broken or misused."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from sdk.tests.capture import CaptureServer
from sdk.tests.test_spool import journals, made, start


def test_unreadable_records_are_set_aside(
    server: CaptureServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    process = start(
        "import os\nfrom agentsight import conversation_tracker as t\n"
        "for word in ('one', 'two', 'three'): t.track_human_message(word, conversation_id='c')\nos._exit(0)",
        server,
        tmp_path,
    )
    process.communicate()
    [journal] = journals(tmp_path)
    lines = journal.read_bytes().split(b"\n")
    lines[2] = lines[2][:-2]  # the record of "two", torn
    lines += [
        b"\x00\xff garbage",
        b'{"c": 5}',
        b"[1]",
        b'{"a": 7}',
        b'{"c":"c","o":1,"k":0,"n":1,"w":0,"i":{"id"',
    ]
    journal.write_bytes(b"\n".join(lines))
    heir = made(server, tmp_path)
    heir.track_human_message("four", conversation_id="c")
    heir.send_tracked_data()
    heir.close()
    assert server.contents("c") == ["one", "three", "four"]
    [aside] = tmp_path.glob("*.unreadable")
    assert b"two" in aside.read_bytes()
    assert b"garbage" in aside.read_bytes()
    assert "6 records" in caplog.text
    assert journals(tmp_path) == []


def test_what_the_outbox_gave_up_leaves_the_disk(server: CaptureServer, tmp_path: Path):
    tracker = made(server, tmp_path, max_pending_items=200)
    tracker.configure(conversation_id="c")
    for number in range(1000):
        tracker.track_human_message(str(number))
    result = tracker.send_tracked_data()
    assert result["lost"] == 1000 - len(server.contents("c"))
    tracker.close()
    assert journals(tmp_path) == []


def test_long_use_does_not_fill_the_disk(server: CaptureServer, tmp_path: Path):
    tracker = made(server, tmp_path)
    tracker.configure(conversation_id="c")
    for _ in range(60):
        for number in range(10):
            tracker.track_human_message(f"{number}" + "x" * 10_000)
        tracker.send_tracked_data()
        assert sum(path.stat().st_size for path in journals(tmp_path)) < 2_500_000
    tracker.close()
    assert len(server.items["c"]) == 600


def test_a_cap_in_bytes(server: CaptureServer, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    tracker = made(server, tmp_path, spool_max_bytes=100_000)
    tracker.configure(conversation_id="c")
    for number in range(50):
        tracker.track_human_message(f"{number:02d}" + "x" * 10_000)
    assert sum(path.stat().st_size for path in journals(tmp_path)) <= 100_000
    assert "kept in memory only" in caplog.text
    assert len(caplog.records) == 1
    tracker.send_tracked_data()
    assert len(server.contents("c")) == 50
    tracker.track_human_message("there is room again")
    assert any("room again" in path.read_text() for path in journals(tmp_path))
    tracker.send_tracked_data()
    tracker.close()


def test_a_folder_that_cannot_be_made(
    server: CaptureServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("in the way")
    tracker = made(server, tmp_path / "file" / "spool")
    tracker.configure(conversation_id="c")
    for number in range(5):
        tracker.track_human_message(str(number))
    assert len(caplog.records) == 1
    assert "kept in memory only" in caplog.text
    tracker.send_tracked_data()
    assert len(server.contents("c")) == 5


def test_a_full_disk(server: CaptureServer, tmp_path: Path):
    """A limit on the size of files stands for the full disk: writes come up short or fail."""
    program = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from agentsight import conversation_tracker as tracker
tracker.get_or_create_conversation("c")
tracker.track_human_message("fits")
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
for number in range(20):
    tracker.track_human_message(f"{number} " + "x" * 1000)
tracker.send_tracked_data()
print(tracker.close()["unsent"])
"""
    assert resource is not None
    process = start(program, server, tmp_path)
    out, _ = process.communicate()
    assert out == "0\n"
    assert len(server.contents("c")) == 21
    assert journals(tmp_path) == []
