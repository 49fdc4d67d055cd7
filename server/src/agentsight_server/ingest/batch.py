"""Bulk writing: one request, many conversations, an outcome for every item."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, get_args

import msgspec

from agentsight_server.contract import fields
from agentsight_server.contract.fields import timestamp
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError, decode
from agentsight_server.ingest import schemas as wire
from agentsight_server.ingest.normalise import Normaliser, Pending
from agentsight_server.ingest.public import PublicKey
from agentsight_server.store.append import Appended, NewConversation, NewItem, Refusal

# What is said of a conversation that the store does not take.
REFUSALS: dict[Refusal, str] = {
    "deleted": "was deleted; it takes nothing until it is restored",
    "erased": "was erased; what is from before that is not taken again",
}
FROM_BEFORE = {"timestamp": ["is from before the conversation was erased"]}
_REFUSED = {"conversation": ["was refused, see its errors"]}
NO_MESSAGE = "there is no such message in this conversation"


class _Whole(wire.Known):
    conversations: list[wire.ConversationIn]


class _Loose(wire.Known):
    conversations: list[msgspec.Raw]


class _LooseItems(msgspec.Struct):
    items: list[msgspec.Raw] = []
    feedbacks: list[msgspec.Raw] = []


class _Name(msgspec.Struct):
    conversation_id: Any = None


class _Kind(msgspec.Struct):
    id: Any = None
    type: Any = None


_whole = msgspec.json.Decoder(_Whole)
_anything = msgspec.json.Decoder()
_loose = msgspec.json.Decoder(_Loose)
_loose_items = msgspec.json.Decoder(_LooseItems)
_name = msgspec.json.Decoder(_Name)
_kind = msgspec.json.Decoder(_Kind)
_item = msgspec.json.Decoder(wire.ItemIn)
_feedback = msgspec.json.Decoder(wire.FeedbackIn)
_fields = msgspec.json.Decoder(wire.ConversationIn)


class ItemOutcome(msgspec.Struct):
    """What became of one item. `id` is its database id, `uuid` the id that it was sent with."""

    index: int
    id: int | None
    uuid: str | None
    type: str | None
    success: bool
    duplicate: bool = False
    errors: dict[str, list[str]] | None = None


class ConversationOutcome(msgspec.Struct):
    """What became of one conversation and its items, in the order in which they were sent."""

    conversation_id: str | None
    id: int | None
    created: bool
    success: bool
    errors: dict[str, list[str]] | None
    items: list[ItemOutcome]


class BatchOutcome(msgspec.Struct):
    """The answer to a batch."""

    conversations: list[ConversationOutcome]


class _Waiting(msgspec.Struct):
    """An accepted conversation until its answer: its outcome and, where some of its items were refused, the outcomes
    of those that were kept; else the ids and types of all. What was sent is not held: it may be large."""

    outcome: ConversationOutcome
    ids: list[str | None]
    tags: list[str]
    kept: list[ItemOutcome] | None = None


class Batch:
    """A decoded batch: what to store, and where each outcome belongs.

    Example:
        >>> batch = Batch(Normaliser(places.lookup), body)
        >>> appended = await writer.run(lambda c, n: append(c, n, agent_id, batch.accepted))
        >>> answer = batch.answer(appended)
    """

    def __init__(self, normaliser: Normaliser, body: bytes, author: PublicKey | None = None) -> None:
        self.normaliser = normaliser
        self._author = author
        self._normalise = normaliser.item if author is None else self._judged
        self.now = times.now()
        self.received = 0
        self.accepted: list[NewConversation] = []
        self.adjusted: list[list[wire.Adjusted]] = []  # of the accepted ones
        self.outcomes: list[ConversationOutcome] = []
        self._waiting: list[_Waiting] = []
        try:
            for given in _whole.decode(body).conversations:
                self._take(given)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # Something does not fit: go through it piece by piece, so that the rest can be stored.
            self.accepted, self.adjusted, self.outcomes, self._waiting = [], [], [], []
            self.received = 0
            with suppress(Invalid):  # a number like 1e999 is its item's mistake
                decode(body, _anything, fields.CHOICES)  # what is not JSON at all is refused as a whole
            for raw in decode(body, _loose, fields.CHOICES).conversations:
                self._take_loose(raw)

    @property
    def weight(self) -> int:
        """How many items are to be stored, at least 1."""
        return sum(len(each.items) for each in self.accepted) + len(self.accepted) or 1

    @property
    def files(self) -> list[Pending]:
        """The bytes of the files that are to be stored; those of refused items are not among them."""
        if not self.normaliser.files:
            return []
        named = {file.sha256 for each in self.accepted for item in each.items for file in item.files}
        return [file for digest, file in self.normaliser.files.items() if digest in named]

    @property
    def file_bytes(self) -> int:
        """How many bytes of files are to be stored."""
        return sum(file.size_bytes for each in self.accepted for item in each.items for file in item.files)

    def refuse_files(self, errors: dict[str, list[str]]) -> None:
        """Leave out every item that brings files."""
        for target, waiting in zip(self.accepted, self._waiting, strict=True):
            if not any(item.files for item in target.items):
                continue
            kept = waiting.kept
            if kept is None:  # so far none of its items was refused
                kept = [
                    ItemOutcome(index, None, uuid, tag, False)
                    for index, (uuid, tag) in enumerate(zip(waiting.ids, waiting.tags, strict=True))
                ]
                waiting.outcome.items = kept
            pairs = [*zip(target.items, kept, strict=True)]
            for item, outcome in pairs:
                if item.files:
                    outcome.errors = errors
            target.items = [item for item, _ in pairs if not item.files]
            waiting.kept = [outcome for item, outcome in pairs if not item.files]

    def _take(self, given: wire.ConversationIn) -> None:
        sent = [] if given.items is msgspec.UNSET else given.items
        if given.feedbacks:
            sent = [*sent, *given.feedbacks]
        self.received += len(sent)
        normalise, now = self._normalise, self.now
        try:
            fields = self._fields(given)
            fields.items = [normalise(item, now) for item in sent]
        except Invalid:
            outcomes = [_outcome(index, item) for index, item in enumerate(sent)]
            self._judge(given, outcomes, [*zip(outcomes, sent, strict=True)])
            return
        outcome = ConversationOutcome(given.conversation_id, None, False, True, None, [])
        self._accept(
            given, fields, _Waiting(outcome, [item.id for item in sent], [_TAGS[type(item)] for item in sent])
        )

    def _take_loose(self, raw: msgspec.Raw) -> None:
        outcomes: list[ItemOutcome] = []
        taken: list[tuple[ItemOutcome, wire.ItemIn]] = []
        name: Any = None
        try:
            name = decode(raw, _name, fields.CHOICES).conversation_id
            pieces = decode(raw, _loose_items, fields.CHOICES)
            for decoder, piece in [
                *((_item, each) for each in pieces.items),
                *((_feedback, each) for each in pieces.feedbacks),
            ]:
                outcome = ItemOutcome(len(outcomes), None, None, None, False)
                outcomes.append(outcome)
                self.received += 1
                try:
                    kind = decode(piece, _kind, fields.CHOICES)
                    outcome.uuid = kind.id if isinstance(kind.id, str) else None
                    outcome.type = kind.type if isinstance(kind.type, str) else None
                    taken.append((outcome, decode(piece, decoder, fields.CHOICES)))
                except RequestError as error:
                    outcome.errors = _errors(error)
            given = decode(_without_items(raw), _fields, fields.CHOICES)
        except RequestError as error:
            self._refuse(name if isinstance(name, str) else None, outcomes, _errors(error))
            return
        self._judge(given, outcomes, taken)

    def _judge(
        self,
        given: wire.ConversationIn,
        outcomes: list[ItemOutcome],
        taken: list[tuple[ItemOutcome, wire.ItemIn]],
    ) -> None:
        """Take what is right in a conversation that has mistakes."""
        try:
            fields = self._fields(given)
        except Invalid as error:
            self._refuse(given.conversation_id, outcomes, error.errors)
            return
        items: list[NewItem] = []
        kept: list[ItemOutcome] = []
        for each, item in taken:
            try:
                items.append(self._normalise(item, self.now))
                kept.append(each)
            except Invalid as error:
                each.errors = error.errors
        fields.items = items
        outcome = ConversationOutcome(given.conversation_id, None, False, True, None, outcomes)
        self._accept(given, fields, _Waiting(outcome, [], [], kept))

    def _judged(self, item: wire.ItemIn, now: int) -> NewItem:
        assert self._author is not None
        made = self.normaliser.item(item, now)
        self._author.item(made)
        return made

    def _fields(self, given: wire.ConversationIn) -> NewConversation:
        fields = self.normaliser.conversation(given)
        if self._author is not None:
            self._author.conversation(given)
            self._author.sign(fields, given.conversation_token)
        fields.is_marked = given.is_marked
        fields.is_offered = given.is_offered
        if given.deleted_at is not None:
            fields.deleted_at = timestamp("deleted_at", given.deleted_at, archived=True)
        return fields

    def _accept(self, given: wire.ConversationIn, fields: NewConversation, waiting: _Waiting) -> None:
        self.accepted.append(fields)
        self.adjusted.append(given.adjusted)
        self.outcomes.append(waiting.outcome)
        self._waiting.append(waiting)

    def _refuse(self, name: str | None, items: list[ItemOutcome], errors: dict[str, list[str]]) -> None:
        for item in items:
            item.errors = item.errors or dict(_REFUSED)
        self.outcomes.append(ConversationOutcome(name, None, False, False, errors, items))

    def answer(self, appended: list[Appended]) -> BatchOutcome:
        """The outcomes, with the database's ids."""
        for stored, waiting in zip(appended, self._waiting, strict=True):
            outcome = waiting.outcome
            if stored.refused is not None:
                _take_back(outcome, waiting, REFUSALS[stored.refused])
                continue
            outcome.id, outcome.created = stored.id, stored.created
            if waiting.kept is None:
                outcome.items = [
                    ItemOutcome(index, number, uuid, tag, True, duplicate)
                    for index, (uuid, tag, (number, duplicate)) in enumerate(
                        zip(waiting.ids, waiting.tags, stored.items, strict=True)
                    )
                ]
            else:
                for judged, (number, duplicate) in zip(waiting.kept, stored.items, strict=True):
                    judged.id, judged.duplicate, judged.success = number, duplicate, True
            for judged in outcome.items:
                if judged.id is not None and judged.id <= 0:
                    judged.errors = {"message": [NO_MESSAGE]} if judged.id == 0 else dict(FROM_BEFORE)
                    judged.id, judged.success = None, False
        return BatchOutcome(self.outcomes)


_TAGS: dict[type, str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(wire.ItemIn)}


def _take_back(outcome: ConversationOutcome, waiting: _Waiting, reason: str) -> None:
    """Say that the store did not take a conversation that is right in itself."""
    outcome.success, outcome.errors = False, {"conversation_id": [reason]}
    if waiting.kept is None:
        outcome.items = [
            ItemOutcome(index, None, uuid, tag, False)
            for index, (uuid, tag) in enumerate(zip(waiting.ids, waiting.tags, strict=True))
        ]
    for item in outcome.items:
        item.errors = item.errors or dict(_REFUSED)


def _outcome(index: int, item: wire.ItemIn) -> ItemOutcome:
    return ItemOutcome(index, None, item.id, _TAGS[type(item)], False)


def _errors(error: RequestError) -> dict[str, list[str]]:
    if isinstance(error, Invalid):
        return error.errors
    return {"detail": [str(error.body.get("detail", error.body))]}


def _without_items(raw: msgspec.Raw) -> bytes:
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    fields.pop("items", None)
    fields.pop("feedbacks", None)
    return msgspec.json.encode(fields)
