"""Sends parcels as batches, and tells item by item what became of them."""

from __future__ import annotations

import time

from agentsight.delivery.responses import describe, raise_for
from agentsight.exceptions import (
    ConfigurationException,
    ConversationApiException,
    ConversationNetworkException,
)
from agentsight.items.encoding import encode_json, iso, kind_names
from agentsight.outbox.outbox import LARGEST_BODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any

    from agentsight.delivery.responses import Answer
    from agentsight.delivery.transport import Transport
    from agentsight.items.encoding import Prepared
    from agentsight.outbox.outbox import Outbox
    from agentsight.outbox.pending import Parcel
    from agentsight.types import SendResult

__all__ = ["Delivery", "add_counts", "empty_report"]

PATH = "/api/ingest/batch/"
SMALLEST_BODY = 64 * 1024  # bytes before compression; a request that was late is not made smaller than this
LARGEST_BATCH = 10_000  # items
MOST_ADJUSTED = 100  # kinds of changes that one conversation tells of
MOST_TIMES = 1_000_000
SEARCHES = 40  # requests spent on finding what in a refused batch is wrong
COUNTED = ("questions", "answers", "actions", "buttons", "attachments")


class _Piece:
    """Part of a parcel within one request."""

    __slots__ = ("announced", "items", "parcel")

    def __init__(self, parcel: Parcel, announced: bool, items: list[Prepared]) -> None:
        self.parcel = parcel
        self.announced = announced
        self.items = items


class Delivery:
    """One flight: parcels out, outcomes back.

    What is not settled at the end (`Outbox.settle`) was not accepted, and goes back to its lane.

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

    def run(self, parcels: list[Parcel], silent: Collection[Parcel] = ()) -> None:
        """Send all parcels, in as few requests as their size allows; `silent` ones are not reported.

        Raises:
            UnauthorizedException, ForbiddenException: the key is wrong; nothing is settled by that.
        """
        pieces = []
        for parcel in parcels:
            if parcel.announced and parcel not in silent:
                self._rows.append((_key(parcel), -1, iso(parcel.lane.opened_ns)))
            if parcel not in silent:
                self._rows.extend((each.id, each.kind, iso(each.ns)) for each in parcel.items)
            pieces.append(_Piece(parcel, parcel.announced, parcel.items))
        self._send(pieces)

    def _send(self, pieces: list[_Piece]) -> None:
        if self.blocked is not None:
            return
        size = sum(len(item.text) for piece in pieces for item in piece.items)
        if size > self.outbox.largest_body or sum(len(piece.items) for piece in pieces) > LARGEST_BATCH:
            halves = _split(pieces)
            if halves is not None:
                self._send(halves[0])
                self._send(halves[1])
                return
        body = self._encode(pieces)
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
            self._read(pieces, answer)
        elif answer.status in (400, 413, 422):
            self._search(pieces, answer)
        else:
            try:
                raise_for(answer)
            except ConversationApiException as problem:
                if problem.status_code in (401, 403):
                    raise
                self.blocked, self.status = str(problem), answer.status

    def _post(self, body: bytes) -> Answer:
        def post() -> Answer:
            return self.transport.exchange(
                "POST", PATH, body, deadline=self.deadline, pause=self.pause, patient=self.patient
            )

        answer = post()
        if answer.status == 415 and self.transport.gzip:
            # Something between here and the server does not take compressed bodies.
            self.transport.gzip = False
            answer = post()
        return answer

    def _search(self, pieces: list[_Piece], answer: Answer) -> None:
        """A request was refused as a whole: find what is wrong with it by halving it."""
        halves = _split(pieces)
        if halves is not None and (answer.status == 413 or self._searches > 0):
            self._searches -= 1
            self._send(halves[0])
            self._send(halves[1])
            return
        try:
            said = describe(answer.json())
        except ConversationApiException:
            said = ""
        for piece in pieces:
            self._refuse(piece, f"{answer.status}: {said or 'refused by the server'}")

    def _refuse(self, piece: _Piece, error: str) -> None:
        if piece.announced:
            self._outcomes[_key(piece.parcel)] = (False, error)
        for item in piece.items:
            self._outcomes[item.id] = (False, error)
        piece.parcel.adjusted = {}
        self.refused += len(piece.items) + piece.announced
        self.reason = self.reason or error
        self.outbox.settle(piece.parcel, piece.items, piece.announced)

    def _encode(self, pieces: list[_Piece]) -> bytes:
        conversations = []
        for piece in pieces:
            lane = piece.parcel.lane
            fields = {
                "conversation_id": lane.conversation_id,
                "environment": lane.known.get("environment") or self.environment,
                "timestamp": iso(min(lane.opened_ns, piece.items[0].ns) if piece.items else lane.opened_ns),
            }
            if piece.announced:
                fields = {**piece.parcel.fields, **fields}
            adjusted = list(piece.parcel.adjusted.items())[:MOST_ADJUSTED]
            if adjusted:
                fields = {
                    **fields,
                    "adjusted": [
                        {"field": field, "code": code, "count": min(count, MOST_TIMES)}
                        for (field, code), count in adjusted
                    ],
                }
            head = encode_json(fields)[:-1]
            conversations.append(head + ',"items":[' + ",".join(item.text for item in piece.items) + "]}")
        return ('{"conversations":[' + ",".join(conversations) + "]}").encode()

    def _read(self, pieces: list[_Piece], answer: Answer) -> None:
        try:
            told = answer.json()["conversations"]
            if len(told) != len(pieces):
                raise ValueError("not as many conversations as were sent")
            for piece, conversation in zip(pieces, told, strict=True):
                self._read_one(piece, conversation)
        except (ConversationApiException, AttributeError, KeyError, TypeError, ValueError) as problem:
            self.blocked, self.status = f"the answer is not what an AgentSight server says: {problem}", 200
            self.transport.away = True

    def _read_one(self, piece: _Piece, told: dict[str, Any]) -> None:
        parcel = piece.parcel
        if not told["success"]:
            self._refuse(piece, describe(told.get("errors")) or "refused by the server")
            return
        parcel.adjusted = {}
        outcomes = {each.get("uuid") or piece.items[each["index"]].id: each for each in told["items"]}
        settled = []
        for item in piece.items:
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
                        "conversation_id": parcel.lane.conversation_id,
                    },
                )
            else:
                error = describe(outcome.get("errors")) or "refused by the server"
                self.refused += 1
                self.reason = self.reason or error
                self._outcomes[item.id] = (False, error)
        if piece.announced:
            self._outcomes[_key(parcel)] = (
                True,
                {
                    "id": told.get("id"),
                    "conversation_id": parcel.lane.conversation_id,
                    "created": bool(told.get("created")),
                },
            )
        self.outbox.settle(parcel, settled, piece.announced)

    def counts(self, parcel: Parcel) -> dict[str, int]:
        """How much of a parcel was accepted, by kind, and how much was refused."""
        counts: dict[str, int] = {}
        for item in parcel.settled:
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
                "type": "conversation" if kind < 0 else kind_names[kind],
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


def _key(parcel: Parcel) -> str:
    return f"conversation {id(parcel)}"


def _split(pieces: list[_Piece]) -> tuple[list[_Piece], list[_Piece]] | None:
    """The same in two halves, or None when there is nothing to split."""
    if len(pieces) > 1:
        middle = len(pieces) // 2
        return pieces[:middle], pieces[middle:]
    piece = pieces[0]
    if len(piece.items) > 1:
        middle = len(piece.items) // 2
    elif piece.items and piece.announced:
        middle = 0
    else:
        return None
    return (
        [_Piece(piece.parcel, piece.announced, piece.items[:middle])],
        [_Piece(piece.parcel, False, piece.items[middle:])],
    )
