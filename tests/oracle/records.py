"""What was tracked, as the oracle sees it: conversations, their items, and the sessions that they fall into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# How long a pause is, by source, beyond which another session begins; "" is every other source.
PAUSES = {
    **dict.fromkeys(
        ("whatsapp", "sms", "messenger", "facebook", "telegram", "instagram", "viber", "line", "wechat", "signal"),
        24 * HOUR,
    ),
    "email": 72 * HOUR,
    "": 30 * MINUTE,
}  # fmt: skip
# An answer that comes no later than this belongs to its question, however long the pause was.
LATE_ANSWER = 24 * HOUR


@dataclass
class Item:
    """Something that happened; `at` in microseconds. Items are listed in the order in which they were stored."""

    kind: str  # message, action, button, attachments, token_usage, feedback
    at: int
    sender: str | None = None
    name: str = ""
    label: str = ""
    text: str = "words that nobody counts"
    failed: bool = False
    duration_ms: int | None = None
    model: str | None = None
    tokens: tuple[int, int, int, int] = (0, 0, 0, 0)  # prompt, completion, embedding, total
    # Of the prompt: cached, cache-writing, audio; of the completion: reasoning, audio.
    parts: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    sentiment: str = ""
    source: str = "customer"
    # Feedback: what it is about ("" is the conversation), and whether it takes the place of what was said of it before.
    about: str = ""
    replaces: bool = False

    @property
    def is_said(self) -> bool:
        return self.kind in {"message", "attachments"} and self.sender in {"end_user", "agent"}

    @property
    def is_of_end_user(self) -> bool:
        return self.kind == "button" or (self.is_said and self.sender == "end_user")


@dataclass
class Record:
    """A conversation."""

    started_at: int
    customer: str | None = None
    device: str | None = None
    source: str | None = None
    language: str | None = None
    country: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    production: bool = True
    offered: bool = False
    deleted: bool = False
    items: list[Item] = field(default_factory=list)

    @property
    def engaged(self) -> bool:
        if any(item.kind == "action" or item.is_of_end_user for item in self.items):
            return True
        # Feedback alone makes a conversation that nobody took part in.
        return not self.offered and (not self.items or any(item.kind != "feedback" for item in self.items))

    @property
    def standing(self) -> list[Item]:
        """Its items but for feedback in whose place newer feedback stands, in the order in which they came."""
        newest: dict[str, Item] = {}
        for item in self.items:
            if item.replaces and (item.about not in newest or item.at > newest[item.about].at):
                newest[item.about] = item
        return [item for item in self.items if not item.replaces or newest[item.about] is item]


@dataclass
class Session:
    """A stretch of a conversation: what a client calls a conversation.

    `rule` is why it began: "" with its conversation, "a" with the end user, "b" with the agent reaching out.
    """

    record: Record
    began: int
    rule: str = ""
    items: list[Item] = field(default_factory=list)

    @property
    def engaged(self) -> bool:
        return any(item.is_of_end_user for item in self.items) if self.rule else self.record.engaged

    @property
    def offered(self) -> bool:
        return self.record.offered and not self.rule

    @property
    def counted(self) -> bool:
        """Whether what is in it counts: where the agent reached out, only when somebody answered."""
        return self.rule != "b" or self.engaged

    @property
    def customer(self) -> str | None:
        return self.record.customer

    @property
    def messages(self) -> list[Item]:
        """In the order in which they were said; equal times in the order in which they came."""
        return sorted((item for item in self.items if item.is_said), key=lambda item: item.at)

    @property
    def ended_at(self) -> int:
        return max([self.began, *(item.at for item in self.items if item.kind != "feedback")])

    def said_of_it(self) -> set[str]:
        return {
            item.sentiment for item in self.items if item.kind == "feedback" and item.source == "customer"
        }

    def runs_of(self, *names: str) -> bool:
        return any(item.kind == "action" and item.name in names for item in self.items)


def sessions(record: Record, pauses: Mapping[str, int] | None) -> list[Session]:
    """The sessions of a conversation, in order. Without pauses, the whole of it is one."""
    found = [Session(record, record.started_at)]
    if pauses is None:
        found[0].items = record.standing
        return found
    pause = pauses.get((record.source or "").strip().lower(), pauses[""])
    before: Item | None = None
    rest = []
    for item in sorted(record.standing, key=lambda item: item.at):
        if item.kind in {"token_usage", "feedback"}:
            rest.append(item)
            continue
        if before is not None and item.at - before.at > pause:
            asked = before.is_said and before.sender == "end_user"
            if item.is_of_end_user:
                found.append(Session(record, item.at, "a"))
            elif not asked or item.at - before.at > LATE_ANSWER:
                found.append(Session(record, item.at, "b"))
        found[-1].items.append(item)
        before = item
    for item in rest:
        running = [each for each in found[1:] if each.began <= item.at]
        (running or found[:1])[-1].items.append(item)
    return found
