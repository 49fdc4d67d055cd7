"""The SDK against a real server: what was tracked is what can be read back, each message in its own place."""

from __future__ import annotations

import asyncio
import base64
import io
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import httpx
import pytest

from agentsight import AgentSightAPI, ConversationManager, ConversationTracker
from agentsight.exceptions import ForbiddenException, NotFoundException, UnauthorizedException
from agentsight.helpers import generate_conversation_id
from tests.serving import Agent, ServerProcess


@pytest.fixture
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture
def tracker(agent: Agent) -> Iterator[ConversationTracker]:
    tracker = ConversationTracker(api_key=agent.keys["write"], endpoint=agent.server.address)
    yield tracker
    tracker.close()


@pytest.fixture
def reader(agent: Agent) -> AgentSightAPI:
    return AgentSightAPI(api_key=agent.keys["read"], endpoint=agent.server.address)


@pytest.fixture
def manager(agent: Agent) -> ConversationManager:
    return ConversationManager(api_key=agent.keys["write"], endpoint=agent.server.address)


def test_everything_that_can_be_tracked_comes_back(
    tracker: ConversationTracker, reader: AgentSightAPI
) -> None:
    tracker.get_or_create_conversation(
        "conv_all", customer_id="ana", customer_ip_address="161.53.72.1", device="tablet", source="web",
        language="hr", name="Sve", environment="production", metadata={"tier": "pro"},
    )  # fmt: skip
    picture = base64.b64encode(b"\x89PNG picture").decode()
    tracker.track_human_message(
        "Bok! 👋",
        attachments=[{"filename": "a.png", "mime_type": "image/png", "data": picture}],
        metadata={"n": 1},
    )
    tracker.track_action(
        "look_up", started_at=datetime(2026, 3, 1, 10, tzinfo=timezone.utc), ended_at="2026-03-01T10:00:01Z",
        duration_ms=1000, tools_used={"q": "x"}, response={"rows": [1]}, error_msg="slow", metadata={"m": 2},
    )  # fmt: skip
    tracker.track_button("after", "Da", "yes", metadata={"b": 3})
    tracker.track_attachments([{"data": io.BytesIO(b"plain"), "filename": "n.txt"}], mode="form_data")
    tracker.track_token_usage(prompt_tokens=10, completion_tokens=5, total_tokens=15, model="gpt-4o")
    tracker.track_agent_message("**Evo**")
    sent = tracker.send_tracked_data()
    assert sent["summary"] == {
        "questions": 1, "answers": 1, "actions": 1, "buttons": 1, "attachments": 1, "errors": 0,
    }  # fmt: skip
    assert all(item["success"] for item in sent["items"])

    page = reader.fetch_conversations(customer_id="ana", metadata="tier:pro")
    found = page["results"][0]
    assert page["count"] == 1
    assert found["geo_location"]["country"] == "HR"
    assert (found["device"], found["language"], found["name"], found["is_used"]) == (
        "tablet",
        "hr",
        "Sve",
        True,
    )
    kinds = {(message["sender"], message["content"]) for message in found["messages"]}
    assert kinds == {("end_user", "Bok! 👋"), ("agent", "Action look_up performed"), ("end_user", "Da"),
                     ("end_user", ""), ("agent", "**Evo**")}  # fmt: skip
    log = next(message for message in found["messages"] if message["action_logs"])["action_logs"][0]
    assert (log["duration_ms"], log["tools_used"], log["response"], log["error_message"]) == (
        1000, {"q": "x"}, {"rows": [1]}, "slow",
    )  # fmt: skip
    assert found["token_usage"]["total_tokens"] == 15
    files = reader.fetch_conversation_attachments("conv_all")
    assert files["total_attachments"] == 2
    contents = {
        httpx.get(file["file_url"]).content
        for message in files["messages"]
        for file in message["attachments"]
    }
    assert contents == {b"\x89PNG picture", b"plain"}


def test_offered_engaged_and_managed(
    agent: Agent, tracker: ConversationTracker, reader: AgentSightAPI, manager: ConversationManager
) -> None:
    offered = tracker.initialize_conversation("conv_offer", source="widget")
    assert reader.fetch_conversation("conv_offer")["is_used"] is False
    del offered
    tracker.get_or_create_conversation("conv_offer")
    tracker.track_human_message("hi")
    tracker.send_tracked_data()
    number = reader.fetch_conversation("conv_offer")["id"]
    assert reader.fetch_conversation(number)["is_used"] is True
    manager.submit_feedback("conv_offer", "positive", comment="Great", metadata={"stars": 5})
    manager.rename_conversation(number, "Renamed")
    manager.mark_conversation("conv_offer", True)
    manager.update_conversation("conv_offer", device="mobile", metadata={"only": "this"})
    found = reader.fetch_conversation("conv_offer")
    assert (found["name"], found["is_marked"], found["device"], found["metadata"]) == (
        "Renamed", True, "mobile", {"only": "this"},
    )  # fmt: skip
    assert found["feedbacks"][0]["comment"] == "Great"
    manager.delete_conversation("conv_offer")
    assert reader.fetch_conversations()["count"] == 0
    with pytest.raises(NotFoundException):
        reader.fetch_conversation(number)
    with pytest.raises(ForbiddenException):
        reader.fetch_conversations(include_deleted=True)
    steward = AgentSightAPI(api_key=agent.keys["write"], endpoint=agent.server.address)
    assert steward.fetch_conversations(include_deleted=True)["count"] == 1


def test_wrong_keys_and_names_raise_what_they_say(agent: Agent, reader: AgentSightAPI) -> None:
    with pytest.raises(NotFoundException):
        reader.fetch_conversation("nobody")
    with pytest.raises(NotFoundException):
        reader.fetch_conversation(999_999_999)
    blind = AgentSightAPI(api_key=agent.keys["ingest"], endpoint=agent.server.address)
    with pytest.raises(ForbiddenException):
        blind.fetch_conversations()
    from agentsight_server.security.keys import new_key

    stranger = AgentSightAPI(api_key=new_key(), endpoint=agent.server.address)
    with pytest.raises(UnauthorizedException):
        stranger.fetch_conversations()


def test_thousands_of_interleavings_and_every_message_in_its_place(
    tracker: ConversationTracker, agent: Agent
) -> None:
    """Threads, tasks and executors share one tracker; each message says where it belongs."""
    rng = random.Random(20260301)
    ids = [generate_conversation_id() for _ in range(300)]
    sends = threading.Semaphore(4)

    def say(name: str, number: int) -> None:
        track = tracker.track_human_message if number % 2 else tracker.track_agent_message
        track(f"{name} {number}")

    def in_a_thread(mine: list[str]) -> None:
        for name in mine:
            tracker.get_or_create_conversation(name, environment="production")
            for number in range(4):
                say(name, number)
            with sends:
                tracker.send_tracked_data()

    async def in_a_task(name: str, pool: ThreadPoolExecutor) -> None:
        handle = tracker.get_or_create_conversation(name, environment="production")
        loop = asyncio.get_running_loop()
        say(name, 0)
        await asyncio.sleep(rng.random() / 100)
        say(name, 1)
        await asyncio.to_thread(say, name, 2)
        # An executor's thread does not inherit the task's context: the handle carries it.
        await loop.run_in_executor(pool, handle.track_agent_message, f"{name} 3")
        await asyncio.to_thread(tracker.send_tracked_data, name)

    async def all_tasks(mine: list[str]) -> None:
        with ThreadPoolExecutor(4) as pool:
            for start in range(0, len(mine), 25):
                await asyncio.gather(*(in_a_task(name, pool) for name in mine[start : start + 25]))

    threads = [threading.Thread(target=in_a_thread, args=(ids[start:150:5],)) for start in range(5)]
    for thread in threads:
        thread.start()
    asyncio.run(all_tasks(ids[150:]))
    for thread in threads:
        thread.join()

    with agent.client() as client:
        seen: dict[str, list[str]] = {}
        for page in range(1, 4):
            answer = client.get("/api/conversations/", params={"page": page, "page_size": 100}).json()
            assert answer["count"] == 300
            for found in answer["results"]:
                seen[found["conversation_id"]] = sorted(message["content"] for message in found["messages"])
    assert seen == {name: [f"{name} {number}" for number in range(4)] for name in ids}


def test_a_server_that_was_away_gets_everything_once_when_it_is_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with ServerProcess(tmp_path_factory.mktemp("away")) as server:
        agent = server.agent()
        port = server.address.rpartition(":")[2]
        tracker = ConversationTracker(api_key=agent.keys["write"], endpoint=server.address)
        tracker.get_or_create_conversation("conv_1", environment="production")
        tracker.track_human_message("before")
        tracker.send_tracked_data()
        server.kill()
        tracker.track_human_message("while away")
        failed = tracker.send_tracked_data()
        assert failed["summary"]["errors"] >= 1
        server.command[server.command.index("--port") + 1] = port
        server.start()
        tracker.track_agent_message("after")
        sent = tracker.send_tracked_data()
        assert sent["summary"]["errors"] == 0
        with agent.client() as client:
            found = client.get("/api/conversations/").json()["results"][0]
        assert [message["content"] for message in found["messages"]] == ["before", "while away", "after"]
        tracker.close()
