"""Writing one thing at a time: the calls that programs in any language make."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection

from agentsight_server.contract import fields
from agentsight_server.contract.fields import clean, json_text, timestamp
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError, not_found
from agentsight_server.domain.problems import Code, Problem, either
from agentsight_server.http.bodies import AnyRequest, run_in_thread_if_large
from agentsight_server.ingest import request_schemas
from agentsight_server.ingest.batch import REFUSALS
from agentsight_server.ingest.normalise import Normaliser
from agentsight_server.ingest.public import PublicKey
from agentsight_server.store import amend, append, conversations, transcripts
from agentsight_server.store.append import Appended, NewConversation, NewItem
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.schema import ATTACHMENTS, SENDERS

_SENDERS = either(SENDERS)
_MODES = ("base64", "form_data")
_json_object = msgspec.json.Decoder(dict[str, Any])
_FORM_FIELDS = frozenset({*request_schemas.AttachmentsCall.__struct_fields__} - {"attachments"})


def reference(given: request_schemas.Reference, author: PublicKey | None = None) -> NewConversation:
    """The conversation that a call names; `author` where a public key does.

    Raises:
        Invalid: it names none, or not as a number.
        NotAllowed: by a number, with a public key.
    """
    if author is not None:
        author.number(given.conversation)
        target = reference(request_schemas.Reference(conversation_id=given.conversation_id))
        author.sign(target)
        return target
    number = given.conversation
    if isinstance(number, str):
        text = number.strip()
        if text in request_schemas.NO_REFERENCE:
            number = None
        elif (digits := _number(text)) is not None:
            number = digits
        else:
            raise Invalid(
                Problem("conversation", Code.FORMAT, "the integer id; put a text id into conversation_id")
            )
    if number is not None:
        if not 0 < number < 2**63:
            raise not_found("no such conversation")
        return NewConversation(row=number)
    name = given.conversation_id
    if name is None or not name.strip():
        raise Invalid(Problem("conversation_id", Code.REQUIRED_OR, "conversation with the integer id"))
    if len(name) > fields.NAME_LENGTH:  # a form's fields come unchecked
        raise Invalid(Problem("conversation_id", Code.TOO_LONG, fields.NAME_LENGTH))
    return NewConversation(conversation_id=clean("conversation_id", name))


def message_number(message: int | str | None) -> int | None:
    """The number of the message that files belong to; None where `message` is a text or absent."""
    if not isinstance(message, str):
        return message
    text = message.strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) < 19 else 2**63  # no message has it


def place_of_message(given: request_schemas.Reference, author: PublicKey | None) -> NewConversation | None:
    """The conversation that a call with a message's number names; None: the message's own, whichever it is.

    Clients that know no number of the conversation write "None" into both fields.
    """
    names = (given.conversation, given.conversation_id)
    if all(
        each is None or (isinstance(each, str) and each.strip() in request_schemas.NO_REFERENCE)
        for each in names
    ):
        if author is not None:
            # A message's number alone can be guessed; the text id of its conversation cannot.
            raise Invalid(Problem("conversation_id", Code.REQUIRED))
        return None
    return reference(given, author)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


class Written(msgspec.Struct):
    """A single call's outcome, read back in the transaction that stored it."""

    conversation: ConversationRow
    created: bool
    entries: list[transcripts.Entry]
    feedbacks: list[transcripts.FeedbackRow]
    duplicates: int = 0
    left_out: int = 0  # keys of the metadata for which there was no room


def write(connection: Connection, attempt: int, agent_id: int, given: NewConversation) -> Written:
    """Store one conversation's items and read them back.

    Raises:
        RequestError: 404, a number names no conversation of the agent, or no message of it; 409, the conversation
            is deleted.
    """
    stored: Appended = append.append(connection, attempt, agent_id, [given])[0]
    if stored.refused is not None and given.row is None:
        problem = Problem("", REFUSALS[stored.refused])
        raise RequestError(409, {"detail": f"this conversation {problem}"}, problems=(problem,))
    row = conversations.get(connection, {agent_id}, stored.id) if stored.id is not None else None
    if row is None:
        raise not_found("no such conversation")
    numbers = [number for number, _ in stored.items]
    if 0 in numbers:
        raise not_found("no such message in this conversation")
    entries = transcripts.entries_by_id(connection, numbers) if numbers else []
    feedbacks = [each for each in transcripts.feedback_of(connection, [row.id]) if each.id in numbers]
    again = sum(again for _, again in stored.items)
    return Written(row, stored.created, entries, feedbacks, again, stored.left_out)


def join(
    connection: Connection, agent_id: int, named: NewConversation | None, number: int, item: NewItem
) -> Written:
    """Add the item's files and metadata to the message of that number, and read it back with these files alone.

    A file that the message has already, by content and name, is not added again: calls are repeated when their
    answer was lost. Of the metadata, keys that the message lacks are added.

    Raises:
        RequestError: 404, there is no such message in the conversation.
        Invalid: too many files, or too much metadata.
    """
    found = transcripts.message_of(connection, agent_id, number)
    row = None if found is None else conversations.get(connection, {agent_id}, found.conversation)
    if (
        found is None
        or row is None
        or (named is not None and row.id != named.row and row.conversation_id != named.conversation_id)
        or (named is not None and named.author is not None and not named.author.may_change(row))
        or (named is not None and named.author is not None and named.author.as_customer and found.sender != 0)
    ):
        raise not_found("no such message in this conversation")
    there = {(file.sha256, file.filename) for file in found.files}
    new = [file for file in item.files if (file.sha256, file.filename) not in there]
    if len(found.files) + len(new) > fields.FILES_PER_ITEM:
        raise Invalid(Problem("attachments", Code.TOO_MANY, f"{fields.FILES_PER_ITEM} files on a message"))
    metadata = found.metadata
    if item.metadata is not None:
        given, present = _json_object.decode(item.metadata), _json_object.decode(metadata or "{}")
        if given.keys() - present.keys():
            metadata = json_text("metadata", given | present)
    if new or metadata != found.metadata:
        amend.extend_message(connection, row.id, number, new, metadata)
    entry = transcripts.entries_by_id(connection, [number])[0]
    mine = {(file.sha256, file.filename) for file in item.files}
    entry.files = [file for file in entry.files if (file.sha256, file.filename) in mine]
    return Written(row, False, [entry], [])


def tracked(given: request_schemas.TrackIn, normaliser: Normaliser) -> list[NewItem]:
    """A message, or a question and its answer."""
    now = times.now()
    if given.question is not None or given.answer is not None:
        if given.content is not None:
            raise Invalid(Problem("content", Code.GOES_WITHOUT, "question and answer"))
        pairs: Iterable[tuple[str, fields.Sender, str | None]] = (
            ("question", "end_user", given.question),
            ("answer", "agent", given.answer),
        )
        items = []
        for field, sender, text in pairs:
            if text is not None:
                message = request_schemas.MessageIn(sender, text, None, given.timestamp, given.metadata)
                items.append(_named(normaliser, message, now, field))
        return items
    if given.content is None:
        raise Invalid(Problem("content", Code.REQUIRED_OR, "question and answer"))
    if given.sender is None:
        raise Invalid(Problem("sender", Code.REQUIRED, _SENDERS))
    message = request_schemas.MessageIn(given.sender, given.content, None, given.timestamp, given.metadata)
    return [normaliser.item(message, now)]


def _named(normaliser: Normaliser, message: request_schemas.MessageIn, now: int, field: str) -> NewItem:
    try:
        return normaliser.item(message, now)
    except Invalid as error:
        raise Invalid(
            *(
                msgspec.structs.replace(each, field=field) if each.field == "content" else each
                for each in error.problems
            )
        ) from None


async def multipart_attachments(
    request: AnyRequest, normaliser: Normaliser, author: PublicKey | None
) -> tuple[NewConversation | None, NewItem, int | None]:
    """The multipart form of attachments: files `attachment_0`, `attachment_1`… beside plain fields.

    Returns:
        The conversation, what to add to it, and the number of the message that the files belong to, if one is given.
    """
    form = await request.form()
    values: dict[str, Any] = {}
    files: list[append.NewFile] = []
    for name, value in sorted(form.multi_items(), key=_position):
        if isinstance(value, (str, bytes)):
            if len(files) + len(values) > fields.FILES_PER_ITEM + 20:
                raise Invalid(Problem("", Code.TOO_MANY, f"{fields.FILES_PER_ITEM + 20} form fields"))
            values[name] = value if isinstance(value, str) else value.decode("utf-8", "replace")
        else:
            data = await value.read()
            place = f"{name}."
            kind = None if value.content_type == "application/octet-stream" else value.content_type
            given = (place, value.filename or name, kind, data)
            files.append(await run_in_thread_if_large(len(data), lambda given=given: normaliser.file(*given)))  # type: ignore[misc]
    unknown = sorted(values.keys() - _FORM_FIELDS)
    if unknown:
        there = f"{', '.join(sorted(_FORM_FIELDS))}, and files"
        raise Invalid(*(Problem(name[:100], Code.UNKNOWN_FIELD, there) for name in unknown))
    if not files:
        raise Invalid(Problem("attachment_0", Code.REQUIRED, "at least one file"))
    if len(files) > fields.FILES_PER_ITEM:
        raise Invalid(Problem("attachments", Code.TOO_MANY, f"{fields.FILES_PER_ITEM} files"))
    call = request_schemas.Reference(
        conversation=values.get("conversation"), conversation_id=values.get("conversation_id")
    )
    number = message_number(values.get("message"))
    named = reference(call, author) if number is None else place_of_message(call, author)
    sender = values.get("sender") or "end_user"
    if sender not in SENDERS:
        raise Invalid(Problem("sender", Code.CHOICE, _SENDERS, repr(sender)))
    mode = values.get("mode")
    if mode not in (None, "", *_MODES):
        raise Invalid(Problem("mode", Code.CHOICE, either(_MODES), repr(mode)))
    item = NewItem(
        ATTACHMENTS,
        _form_time(values.get("timestamp")),
        None,
        SENDERS.index(sender),
        _caption(values.get("message")) if number is None else None,
        _form_metadata(values.get("metadata")),
        None,
        tuple(files),
        stamped=not values.get("timestamp"),
    )
    return named, item, number


def _position(part: tuple[str, Any]) -> tuple[int, str]:
    """Files in the order of their numbers: attachment_2 before attachment_10."""
    digits = part[0].rpartition("_")[2]
    return (int(digits) if digits.isascii() and digits.isdigit() else 0, part[0])


def _form_time(text: str | None) -> int:
    if not text:
        return times.now()
    try:
        return timestamp("timestamp", msgspec.convert(text, datetime))
    except msgspec.ValidationError:
        raise Invalid(Problem("timestamp", Code.TIME)) from None


def _form_metadata(text: str | None) -> str | None:
    if not text or text == "null":
        return None
    try:
        value = _json_object.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid(Problem("metadata", Code.FORMAT, "a JSON object as text")) from None
    return json_text("metadata", value)


def _caption(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    if len(text) > fields.CONTENT_LENGTH:
        raise Invalid(Problem("message", Code.TOO_LONG, fields.CONTENT_LENGTH))
    return clean("message", text)
