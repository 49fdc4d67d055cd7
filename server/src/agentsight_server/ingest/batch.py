"""Bulk writing: one request, many conversations, an outcome for every item."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from agentsight_server.contract.decoding import decode, loosely, without_surrogates
from agentsight_server.contract.fields import timestamp
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.problems import Code, Problem, sentences
from agentsight_server.ingest import request_schemas
from agentsight_server.ingest.normalise import Normaliser, Pending
from agentsight_server.ingest.public import PublicKey
from agentsight_server.store.append import Appended, NewConversation, NewItem, Refusal

Problems = tuple[Problem, ...]

REFUSALS: dict[Refusal, Code] = {"deleted": Code.DELETED, "erased": Code.ERASED}
BEFORE_ERASURE = Problem("timestamp", Code.BEFORE_ERASURE)
NO_MESSAGE = Problem("message", Code.NO_SUCH_MESSAGE)
_REFUSED = (Problem("conversation", Code.CONVERSATION_REFUSED),)


class _Whole(request_schemas.Known):
    conversations: list[request_schemas.ConversationIn]


class _Loose(request_schemas.Known):
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
_loose = msgspec.json.Decoder(_Loose)
_loose_items = msgspec.json.Decoder(_LooseItems)
_name = msgspec.json.Decoder(_Name)
_kind = msgspec.json.Decoder(_Kind)
_item = msgspec.json.Decoder(request_schemas.ItemIn)
_feedback = msgspec.json.Decoder(request_schemas.FeedbackIn)
_fields = msgspec.json.Decoder(request_schemas.ConversationIn)


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


class JudgedItem(msgspec.Struct):
    """One item before its outcome: how it was named, and what is wrong with it."""

    index: int
    uuid: str | None = None
    type: str | None = None
    problems: Problems = ()


class Judged(msgspec.Struct):
    """One conversation before its outcome. Of one without mistakes only the ids and types of its items are held: what
    was sent may be large. Else `items` are all of them, right and wrong."""

    conversation_id: str | None
    problems: Problems = ()
    ids: list[str | None] = []
    tags: list[str] = []
    items: list[JudgedItem] | None = None

    def all_items(self) -> list[JudgedItem]:
        """All items, to mark mistakes in."""
        if self.items is None:
            self.items = [
                JudgedItem(index, uuid, tag)
                for index, (uuid, tag) in enumerate(zip(self.ids, self.tags, strict=True))
            ]
        return self.items


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
        self._normalise = normaliser.item if author is None else self._item_of_public_key
        self.now = times.now()
        self.received = 0
        self._is_mended = False  # U+0000 stands for halves of surrogate pairs
        self.accepted: list[NewConversation] = []
        self.adjusted: list[list[request_schemas.Adjusted]] = []  # of the accepted ones
        self.judged: list[Judged] = []  # all of them; those without problems are accepted, in the same order
        try:
            for given in _whole.decode(body).conversations:
                self._take(given)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # Something does not fit: go through it piece by piece, so that the rest can be stored.
            self.accepted, self.adjusted, self.judged = [], [], []
            self.received = 0
            whole = without_surrogates(body)
            self._is_mended = whole is not body
            loosely(whole)  # what is not JSON at all is refused as a whole
            for raw in decode(whole, _loose).conversations:
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

    def refuse_files(self, problem: Problem) -> None:
        """Leave out every item that brings files."""
        taken = [each for each in self.judged if not each.problems]
        for target, judged in zip(self.accepted, taken, strict=True):
            if not any(item.files for item in target.items):
                continue
            kept = [each for each in judged.all_items() if not each.problems]
            for item, each in zip(target.items, kept, strict=True):
                if item.files:
                    each.problems = (problem,)
            target.items = [item for item in target.items if not item.files]

    def _take(self, given: request_schemas.ConversationIn) -> None:
        sent = [] if given.items is msgspec.UNSET else given.items
        if given.feedbacks:
            sent = [*sent, *given.feedbacks]
        self.received += len(sent)
        normalise, now = self._normalise, self.now
        try:
            target = self._conversation(given)
            target.items = [normalise(item, now) for item in sent]
        except Invalid:
            self._judge(
                given,
                [(JudgedItem(index, item.id, _TAGS[type(item)]), item) for index, item in enumerate(sent)],
            )
            return
        judged = Judged(
            given.conversation_id, (), [item.id for item in sent], [_TAGS[type(item)] for item in sent]
        )
        self._accept(given, target, judged)

    def _take_loose(self, raw: msgspec.Raw) -> None:
        pairs: list[tuple[JudgedItem, request_schemas.ItemIn | None]] = []
        name: Any = None
        try:
            name = decode(raw, _name).conversation_id
            pieces = decode(raw, _loose_items)
            for decoder, piece in [
                *((_item, each) for each in pieces.items),
                *((_feedback, each) for each in pieces.feedbacks),
            ]:
                judged = JudgedItem(len(pairs))
                item = None
                self.received += 1
                try:
                    kind = decode(piece, _kind)
                    judged.uuid = kind.id if isinstance(kind.id, str) else None
                    judged.type = kind.type if isinstance(kind.type, str) else None
                    item = decode(piece, decoder)
                except RequestError as error:
                    judged.problems = error.problems
                pairs.append((judged, item))
            given = decode(_without_items(raw), _fields)
        except RequestError as error:
            name = name if isinstance(name, str) else None
            self._refuse(name, [judged for judged, _ in pairs], error)
            return
        self._judge(given, pairs)

    def _judge(
        self,
        given: request_schemas.ConversationIn,
        pairs: list[tuple[JudgedItem, request_schemas.ItemIn | None]],
    ) -> None:
        """Take what is right in a conversation that has mistakes. An item that could not be decoded is None."""
        items = [judged for judged, _ in pairs]
        try:
            target = self._conversation(given)
        except Invalid as error:
            self._refuse(given.conversation_id, items, error)
            return
        for judged, item in pairs:
            if item is None:
                continue
            try:
                target.items.append(self._normalise(item, self.now))
            except Invalid as error:
                judged.problems = self._said(error)
        self._accept(given, target, Judged(given.conversation_id, items=items))

    def _item_of_public_key(self, item: request_schemas.ItemIn, now: int) -> NewItem:
        assert self._author is not None
        made = self.normaliser.item(item, now)
        self._author.item(made)
        return made

    def _conversation(self, given: request_schemas.ConversationIn) -> NewConversation:
        target = self.normaliser.conversation(given)
        if self._author is not None:
            self._author.conversation(given)
            self._author.sign(target, given.conversation_token)
        target.is_marked = given.is_marked
        target.is_offered = given.is_offered
        if given.deleted_at is not None:
            target.deleted_at = timestamp("deleted_at", given.deleted_at, archived=True)
        return target

    def _accept(self, given: request_schemas.ConversationIn, target: NewConversation, judged: Judged) -> None:
        self.accepted.append(target)
        self.adjusted.append(given.adjusted)
        self.judged.append(judged)

    def _refuse(self, name: str | None, items: list[JudgedItem], error: RequestError) -> None:
        for item in items:
            item.problems = item.problems or _REFUSED
        self.judged.append(Judged(name, self._said(error), items=items))

    def _said(self, error: RequestError) -> Problems:
        if not self._is_mended:
            return error.problems
        return tuple(
            Problem(each.field, Code.SURROGATE) if each.code is Code.NUL else each for each in error.problems
        )

    def answer(self, appended: list[Appended]) -> BatchOutcome:
        """The outcomes, with the database's ids."""
        stored = iter(appended)
        return BatchOutcome(
            [_told(judged) if judged.problems else _stored(judged, next(stored)) for judged in self.judged]
        )


_TAGS: dict[type, str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(request_schemas.ItemIn)}


def _told(judged: Judged) -> ConversationOutcome:
    """The outcome of a conversation that nothing was stored of."""
    items = [
        ItemOutcome(
            each.index, None, each.uuid, each.type, False, False, sentences(each.problems or _REFUSED)
        )
        for each in judged.all_items()
    ]
    return ConversationOutcome(judged.conversation_id, None, False, False, sentences(judged.problems), items)


def _stored(judged: Judged, stored: Appended) -> ConversationOutcome:
    if stored.refused is not None:  # by the store; it is right in itself
        problem = Problem("conversation_id", REFUSALS[stored.refused])
        return _told(Judged(judged.conversation_id, (problem,), items=judged.all_items()))
    if judged.items is None:
        outcomes = [
            ItemOutcome(index, number, uuid, tag, True, again)
            for index, (uuid, tag, (number, again)) in enumerate(
                zip(judged.ids, judged.tags, stored.items, strict=True)
            )
        ]
    else:
        numbers = iter(stored.items)
        outcomes = [
            ItemOutcome(each.index, None, each.uuid, each.type, False, False, sentences(each.problems))
            if each.problems
            else ItemOutcome(each.index, number, each.uuid, each.type, True, again)
            for each in judged.items
            for number, again in [(0, False) if each.problems else next(numbers)]
        ]
    for each in outcomes:
        if each.id is not None and each.id <= 0:
            each.errors = sentences([NO_MESSAGE if each.id == 0 else BEFORE_ERASURE])
            each.id, each.success = None, False
    return ConversationOutcome(judged.conversation_id, stored.id, stored.created, True, None, outcomes)


def _without_items(raw: msgspec.Raw) -> bytes:
    fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    fields.pop("items", None)
    fields.pop("feedbacks", None)
    return msgspec.json.encode(fields)
