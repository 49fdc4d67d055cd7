"""Conversations of every kind, written through the API."""

from __future__ import annotations

import base64
import struct
import time
import uuid
import zlib
from dataclasses import dataclass, field
from typing import Any

from tests.serving import Agent, ServerProcess

TABLE = """Here is what I found for **two adults**:

| Hotel | Price |
|:--|--:|
| Hotel Park | €420 |
| Hostel Angelina | €84 |

1. Breakfast is included
2. Free until *10 August*, then `15%`

# Please note
More at https://example.com/help.
"""


@dataclass
class Sample:
    """An agent and the numbers of its conversations by what they show."""

    agent: Agent
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def list_path(self) -> str:
        return f"/agents/{self.agent.id}/conversations/"

    def path(self, name: str) -> str:
        return f"{self.list_path}{self.numbers[name]}/"

    def say(
        self, conversation_id: str, text: str, *, sender: str = "end_user", ago: float = 0, **fields: Any
    ) -> int:
        """One message now, in a conversation that began `ago` seconds before; returns its number."""
        items = [message(text, sender, time.time())]
        return send(self.agent, conversation_id, items, time.time() - ago, **fields)


def iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06d}Z"


def message(text: str, sender: str, at: float, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "type": "message",
        "sender": sender,
        "content": text,
        "timestamp": iso(at),
        **more,
    }


def send(agent: Agent, conversation_id: str, items: list[dict[str, Any]], began: float, **fields: Any) -> int:
    record = {"conversation_id": conversation_id, "timestamp": iso(began), "items": items, **fields}
    with agent.client() as client:
        answer = client.post("/api/ingest/batch/", json={"conversations": [record]})
    assert answer.status_code == 200, answer.text
    outcome = answer.json()["conversations"][0]
    assert all(item["success"] for item in outcome["items"]), outcome
    return int(outcome["id"])


def picture(width: int = 240, height: int = 160) -> bytes:
    """A small PNG."""
    rows = b"".join(
        b"\0" + bytes((60 + x // 2, 110 + y // 2, 200)[c] for x in range(width) for c in range(3))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _file(name: str, kind: str, data: bytes) -> dict[str, str]:
    return {"filename": name, "mime_type": kind, "data": base64.b64encode(data).decode()}


def fill(site: ServerProcess) -> Sample:
    """A new agent with a support case, files, a bare question and a customer who came before."""
    sample = Sample(site.agent())
    now = time.time()

    def one(name: str, began: float, parts: list[tuple[float, dict[str, Any]]], **fields: Any) -> None:
        at, items = began, []
        for pause, part in parts:
            at += pause
            items.append({"id": str(uuid.uuid4()), "timestamp": iso(at), **part})
        sample.numbers[name] = send(sample.agent, f"{name}-{uuid.uuid4().hex[:8]}", items, began, **fields)

    def user(text: str, **more: Any) -> dict[str, Any]:
        return {"type": "message", "sender": "end_user", "content": text, **more}

    def bot(text: str) -> dict[str, Any]:
        return {
            "type": "message",
            "sender": "agent",
            "content": text,
            "metadata": {"model": "gpt-4o", "top_p": 0.9},
        }

    def click(label: str, **more: Any) -> dict[str, Any]:
        return {
            "type": "button",
            "button_event": "after_chat",
            "label": label,
            "value": label.lower(),
            **more,
        }

    def tool(name: str, milliseconds: int, **more: Any) -> dict[str, Any]:
        return {"type": "action", "action_name": name, "duration_ms": milliseconds, **more}

    def files(*each: dict[str, str]) -> dict[str, Any]:
        return {"type": "attachments", "sender": "end_user", "attachments": list(each)}

    tokens = {"prompt_tokens": 1830, "completion_tokens": 214, "total_tokens": 2044}
    one(
        "before",
        now - 40 * 3600,
        [(0, user("I need help")), (5, click("No")), (1, click("Copy it"))],
        customer_id="ana",
    )
    one(
        "case",
        now - 3000,
        [
            (0, user("I need a hotel in Split. 😊")),
            (
                1,
                tool(
                    "search_hotels",
                    1240,
                    tools_used={"city": "Split", "stars": [4, 5]},
                    response=[{"name": "Hotel Park"}],
                ),
            ),
            (1, bot(TABLE)),
            (0, {"type": "token_usage", "model": "gpt-4o", **tokens}),
            (900, user("And if I am late?")),
            (
                2,
                tool(
                    "flight_status",
                    10_023,
                    tools_used={"flight": "OU 412"},
                    error_msg="TimeoutError: no answer",
                ),
            ),
            (1, bot("I cannot see that. Shall I call somebody?")),
            (9, click("Yes", metadata={"options": ["Yes", "No", "Later"]})),
            (1, tool("contact_human", 41)),
            (60, {"type": "message", "sender": "system", "content": "Ivana joined."}),
            (5, {"type": "feedback", "sentiment": "positive", "comment": "Ivana was wonderful."}),
        ],
        customer_id="ana",
        customer_ip_address="161.53.72.1",
        device="mobile",
        source="whatsapp",
        language="hr",
        environment="production",
        metadata={"tier": "gold", "booking": {"id": 88123}},
    )
    one(
        "files",
        now - 900,
        [
            (0, user("The documents.", attachments=[_file("room.png", "image/png", picture())])),
            (
                2,
                files(
                    _file("log.txt", "text/plain", b"door 12 opened\n" * 30),
                    _file("offer.pdf", "application/pdf", b"%PDF-1.4"),
                    _file("voice.ogg", "audio/ogg", b"OggS" + b"\0" * 200),
                ),
            ),
            (3, bot("```python\n" + "x = 1  # a long line " * 12 + "\n```")),
            (4, user("مرحبا، أريد حجز غرفة")),
            (1, user("<b>not bold</b> " + "long" * 80)),
        ],
        source="web",
        device="desktop",
    )
    one(
        "question",
        now - 60,
        [(0, user("Can I bring my dog? He is small and quiet."))],
        customer_id="+385 91 234 5678",
    )
    return sample
