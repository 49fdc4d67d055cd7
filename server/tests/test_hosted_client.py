"""The hosted service's own SDK, from PyPI, works here with nothing changed but endpoint and key."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

from tests.serving import ServerProcess

VERSIONS = ("0.0.43", "0.0.44")
PROGRAM = """
import base64, json
from agentsight import agentsight_api, conversation_manager, conversation_tracker as tracker

tracker.get_or_create_conversation(conversation_id="moved", customer_id="ana", device="mobile", source="web",
                                   language="en", name="Before", metadata={"tier": "pro"})
tracker.track_human_message(message="Hello")
tracker.track_human_message(message="See this", attachments=[{"filename": "q.png", "mime_type": "image/png",
                                                             "data": base64.b64encode(b"question").decode()}])
tracker.track_action(action_name="check_database", duration_ms=100, tools_used={"a": 1}, response={"rows": 1})
tracker.track_button(button_event="after", label="Yes", value="yes")
tracker.track_attachments(attachments=[{"filename": "a.png", "mime_type": "image/png",
                                        "data": base64.b64encode(b"picture").decode()}])
tracker.track_attachments(attachments=[{"filename": "b.txt", "mime_type": "text/plain", "data": b"text"}],
                          mode="form_data")
tracker.track_token_usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
tracker.track_agent_message(message="Hi there", metadata={"model": "m"}, attachment_mode="form_data",
                            attachments=[{"filename": "a.txt", "mime_type": "text/plain", "data": b"answer"}])
summary = tracker.send_tracked_data()["summary"]
# From the second time on this client knows no conversation's number, and says "None".
tracker.track_agent_message(message="And this", attachments=[{"filename": "m.png", "mime_type": "image/png",
                                                              "data": base64.b64encode(b"more").decode()}])
tracker.track_agent_message(message="And that", attachment_mode="form_data",
                            attachments=[{"filename": "t.txt", "mime_type": "text/plain", "data": b"that"}])
more = tracker.send_tracked_data()["summary"]
conversation_manager.submit_feedback("moved", sentiment="positive", comment="ok")
conversation_manager.rename_conversation("moved", "After")
conversation_manager.mark_conversation("moved", True)
conversation_manager.update_conversation("moved", language="hr")
tracker.initialize_conversation(conversation_id="offered")
page = agentsight_api.fetch_conversations(page_size=5, customer_id="ana")
whole = agentsight_api.fetch_conversation(page["results"][0]["id"])
files = agentsight_api.fetch_conversation_attachments(whole["id"])
offered = agentsight_api.fetch_conversations(conversation_id="offered")["results"][0]
conversation_manager.delete_conversation("moved")
left = agentsight_api.fetch_conversations(customer_id="ana")["count"]
found = {"summary": summary, "more": more, "page": page, "whole": whole, "files": files}
print(json.dumps(found | {"offered": offered, "left": left}))
"""


@pytest.fixture(scope="module")
def hosted_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with what both versions need, and each version in a folder of its own beside it."""
    folder = tmp_path_factory.mktemp("hosted")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*install, "agentsight==0.0.43"], check=True, timeout=150)
    for version in VERSIONS:
        target = [f"agentsight=={version}", "--no-deps", "--target", folder / version]
        subprocess.run([*install, *target], check=True, timeout=150)
    return python


@pytest.mark.parametrize("version", VERSIONS)
def test_the_hosted_sdk_works_unchanged(
    hosted_sdk: Path, sqlite_server: ServerProcess, tmp_path: Path, version: str
) -> None:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("AGENTSIGHT_", "PYTHON"))
    }
    environ |= {
        "AGENTSIGHT_API_KEY": sqlite_server.agent().keys["write"],
        "AGENTSIGHT_API_ENDPOINT": sqlite_server.address,
        "AGENTSIGHT_LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(hosted_sdk.parents[1] / version),
    }
    ran = subprocess.run(
        [hosted_sdk, "-c", PROGRAM],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert (found["summary"]["errors"], found["more"]["errors"]) == (0, 0)
    assert "error" not in ran.stderr.lower(), ran.stderr  # a file that was not taken is only logged
    assert found["page"]["count"] == 1
    whole = found["whole"]
    assert (whole["name"], whole["is_marked"], whole["language"], whole["metadata"]) == (
        "After",
        True,
        "hr",
        {"tier": "pro"},
    )
    assert sorted(message["content"] for message in whole["messages"]) == sorted(
        [
            "Hello",
            "See this",
            "Action check_database performed",
            "Yes",
            "",
            "",
            "Hi there",
            "And this",
            "And that",
        ]
    )
    files = {
        message["content"]: [file["filename"] for file in message["attachments"]]
        for message in whole["messages"]
        if message["content"]
    }
    assert files == {
        "Hello": [],
        "See this": ["q.png"],
        "Action check_database performed": [],
        "Yes": [],
        "Hi there": ["a.txt"],
        "And this": ["m.png"],
        "And that": ["t.txt"],
    }
    assert whole["token_usage"]["total_tokens"] == 6  # it sends its running sum each time
    assert whole["feedbacks"][0]["comment"] == "ok"
    assert found["files"]["total_attachments"] == 6
    assert found["offered"]["is_used"] is False
    assert found["left"] == 0
