"""What is pending, told for people: `get_tracked_data_summary`."""

from __future__ import annotations

import json

from agentsight.items.encoding import PreparedItem, prepare
from agentsight.items.kinds import KIND_NAMES
from agentsight.items.stamps import iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agentsight.outbox.pending import PendingConversation
    from agentsight.types import TrackedSummary

__all__ = ["summarise"]

SHOWN = ("questions", "answers", "actions", "buttons", "attachments", "token_usage")
COUNTS = (*SHOWN, "feedbacks")  # by kind; feedbacks only where there are some


def summarise(conversation_id: str | None, conversations: Iterable[PendingConversation]) -> TrackedSummary:
    """Items and counts of what is pending in some conversations; nothing is taken from them."""
    items: list[Any] = []
    summary = {"conversation": 0, **dict.fromkeys(SHOWN, 0)}
    for conversation in conversations:
        with conversation.outbox.lock:
            prepared, waiting, announced = (
                list(conversation.backlog),
                conversation.preview(),
                conversation.announced,
            )
        if announced:
            summary["conversation"] += 1
            data = {"conversation_id": conversation.conversation_id, **conversation.known_fields}
            items.append(
                {
                    "index": len(items),
                    "type": "conversation",
                    "timestamp": iso(conversation.opened_ns),
                    "data": data,
                }
            )
        for each in [*prepared, *prepare(conversation, waiting)]:
            counted = COUNTS[each.kind]
            summary[counted] = summary.get(counted, 0) + 1
            items.append(
                {
                    "index": len(items),
                    "type": KIND_NAMES[each.kind],
                    "timestamp": iso(each.ns),
                    "data": _data(each),
                }
            )
    return {
        "conversation_id": conversation_id,
        "items": items,
        "summary": {**summary, "total": len(items)},
    }


def _data(item: PreparedItem) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(item.text)
    for name in ("id", "type", "timestamp"):
        data.pop(name)
    for file in data.get("attachments", ()):
        coded = file.pop("data")
        file["size_bytes"] = len(coded) // 4 * 3 - coded[-2:].count("=")
    return {"conversation_id": item.conversation.conversation_id, **data}
