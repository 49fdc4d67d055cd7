"""A plain model of the store: what a batch comes to, said as simply as it can be said."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from server.tests.sent import EPOCH, TOKEN_PARTS, Expected, SentConversation

FILLED = ("name", "customer_id", "source", "language", "device")


@dataclass
class Conversation:
    """What the server must say about one conversation."""

    id: int
    name_id: str
    fields: dict[str, Any]
    lines: list[tuple[int, int, Expected]] = field(default_factory=list)  # (time, item's number, what)
    feedbacks: dict[int, Expected] = field(default_factory=dict)
    vote: int | None = None  # the customer's, which the next one replaces
    usage: list[Expected] = field(default_factory=list)
    is_deleted: bool = False

    def add(self, number: int, item: Expected) -> None:
        """Take an item that is new."""
        if item.kind == "feedback":
            self.feedbacks[number] = item
            return
        # None: it began when it came, and by which clock is asked afterwards.
        self.fields["ended_at"] = max(self.fields["ended_at"] or 0, item.timestamp)
        if item.kind == "token_usage":
            self.usage.append(item)
            return
        self.lines.append((item.timestamp, number, item))
        if item.sender == "end_user" or item.kind in ("action", "button"):
            self.fields["is_used"] = True

    def check(self, told: dict[str, Any]) -> None:
        """Compare with what the API tells, field by field."""
        for name in (*FILLED, "environment", "is_used", "metadata", "is_marked"):
            assert told[name] == self.fields[name], (name, told[name], self.fields[name])
        assert told["conversation_id"] == self.name_id
        assert told["is_deleted"] is self.is_deleted
        assert (told["deleted_at"] is not None) is self.is_deleted
        for name in ("started_at", "ended_at"):
            assert micros(told[name]) == self.fields[name], name
        order = [number for _, number, _ in sorted(self.lines, key=lambda line: line[:2])]
        assert [each["id"] for each in told["messages"]] == order
        known = {number: item for _, number, item in self.lines}
        for message in told["messages"]:
            _check_line(message, known[message["id"]])
        assert {each["id"] for each in told["feedbacks"]} == set(self.feedbacks)
        for each in told["feedbacks"]:
            item = self.feedbacks[each["id"]]
            assert (each["sentiment"], each["comment"]) == (item.detail["sentiment"], item.detail["comment"])
            assert (each["metadata"], micros(each["created_at"])) == (item.metadata, item.timestamp)
        prompt = sum(each.detail["prompt_tokens"] for each in self.usage)
        completion = sum(each.detail["completion_tokens"] for each in self.usage)
        assert told["token_usage"] == {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "embedding_tokens": 0,
        } | {name: sum(each.detail.get(name, 0) for each in self.usage) for name in TOKEN_PARTS}


def _check_line(told: dict[str, Any], item: Expected) -> None:
    assert (told["sender"], micros(told["timestamp"])) == (item.sender, item.timestamp)
    assert told["metadata"] == item.metadata
    assert [(each["filename"], each["size_bytes"]) for each in told["attachments"]] == list(item.files)
    if item.kind == "action":
        assert told["action_name"] == item.detail["action_name"]
        (log,) = told["action_logs"]
        for sent, name in (
            ("duration_ms",) * 2,
            ("response",) * 2,
            ("tools_used",) * 2,
            ("error_msg", "error_message"),
        ):
            assert log[name] == item.detail[sent], name
    elif item.kind == "button":
        for name, value in item.detail.items():
            assert told["button"][name] == value, name
    else:
        assert told["content"] == item.content


@dataclass
class Agent:
    """What the server must say about one agent."""

    conversations: dict[str, Conversation] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)  # UUID: item's number
    ledger: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("requests", "conversations", "received", "accepted", "duplicate", "refused"), 0
        )
    )

    def count(self, **figures: int) -> None:
        """Add to the ledger."""
        for name, figure in figures.items():
            self.ledger[name] += figure

    def refused_whole(self) -> None:
        """A request of which nothing was stored: it counts as one item."""
        self.count(requests=1, received=1, refused=1)

    def batch(self, sent: list[SentConversation], answer: dict[str, Any]) -> list[Conversation]:
        """Judge the answer to a batch, and take over the numbers that the database gave."""
        touched = []
        self.count(requests=1)
        assert len(answer["conversations"]) == len(sent)
        for given, outcome in zip(sent, answer["conversations"], strict=True):
            if given.right:
                touched.append(self._take(given, outcome))
            else:
                assert not outcome["success"]
                assert outcome["errors"]
                assert outcome["id"] is None
                assert not any(each["success"] for each in outcome["items"])
                refused = max(1, len(outcome["items"]))
                self.count(received=refused, refused=refused)
        return touched

    def _take(self, given: SentConversation, outcome: dict[str, Any]) -> Conversation:
        assert outcome["success"], outcome
        right = [each.expected for each in given.items if each.expected is not None]
        found = self.conversations.get(given.name)
        assert outcome["created"] is (found is None)
        if found is None:
            judged = bool(right) and all(each.kind == "feedback" for each in right)
            times = [each.timestamp for each in right]
            found = self.begin(given.name, outcome["id"], given.fields, times, judged=judged)
        else:
            self.fill(found, given.fields)
        assert outcome["id"] == found.id
        assert len(outcome["items"]) == len(given.items)
        for sent, became in zip(given.items, outcome["items"], strict=True):
            self.count(received=1)
            if sent.expected is None:
                assert not became["success"], sent.body
                assert became["errors"], became
                assert became["id"] is None
                self.count(refused=1)
                continue
            assert became["success"], (sent.body, became)
            self.item(found, sent.expected, became["id"], became["duplicate"])
        return found

    def item(self, found: Conversation, item: Expected, number: int, duplicate: bool) -> None:
        """One item that was taken: new, or there already under its id, whatever it says now."""
        first = self.known.get(item.uuid) if item.uuid else None
        if item.kind == "feedback" and first is None and found.vote is not None:
            self._next_vote(found, item, number, duplicate)
            return
        assert duplicate is (first is not None)
        if first is not None:
            assert number == first
            self.count(duplicate=1)
            return
        assert number not in self.known.values()
        if item.uuid:
            self.known[item.uuid] = number
        self.count(accepted=1)
        found.add(number, item)
        if item.kind == "feedback":
            found.vote = number

    def _next_vote(self, found: Conversation, item: Expected, number: int, duplicate: bool) -> None:
        """The customer's next vote takes the row of the one before, unless it is older."""
        assert number == found.vote
        before = found.feedbacks[number]
        if item.timestamp != before.timestamp:
            assert duplicate is (item.timestamp < before.timestamp)
        elif item.uuid and before.uuid:
            assert duplicate is (item.uuid < before.uuid)  # in the order of their ids
        if duplicate:
            self.count(duplicate=1)
            return
        self.known.pop(before.uuid or "", None)
        if item.uuid:
            self.known[item.uuid] = number
        self.count(accepted=1)
        found.feedbacks[number] = item

    def begin(
        self, name: str, number: int, given: dict[str, Any], times: list[int], *, judged: bool = False
    ) -> Conversation:
        """A conversation that was not there; `judged`: there is feedback on it and nothing else."""
        started = given.get("started_at")
        fields: dict[str, Any] = {each: _filled(given.get(each)) for each in FILLED}
        fields |= {
            "environment": given.get("environment") or "production",
            "metadata": given.get("metadata") or {},
            "is_used": (not judged) if given.get("is_used") is None else given["is_used"],
            "is_marked": False,
            "started_at": micros(started) if started else min(times, default=None),
        }
        fields["ended_at"] = fields["started_at"]
        made = self.conversations[name] = Conversation(number, name, fields)
        self.count(conversations=1)
        return made

    def fill(self, found: Conversation, given: dict[str, Any]) -> None:
        """What is there stays, what is empty is filled."""
        for each in FILLED:
            if found.fields[each] is None:
                found.fields[each] = _filled(given.get(each))
        found.fields["metadata"] = (given.get("metadata") or {}) | found.fields["metadata"]
        found.fields["is_used"] = found.fields["is_used"] or given.get("is_used") is True


def _filled(value: str | None) -> str | None:
    return value if value is not None and value.strip() else None


def micros(text: str) -> int:
    """Microseconds of a time."""
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH) // timedelta(microseconds=1)
