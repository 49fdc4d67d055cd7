"""Sends what was taken as batches, and tells item by item what became of them."""

from __future__ import annotations

import time

from agentsight.delivery.responses import describe, raise_for
from agentsight.exceptions import (
    ConfigurationException,
    ConversationApiException,
    ConversationNetworkException,
)
from agentsight.items.encoding import encode_json
from agentsight.items.kinds import KIND_NAMES
from agentsight.items.stamps import iso
from agentsight.outbox.outbox import LARGEST_BODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    from agentsight.delivery.responses import Response
    from agentsight.delivery.transport import Transport
    from agentsight.items.encoding import PreparedItem
    from agentsight.outbox.outbox import Outbox
    from agentsight.outbox.pending import InFlight
    from agentsight.types import SendResult

__all__ = ["BatchSender", "add_counts", "empty_report"]

PATH = "/api/ingest/batch/"
SMALLEST_BODY = 64 * 1024  # bytes before compression; a request that was late is not made smaller than this
LARGEST_BATCH = 10_000  # items
MOST_ADJUSTED = 100  # kinds of changes that one conversation tells of
MOST_TIMES = 1_000_000
SEARCHES = 40  # requests spent on finding what in a refused batch is wrong
COUNTED = ("questions", "answers", "actions", "buttons", "attachments")


class BatchPart:
    """Part of what was taken from one conversation, within one request."""

    __slots__ = ("announced", "in_flight", "items")

    def __init__(self, in_flight: InFlight, announced: bool, items: list[PreparedItem]) -> None:
        self.in_flight = in_flight
        self.announced = announced
        self.items = items


class BatchSender:
    """One sending: batches out, outcomes back.

    What is not settled at the end (`Outbox.settle`) was not accepted, and goes back to its conversation.

    Args:
        environment: of conversations that name none.
        deadline: `time.monotonic()` by which to give up.
        pause: sleeps between attempts.
        patient: use all of the time, also while the server is away.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        environment: str,
        deadline: float,
        pause: Callable[[float], object] = time.sleep,
        patient: bool = False,
    ) -> None:
        self.outbox = outbox
        self.transport = transport
        self.environment = environment
        self.deadline = deadline
        self.pause = pause
        self.patient = patient
        self.blocked: str | None = None  # why the rest stays
        self.status: int | None = None  # what the server answered to that, if it did
        self.refused = 0
        self.reason = ""  # why the first of them was refused
        self._searches = SEARCHES
        self._rows: list[tuple[str, int, str]] = []  # (key, kind or -1, time)
        self._outcomes: dict[str, tuple[bool, Any]] = {}

    def run(self, taken: list[InFlight], silent: Collection[InFlight] = ()) -> None:
        """Send everything, in as few requests as their size allows; `silent` ones are not reported.

        Raises:
            UnauthorizedException, ForbiddenException: the key is wrong; nothing is settled by that.
        """
        parts = []
        for in_flight in taken:
            if in_flight.announced and in_flight not in silent:
                self._rows.append((_key(in_flight), -1, iso(in_flight.conversation.opened_ns)))
            if in_flight not in silent:
                self._rows.extend((each.id, each.kind, iso(each.ns)) for each in in_flight.items)
            parts.append(BatchPart(in_flight, in_flight.announced, in_flight.items))
        self._send(parts)

    def _send(self, parts: list[BatchPart]) -> None:
        if self.blocked is not None:
            return
        size = sum(len(item.text) for part in parts for item in part.items)
        if size > self.outbox.largest_body or sum(len(part.items) for part in parts) > LARGEST_BATCH:
            halves = _split(parts)
            if halves is not None:
                self._send(halves[0])
                self._send(halves[1])
                return
        body = self._encode(parts)
        try:
            answer = self._post(body)
        except ConversationNetworkException as problem:
            self.blocked = str(problem)
            if time.monotonic() >= self.deadline:  # over this line, smaller ones may arrive in time
                self.outbox.largest_body = max(size // 4, SMALLEST_BODY)
            return
        except ConfigurationException as problem:  # of the address
            if self.transport.config.strict:
                raise
            self.blocked, self.status = str(problem), 0
            return
        if answer.status == 200:
            self.outbox.largest_body = min(2 * self.outbox.largest_body, LARGEST_BODY)
            self._read(parts, answer)
        elif answer.status == 413 or (answer.status in (400, 422) and self._is_ours(answer)):
            self._search(parts, answer)
        else:
            try:
                raise_for(answer)
            except ConversationApiException as problem:
                if problem.status_code in (401, 403):
                    raise
                self.blocked, self.status = str(problem), answer.status

    def _post(self, body: bytes) -> Response:
        def post() -> Response:
            return self.transport.exchange(
                "POST", PATH, body, deadline=self.deadline, pause=self.pause, patient=self.patient
            )

        answer = post()
        if answer.status == 415 and self.transport.gzip:
            # Something between here and the server does not take compressed bodies.
            self.transport.gzip = False
            answer = post()
        return answer

    def _is_ours(self, answer: Response) -> bool:
        """Whether an AgentSight server has judged, and not a proxy, or a port that takes HTTPS alone."""
        try:
            return isinstance(answer.json(), dict)
        except ConversationApiException:
            return False

    def _search(self, parts: list[BatchPart], answer: Response) -> None:
        """A request was refused as a whole: find what is wrong with it by halving it."""
        halves = _split(parts)
        if halves is not None and (answer.status == 413 or self._searches > 0):
            self._searches -= 1
            self._send(halves[0])
            self._send(halves[1])
            return
        try:
            said = describe(answer.json())
        except ConversationApiException:
            said = ""
        for part in parts:
            self._refuse(part, f"{answer.status}: {said or 'refused by the server'}")

    def _refuse(self, part: BatchPart, error: str) -> None:
        if part.announced:
            self._outcomes[_key(part.in_flight)] = (False, error)
        for item in part.items:
            self._outcomes[item.id] = (False, error)
        part.in_flight.adjusted = {}
        self.refused += len(part.items) + part.announced
        self.reason = self.reason or error
        self.outbox.settle(part.in_flight, part.items, part.announced)

    def _encode(self, parts: list[BatchPart]) -> bytes:
        conversations = []
        for part in parts:
            conversation = part.in_flight.conversation
            fields = {
                "conversation_id": conversation.conversation_id,
                "environment": conversation.known_fields.get("environment") or self.environment,
                "timestamp": iso(
                    min(conversation.opened_ns, part.items[0].ns) if part.items else conversation.opened_ns
                ),
            }
            if part.announced:
                fields = {**part.in_flight.fields, **fields}
            adjusted = list(part.in_flight.adjusted.items())[:MOST_ADJUSTED]
            if adjusted:
                fields = {
                    **fields,
                    "adjusted": [
                        {"field": field, "code": code, "count": min(count, MOST_TIMES)}
                        for (field, code), count in adjusted
                    ],
                }
            head = encode_json(fields)[:-1]
            conversations.append(head + ',"items":[' + ",".join(item.text for item in part.items) + "]}")
        return ('{"conversations":[' + ",".join(conversations) + "]}").encode()

    def _read(self, parts: list[BatchPart], answer: Response) -> None:
        try:
            told = answer.json()["conversations"]
            if len(told) != len(parts):
                raise ValueError("not as many conversations as were sent")
            for part, conversation in zip(parts, told, strict=True):
                self._read_one(part, conversation)
        except (ConversationApiException, AttributeError, LookupError, TypeError, ValueError) as problem:
            self.blocked, self.status = f"the answer is not what an AgentSight server says: {problem}", 200
            self.transport.away = True

    def _read_one(self, part: BatchPart, told: dict[str, Any]) -> None:
        in_flight = part.in_flight
        if not told["success"]:
            self._refuse(part, describe(told.get("errors")) or "refused by the server")
            return
        in_flight.adjusted = {}
        outcomes = {each.get("uuid") or part.items[each["index"]].id: each for each in told["items"]}
        settled = []
        for item in part.items:
            outcome = outcomes.get(item.id)
            if outcome is None:
                continue
            settled.append(item)
            if outcome["success"]:
                self._outcomes[item.id] = (
                    True,
                    {
                        "id": outcome.get("id"),
                        "uuid": item.id,
                        "duplicate": bool(outcome.get("duplicate")),
                        "conversation": told.get("id"),
                        "conversation_id": in_flight.conversation.conversation_id,
                    },
                )
            else:
                error = describe(outcome.get("errors")) or "refused by the server"
                self.refused += 1
                self.reason = self.reason or error
                self._outcomes[item.id] = (False, error)
        if part.announced:
            self._outcomes[_key(in_flight)] = (
                True,
                {
                    "id": told.get("id"),
                    "conversation_id": in_flight.conversation.conversation_id,
                    "created": bool(told.get("created")),
                },
            )
        self.outbox.settle(in_flight, settled, part.announced)

    def counts(self, in_flight: InFlight) -> dict[str, int]:
        """How much of it was accepted, by kind, and how much was refused."""
        counts: dict[str, int] = {}
        for item in in_flight.settled:
            accepted = self._outcomes[item.id][0]
            name = COUNTED[item.kind] if accepted and item.kind < len(COUNTED) else "errors"
            if not accepted or item.kind < len(COUNTED):
                counts[name] = counts.get(name, 0) + 1
        return counts

    def report(self) -> SendResult:
        """Outcomes in the order in which things were tracked, and counts of what was accepted."""
        report: Any = empty_report()
        summary = report["summary"]
        for index, (key, kind, timestamp) in enumerate(self._rows):
            row: dict[str, Any] = {
                "index": index,
                "type": "conversation" if kind < 0 else KIND_NAMES[kind],
                "timestamp": timestamp,
            }
            success, told = self._outcomes.get(
                key, (False, f"{self.blocked or 'the server did not mention it'}; stays pending")
            )
            row["success"] = success
            row["response" if success else "error"] = told
            report["items"].append(row)
            if not success:
                summary["errors"] += 1
            elif 0 <= kind < len(COUNTED):
                summary[COUNTED[kind]] += 1
        whole: SendResult = report
        return whole


def empty_report() -> SendResult:
    """What `send_tracked_data` answers when there was nothing left to do."""
    summary: Any = {**dict.fromkeys(COUNTED, 0), "errors": 0}
    return {"items": [], "summary": summary}


def add_counts(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    """Both, name by name."""
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def _key(in_flight: InFlight) -> str:
    return f"conversation {id(in_flight)}"


def _split(parts: list[BatchPart]) -> tuple[list[BatchPart], list[BatchPart]] | None:
    """The same in two halves, or None when there is nothing to split."""
    if len(parts) > 1:
        middle = len(parts) // 2
        return parts[:middle], parts[middle:]
    part = parts[0]
    if len(part.items) > 1:
        middle = len(part.items) // 2
    elif part.items and part.announced:
        middle = 0
    else:
        return None
    return (
        [BatchPart(part.in_flight, part.announced, part.items[:middle])],
        [BatchPart(part.in_flight, False, part.items[middle:])],
    )
