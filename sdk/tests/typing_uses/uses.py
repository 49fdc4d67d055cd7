"""Uses of the SDK, right and wrong, for type checkers; never run. A line with `# wrong` has to be refused."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone

import agentsight
from agentsight import (
    AgentSightAPI,
    AsyncAgentSightAPI,
    AsyncConversationManager,
    Config,
    ConversationManager,
    ConversationTracker,
    conversation_tracker,
)
from agentsight.enums import AttachmentMode, Environment, LogLevel, Sender, Sentiment
from agentsight.helpers import generate_message_id
from agentsight.types import (
    Attachment,
    ConversationPage,
    ConversationRecord,
    DeviceName,
    FlushResult,
    Options,
    SendResult,
    SentItem,
)


def options() -> None:
    tracker = ConversationTracker(
        api_key="k", environment="production", auto_send=True, timeout=2, strict=False
    )
    ConversationTracker(environment=Environment.PRODUCTION, log_level=LogLevel.DEBUG, spool_dir="/var/spool")
    ConversationTracker(config=Config(endpoint="https://stats.example.com", max_pending_items=10))
    ConversationManager(timeout=1.5)
    AsyncConversationManager(timeout=1.5)
    tracker.configure(environment="development", token_handler="langchain", spool_max_bytes=None)
    more: Options = {"timeout": 3, "environment": "production"}
    Config(**more)
    seconds: float = tracker.config.timeout
    folder: str | None = Config(config=tracker.config).spool_dir
    print(seconds, folder, tracker.config.environment.upper(), tracker.config.log_level.lower())
    tracker.config.timout  # wrong
    tracker.config.timeout = 3  # wrong
    tracker.config.api_key.upper()  # wrong
    ConversationTracker(timout=3)  # wrong
    ConversationTracker(autosend=True)  # wrong
    ConversationTracker(environment="prod")  # wrong
    ConversationTracker(timeout="5")  # wrong
    ConversationTracker("k")  # wrong
    tracker.configure(enviroment="production")  # wrong
    tracker.configure(log_level="LOUD")  # wrong
    ConversationManager(time_out=1)  # wrong
    AsyncAgentSightAPI(time_out=1)  # wrong
    Config(endpont="https://stats.example.com")  # wrong
    Options(tiemout=3)  # wrong


def conversations(text: str, device: DeviceName) -> None:
    handle = conversation_tracker.get_or_create_conversation("c", customer_id=7, device="mobile", metadata={})
    conversation_tracker.get_or_create_conversation("c", device=device, environment=Environment.DEVELOPMENT)
    with conversation_tracker.get_or_create_conversation("c") as conversation:
        conversation.track_human_message("Hello")
    record: ConversationRecord = conversation_tracker.initialize_conversation("c")
    print(handle.conversation_id.upper(), record["id"] + 1, record["token_usage"]["total_tokens"])
    conversation_tracker.get_or_create_conversation("c", device="fridge")  # wrong
    conversation_tracker.get_or_create_conversation("c", environment="prod")  # wrong
    conversation_tracker.get_or_create_conversation("c", device=text)  # wrong
    conversation_tracker.get_or_create_conversation()  # wrong
    conversation_tracker.get_or_create_conversation(7)  # wrong
    record["idd"]  # wrong


def tracking() -> None:
    conversation_tracker.track_human_message("Hello", metadata={"a": 1}, conversation_id="c")
    conversation_tracker.track_human_message(question="Hello")
    conversation_tracker.track_agent_message("Hello")
    conversation_tracker.track_agent_message(answer="Hello", metadata=None)
    conversation_tracker.track_human_message("See", [{"data": b"..."}], attachment_mode="form_data")
    conversation_tracker.track_action(
        "look_up", datetime.now(timezone.utc), duration_ms=3, error_msg=ValueError("no")
    )
    conversation_tracker.track_attachments(
        [{"data": io.BytesIO(b"")}], Sender.AGENT, mode=AttachmentMode.FORM_DATA
    )
    files: list[Attachment] = [{"filename": "a.txt", "mime_type": "text/plain", "data": "aGVsbG8="}]
    conversation_tracker.track_attachments(files, sender="agent")
    conversation_tracker.track_token_usage(1, 2, model="m", cached_tokens=1)
    name = generate_message_id()
    conversation_tracker.track_agent_message("Hello", message_id=name)
    conversation_tracker.feedback("negative", message=name)
    conversation_tracker.track_human_message()  # wrong
    conversation_tracker.track_agent_message()  # wrong
    conversation_tracker.track_human_message(5)  # wrong
    conversation_tracker.track_human_message(answer="Hello")  # wrong
    conversation_tracker.track_human_message("See", attachment_mode="bytes")  # wrong
    conversation_tracker.track_attachments([{"name": "a.txt", "data": b"..."}])  # wrong
    conversation_tracker.track_attachments([{"filename": "a.txt", "mime_type": "text/plain"}])  # wrong
    conversation_tracker.track_attachments(files, sender="robot")  # wrong
    conversation_tracker.track_action("look_up", duration="3")  # wrong
    conversation_tracker.track_button("event", "label")  # wrong
    conversation_tracker.track_token_usage("many")  # wrong
    conversation_tracker.track_token_usage(1, cached=1)  # wrong
    conversation_tracker.feedback("great")  # wrong
    conversation_tracker.feedback("positive", comments="Quick!")  # wrong


async def streaming(words: Iterator[str], chunks: AsyncIterator[dict[str, str]]) -> None:
    conversation = conversation_tracker.get_or_create_conversation("c")
    for word in conversation.stream(words):
        print(word.upper())
    async for chunk in conversation.stream(chunks, text=lambda chunk: chunk.get("text")):
        print(chunk["text"].upper())
    print(agentsight.bind(len)("four") + 1)
    conversation.stream(words, message_id=generate_message_id(), usage=True)
    conversation.stream(words, usage="yes")  # wrong
    conversation.stream(5)  # wrong
    conversation.stream(words, txt=str)  # wrong
    conversation.stream(words, text=len)  # wrong
    agentsight.bind(len)()  # wrong


def results() -> None:
    result: SendResult = conversation_tracker.send_tracked_data()
    flushed: FlushResult = conversation_tracker.flush(timeout=2)
    items: list[SentItem] = result["items"]
    for item in items:
        if item["success"]:
            print(item.get("response", {}), item["type"] == "question")
    print(result["summary"]["questions"] + flushed["sent"] + conversation_tracker.close()["unsent"])
    print(conversation_tracker.get_token_usage()["prompt_tokens"] + 1)
    print(conversation_tracker.get_tracked_data_summary()["summary"]["total"] + 1)
    result["sumary"]  # wrong
    result["summary"]["question"]  # wrong
    result["items"][0]["sucess"]  # wrong
    flushed["send"]  # wrong
    conversation_tracker.flush("2")  # wrong
    conversation_tracker.get_token_usage()["tokens"]  # wrong


def managing_and_reading(text: str) -> None:
    manager, api = agentsight.conversation_manager, agentsight.agentsight_api
    manager.submit_feedback("c", "positive", comment="Quick!")
    manager.submit_feedback(7, Sentiment.NEGATIVE)
    manager.update_conversation("c", device="tablet")
    page: ConversationPage = api.fetch_conversations(
        1,
        50,
        device="mobile",
        started_at_after=datetime.now(timezone.utc),
        metadata={"a": 1},
        event="tool",
        event_failed=True,
        action_name__in=["ask", "look up"],
        city__isnull=False,
        extra={"new": 1},
    )
    for conversation in page["results"]:
        for message in conversation.get("messages", []):
            print(message["content"].upper(), [file["file_url"] for file in message["attachments"]])
    print(AgentSightAPI().fetch_conversation_attachments("c")["messages"][0]["message_id"] + 1)
    print(manager.delete_conversation("c")["deleted_at"].upper())
    manager.submit_feedback("c", "great")  # wrong
    manager.submit_feedback("c", text)  # wrong
    manager.update_conversation("c", device="fridge")  # wrong
    manager.mark_conversation("c", "yes")  # wrong
    manager.rename_conversation("c")  # wrong
    api.fetch_conversations(devize="mobile")  # wrong
    api.fetch_conversations(device="fridge")  # wrong
    api.fetch_conversations(feedback_source="robot")  # wrong
    api.fetch_conversations(event="click")  # wrong
    page["result"]  # wrong
    page["results"][0]["mesages"]  # wrong


async def twins() -> None:
    async with AsyncConversationManager(timeout=2) as manager, AsyncAgentSightAPI() as api:
        stored = await manager.submit_feedback("c", "positive", comment="Quick!")
        page = await api.fetch_conversations(page_size=50, device="mobile")
        print(stored["id"] + 1, page["count"] + 1, (await api.fetch_conversation("c"))["name"])
        await manager.submit_feedback("c", "great")  # wrong
        await manager.rename_conversation("c")  # wrong
        await api.fetch_conversations(devize="mobile")  # wrong
        page["result"]  # wrong
        api.fetch_conversation("c")["name"]  # wrong
