"""The hosted service's own SDK, from PyPI, works here with nothing changed but endpoint and key."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path

import pytest

from tests.serving import ServerProcess

PROGRAM = """
import base64, json
from agentsight import agentsight_api, conversation_manager, conversation_tracker as tracker

tracker.get_or_create_conversation(conversation_id="moved", customer_id="ana", device="mobile", source="web",
                                   language="en", name="Before", metadata={"tier": "pro"})
tracker.track_human_message(message="Hello")
tracker.track_action(action_name="check_database", duration_ms=100, tools_used={"a": 1}, response={"rows": 1})
tracker.track_button(button_event="after", label="Yes", value="yes")
tracker.track_attachments(attachments=[{"filename": "a.png", "mime_type": "image/png",
                                        "data": base64.b64encode(b"picture").decode()}])
tracker.track_attachments(attachments=[{"filename": "b.txt", "mime_type": "text/plain", "data": b"text"}],
                          mode="form_data")
tracker.track_token_usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
tracker.track_agent_message(message="Hi there")
summary = tracker.send_tracked_data()["summary"]
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
print(json.dumps({"summary": summary, "page": page, "whole": whole, "files": files, "offered": offered, "left": left}))
"""


@pytest.fixture(scope="module")
def hosted_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hosted")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "agentsight==0.0.43"], check=True, timeout=150)
    return python


def test_the_hosted_sdk_works_unchanged(
    hosted_sdk: Path, sqlite_server: ServerProcess, tmp_path: Path
) -> None:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("AGENTSIGHT_", "PYTHON"))
    }
    environ |= {
        "AGENTSIGHT_API_KEY": sqlite_server.agent().keys["write"],
        "AGENTSIGHT_API_ENDPOINT": sqlite_server.address,
        "AGENTSIGHT_LOG_LEVEL": "ERROR",
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
    assert found["summary"]["errors"] == 0
    assert found["page"]["count"] == 1
    whole = found["whole"]
    assert (whole["name"], whole["is_marked"], whole["language"], whole["metadata"]) == (
        "After",
        True,
        "hr",
        {"tier": "pro"},
    )
    assert sorted(message["content"] for message in whole["messages"]) == sorted(
        ["Hello", "Action check_database performed", "Yes", "", "", "Hi there"]
    )
    assert whole["token_usage"]["total_tokens"] == 3
    assert whole["feedbacks"][0]["comment"] == "ok"
    assert found["files"]["total_attachments"] == 2
    assert found["offered"]["is_used"] is False
    assert found["left"] == 0
