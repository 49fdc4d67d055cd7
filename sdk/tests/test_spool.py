"""AGENTSIGHT_SPOOL_DIR: what was tracked survives the process, and arrives once."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentsight import ConversationTracker
from agentsight.exceptions import NoDataToSendException
from agentsight.helpers import generate_message_id
from sdk.tests.capture import KEY, CaptureServer, Scripted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs file locks")
OTHER_KEY = "ags_" + "e" * 32 + "_eeeeee"


def made(server: CaptureServer, folder: Path, **options: Any) -> ConversationTracker:
    return ConversationTracker(
        **{"api_key": KEY, "endpoint": server.endpoint, "spool_dir": folder, **options}
    )


def journals(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        pause.wait(0.01)


def start(program: str, server: CaptureServer, folder: Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "AGENTSIGHT_API_KEY": KEY,
            "AGENTSIGHT_API_ENDPOINT": server.endpoint,
            "AGENTSIGHT_SPOOL_DIR": str(folder),
            **environ,
        },
        stdout=subprocess.PIPE,
        text=True,
    )


def test_an_item_is_on_disk_when_the_call_returns_and_gone_when_it_was_accepted(
    server: CaptureServer, tmp_path: Path
):
    folder = tmp_path / "made" / "for us"
    tracker = made(server, folder)
    tracker.get_or_create_conversation("c", name="Spooled")
    tracker.track_human_message("written down")
    [journal] = journals(folder)
    assert "written down" in journal.read_text()
    assert "Spooled" in journal.read_text()
    assert journal.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    tracker.send_tracked_data()
    assert server.contents("c") == ["written down"]
    assert tracker.close()["unsent"] == 0
    assert journals(folder) == []


def test_votes_and_named_messages_survive_the_process(server: CaptureServer, tmp_path: Path):
    name = generate_message_id()
    first = made(server, tmp_path)
    conversation = first.get_or_create_conversation("c")
    conversation.track_agent_message("On its way.", message_id=name)
    conversation.feedback("positive", comment="Quick!", message=name)
    conversation.track_token_usage(9, cached_tokens=5)
    first._outbox.spool.reset_after_fork()  # type: ignore[union-attr] # as if the process had been killed
    del first, conversation
    contextvars.Context().run(lambda: made(server, tmp_path).flush())
    message, vote, tokens = server.items["c"]
    assert (message["id"], vote["message"], vote["comment"]) == (name, name, "Quick!")
    assert tokens["cached_tokens"] == 5


def test_journals_of_the_version_before_are_read(server: CaptureServer, tmp_path: Path):
    written = [
        {"type": "message", "sender": "end_user", "content": "Hello"},
        {"type": "message", "sender": "agent", "content": "Hi"},
        {"type": "action", "action_name": "look_up", "duration_ms": 5},
        {"type": "button", "button_event": "e", "label": "l", "value": "v"},
        {
            "type": "attachments",
            "sender": "end_user",
            "attachments": [{"filename": "a.txt", "mime_type": "text/plain", "data": "aGk="}],
        },
        {
            "type": "token_usage",
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "embedding_tokens": 0,
        },
    ]
    ns = 1_786_351_000_000_000_000
    lines = [json.dumps({"c": "c", "o": ns, "f": {"name": "Old"}, "i": {"id": "00aa"}})]
    for kind, item in enumerate(written):
        head = {
            "id": f"019fe0a0-0000-7000-8000-00000000000{kind}",
            "timestamp": "2026-08-10T08:36:40.000000Z",
        }
        record = {"c": "c", "o": ns, "k": kind, "n": ns + kind, "w": 0, "i": {**head, **item}}
        lines.append(json.dumps(record))
    owner = hashlib.sha256(KEY.encode()).hexdigest()[:16]
    (tmp_path / f"agentsight-{owner}-0123456789ab.spool").write_text("".join("\n" + line for line in lines))
    assert made(server, tmp_path).flush()["sent"] == 6
    assert [
        {key: value for key, value in item.items() if key not in ("id", "timestamp")}
        for item in server.items["c"]
    ] == written
    assert server.fields["c"]["name"] == "Old"
    assert journals(tmp_path) == []


def test_the_next_process_sends_what_a_killed_one_left(server: CaptureServer, tmp_path: Path):
    program = """
import os, signal
from agentsight import conversation_tracker as tracker
tracker.get_or_create_conversation("c", name="Left behind", metadata={"a": 1})
tracker.track_human_message("one")
tracker.track_action("look", duration_ms=5, tools_used={"k": "v"})
tracker.track_attachments([{"data": b"%PDF-1.7"}], mode="form_data")
tracker.track_agent_message("two", conversation_id="other")
os.kill(os.getpid(), signal.SIGKILL)
"""
    process = start(program, server, tmp_path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert server.requests == []
    tracker = made(server, tmp_path)
    tracker.get_or_create_conversation("new")
    tracker.track_human_message("three")
    result = tracker.send_tracked_data()
    # One request carries both, and the report is about what was asked for.
    assert len(server.requests) == 1
    assert [row["type"] for row in result["items"]] == ["conversation", "question"]
    assert server.contents("c") == ["one"]
    assert [item["type"] for item in server.items["c"]] == ["message", "action", "attachments"]
    assert server.contents("other") == ["two"]
    assert server.fields["c"]["name"] == "Left behind"
    assert server.fields["c"]["metadata"] == {"a": 1}
    tracker.close()
    assert journals(tmp_path) == []


def test_what_was_left_is_sent_even_when_nothing_is_pending(server: CaptureServer, tmp_path: Path):
    first = made(server, tmp_path)
    first.track_human_message("left", conversation_id="c")
    journal = first._outbox.spool._current
    journal.close()  # as the end of the process does
    second = made(server, tmp_path)
    second.configure(conversation_id="idle")
    with pytest.raises(NoDataToSendException):
        second.send_tracked_data()
    assert server.contents("c") == ["left"]
    second.close()
    journal.path.unlink(missing_ok=True)
    first._outbox.spool = None


def test_what_was_left_makes_no_thread_guess_wrong(server: CaptureServer, tmp_path: Path):
    process = start(
        "import os\nfrom agentsight import conversation_tracker as t\n"
        "t.track_human_message('left', conversation_id='old')\nos._exit(0)",
        server,
        tmp_path,
    )
    process.communicate()
    tracker = made(server, tmp_path)
    tracker.get_or_create_conversation("mine")
    server.script = [Scripted(404)]
    tracker.send_tracked_data()  # adopts; nothing is settled
    thread = threading.Thread(target=lambda: tracker.track_human_message("from a thread"))
    thread.start()
    thread.join()
    tracker.send_tracked_data()
    assert server.contents("mine") == ["from a thread"]
    assert server.contents("old") == ["left"]
    tracker.close()


KILLED = """
import sys
from agentsight import conversation_tracker as tracker
names = sys.argv[1:] if len(sys.argv) > 1 else ["a", "b", "c"]
handles = [tracker.get_or_create_conversation(name, name=name.upper()) for name in names]
number = 0
while True:
    handle = handles[number %% len(handles)]
    handle.track_human_message(f"{number}", metadata={"number": number})
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
    if %r and number %% 50 == 0:
        try:
            tracker.send_tracked_data()
        except Exception:
            pass
"""


@pytest.mark.parametrize("sends", ["by itself", "by hand", "never"])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(server: CaptureServer, tmp_path: Path, sends: str):
    chance = random.Random(5)
    for _ in range(8):
        returned: list[str] = []
        process = start(
            KILLED % (sends == "by hand"),
            server,
            tmp_path,
            **({"AGENTSIGHT_AUTO_SEND": "1"} if sends == "by itself" else {}),
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        timer = threading.Timer(chance.uniform(0.0, 0.25), process.kill)
        timer.start()
        with process:
            returned = [first, *process.stdout]
        timer.join()
        complete = [line.strip() for line in returned if line.endswith("\n")]

        heir = made(server, tmp_path)
        with contextlib.suppress(NoDataToSendException):
            heir.send_tracked_data()
        heir.close()
        arrived = [content for name in ("a", "b", "c") for content in server.contents(name)]
        assert len(arrived) == len(set(arrived)), "doubled"
        assert set(complete) <= set(arrived), "lost"
        # At most the one call that had not returned yet is more than what returned.
        assert set(arrived) - set(complete) <= {str(len(complete))}
        assert journals(tmp_path) == []
        server.items.clear()


def test_a_lost_acknowledgement_doubles_nothing(server: CaptureServer, tmp_path: Path):
    usual = server.answer
    started: list[subprocess.Popen[str]] = []

    def store_and_kill(request: Any) -> tuple[int, Any]:
        answer = usual(request)
        if len(server.batches) == 1:
            until(lambda: bool(started))
            started[0].kill()
            started[0].wait()
        return answer

    server.answer = store_and_kill  # type: ignore[method-assign]
    program = """
from agentsight import conversation_tracker as tracker
tracker.get_or_create_conversation("c")
tracker.track_human_message("one")
tracker.send_tracked_data()
"""
    started.append(start(program, server, tmp_path))
    started[0].communicate(timeout=30)
    assert started[0].returncode == -signal.SIGKILL
    heir = made(server, tmp_path)
    heir.send_tracked_data()
    heir.close()
    assert len(server.batches) == 2
    assert server.contents("c") == ["one"]


def test_several_processes_share_a_folder(server: CaptureServer, tmp_path: Path):
    program = """
import sys
from agentsight import conversation_tracker as tracker
name = sys.argv[1]
for number in range(300):
    tracker.track_human_message(f"{number}", conversation_id=name)
    if number % 40 == 39:
        tracker.send_tracked_data(name)
tracker.send_tracked_data()
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, f"p{number}"],
            env={
                **os.environ,
                "AGENTSIGHT_API_KEY": KEY,
                "AGENTSIGHT_API_ENDPOINT": server.endpoint,
                "AGENTSIGHT_SPOOL_DIR": str(tmp_path),
            },
        )
        for number in range(6)
    ]
    for process in processes:
        assert process.wait(60) == 0
    for number in range(6):
        assert server.contents(f"p{number}") == [str(turn) for turn in range(300)]
    assert len(server.seen) == 1800
    assert journals(tmp_path) == []


def test_a_living_process_is_not_robbed(server: CaptureServer, tmp_path: Path):
    living = made(server, tmp_path)
    living.track_human_message("mine", conversation_id="c")
    other = made(server, tmp_path)
    other.track_human_message("other's", conversation_id="d")
    other.send_tracked_data()
    assert list(server.items) == ["d"]
    living.send_tracked_data()
    assert server.contents("c") == ["mine"]
    for tracker in (living, other):
        tracker.close()
    assert journals(tmp_path) == []


def test_another_agents_journal_is_left_alone(server: CaptureServer, tmp_path: Path):
    process = start(
        "import os\nfrom agentsight import conversation_tracker as t\n"
        "t.track_human_message('secret of the other agent', conversation_id='c')\nos._exit(0)",
        server,
        tmp_path,
        AGENTSIGHT_API_KEY=OTHER_KEY,
    )
    process.communicate()
    tracker = made(server, tmp_path)
    tracker.track_human_message("mine", conversation_id="d")
    tracker.send_tracked_data()
    tracker.close()
    assert list(server.items) == ["d"]
    assert len(journals(tmp_path)) == 1
    owner = made(server, tmp_path, api_key=OTHER_KEY)
    owner.track_human_message("after", conversation_id="c")
    owner.send_tracked_data()
    assert server.contents("c") == ["secret of the other agent", "after"]
    assert server.requests[-1].headers["authorization"] == f"Api-Key {OTHER_KEY}"
    owner.close()
    assert journals(tmp_path) == []


def test_refused_items_leave_the_disk(server: CaptureServer, tmp_path: Path):
    server.refuse = lambda item: {"content": ["no"]} if item["content"] == "bad" else None
    tracker = made(server, tmp_path)
    tracker.configure(conversation_id="c")
    for word in ("good", "bad"):
        tracker.track_human_message(word)
    tracker.send_tracked_data()
    tracker.close()
    assert journals(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_journal_of_its_own_and_keeps_the_parents_locked(
    server: CaptureServer, tmp_path: Path
):
    parent = made(server, tmp_path)
    parent.track_human_message("parent", conversation_id="parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            parent.track_human_message("child", conversation_id="child")
            parent.send_tracked_data()
            parent.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(server.items) == ["child"]
    # The child's end has not unlocked the parent's journal.
    other = made(server, tmp_path)
    other.track_human_message("other", conversation_id="other")
    other.send_tracked_data()
    assert "parent" not in server.items
    parent.send_tracked_data()
    assert server.contents("parent") == ["parent"]
    for tracker in (parent, other):
        tracker.close()
    assert journals(tmp_path) == []


def test_many_threads_write_whole_records(server: CaptureServer, tmp_path: Path):
    tracker = made(server, tmp_path)

    def work(name: str) -> None:
        for number in range(100):
            tracker.track_human_message(f"{name} {number} " + "x" * 3000, conversation_id=name)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = [
        json.loads(line)["i"]["content"].rpartition(" ")[0]
        for path in journals(tmp_path)
        for line in path.read_bytes().splitlines()
        if line
    ]
    assert sorted(written) == sorted(f"t{name} {number}" for name in range(8) for number in range(100))
    tracker.close()
    assert journals(tmp_path) == []
