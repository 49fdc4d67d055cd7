"""The writing half of the REST API."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, post
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec.structs import asdict

from agentsight_server.contract import response_schemas
from agentsight_server.contract.documentation import Doc
from agentsight_server.contract.links import file_links
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError, not_found
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest, json_body, run_in_thread_if_large
from agentsight_server.ingest import ingest_stats, request_schemas, single
from agentsight_server.ingest.batch import Batch, BatchOutcome
from agentsight_server.ingest.calls import (
    FULL,
    agent_of,
    author_of,
    has_room,
    keep_files,
    key_of,
    read_body,
    receipt,
    see_to_files,
    spend,
    store,
    store_item,
)
from agentsight_server.ingest.normalise import Normaliser
from agentsight_server.ingest.public import Receipt, judge
from agentsight_server.security.access import Access
from agentsight_server.store import conversations, transcripts
from agentsight_server.store.append import OLD

_INGEST: dict[str, Any] = {"access": Access.INGEST}


class _Decoders:
    conversation = msgspec.json.Decoder(request_schemas.ConversationFields)
    track = msgspec.json.Decoder(request_schemas.TrackIn)
    action = msgspec.json.Decoder(request_schemas.ActionCall)
    button = msgspec.json.Decoder(request_schemas.ButtonCall)
    attachments = msgspec.json.Decoder(request_schemas.AttachmentsCall)
    feedback = msgspec.json.Decoder(request_schemas.FeedbackCall)


class BatchIn(request_schemas.Known):
    """Many conversations with their items; each is judged on its own."""

    conversations: list[request_schemas.ConversationIn]


@post(
    "/api/ingest/batch",
    status_code=HTTP_200_OK,
    opt=_INGEST | {"doc": Doc("Write many conversations", "Writing", BatchIn, {200: BatchOutcome})},
)
async def write_batch(request: AnyRequest) -> Response[bytes]:
    """Store conversations and items in one transaction and say what became of each.

    Send each item with an `id` (a UUID): sent again, it answers `"duplicate": true` and stores nothing.
    Valid items are stored even when others are refused.
    """
    services = services_of(request)
    services.writer.check_room()
    body = await json_body(request, services.settings.max_body_bytes)
    spend(request, size=len(body))
    author = author_of(request)
    batch = await run_in_thread_if_large(
        len(body), lambda: Batch(Normaliser(services.places.lookup), body, author)
    )
    spend(request, items=batch.weight)
    if batch.files:
        services.storage.check_disk()
        if not await has_room(request, batch.file_bytes):
            batch.refuse_files(FULL)
    await keep_files(services, batch.files)
    appended = await services.append(
        agent_of(request),
        batch.accepted,
        weight=batch.weight,
        ledger_entry=ingest_stats.of_batch(key_of(request), batch),
    )
    refused = any(each.refused or any(number == OLD for number, _ in each.items) for each in appended)
    await see_to_files(services, batch.files, refused=refused)
    return await run_in_thread_if_large(len(body), lambda: answer_json(batch.answer(appended)))


@post(
    "/api/conversations",
    opt=_INGEST
    | {
        "doc": Doc(
            "Begin a conversation",
            "Writing",
            request_schemas.ConversationFields,
            {201: response_schemas.Conversation, 200: response_schemas.Conversation},
            public=Receipt,
        )
    },
)
async def create_conversation(request: AnyRequest) -> Response[bytes]:
    """201 for a new conversation, 200 for one that is there already.

    What an existing one has is never overwritten: empty fields are filled, new metadata keys are added,
    and `is_used` turns true and stays true.
    """
    services, given = await read_body(request, _Decoders.conversation)
    if given.is_used is None:
        given.is_used = True
    target = Normaliser(services.places.lookup).conversation(given)
    author = author_of(request)
    if author is not None:
        author.sign(target)
    written = await store(request, services, agent_of(request), target, given.adjusted)
    status = HTTP_201_CREATED if written.created else HTTP_200_OK
    row = written.conversation
    if author is not None:
        return receipt(written, row.id, status)
    links = file_links(request)
    usage = await services.look_up(lambda c: transcripts.usage_of(c, [row.id]).get(row.id, []))
    answer = response_schemas.conversation(row, transcripts.total_usage(usage), None, links)
    return answer_json(answer, status)


class TrackedMessage(response_schemas.Message):
    """The stored message. The pair form answers with the last one, and with both in `messages`."""

    conversation: int
    conversation_id: str
    messages: list[response_schemas.Message]


@post(
    "/api/track",
    opt=_INGEST
    | {
        "doc": Doc(
            "Write a message", "Writing", request_schemas.TrackIn, {201: TrackedMessage}, public=Receipt
        )
    },
)
async def track(request: AnyRequest) -> Response[bytes]:
    """A message with `content` and `sender`, or a `question` and its `answer` in one call."""
    services, given = await read_body(request, _Decoders.track)
    author = author_of(request)
    target = single.reference(given, author)
    target.items = single.tracked(given, Normaliser(services.places.lookup))
    written = await store(request, services, agent_of(request), target)
    if author is not None:
        return receipt(written, written.entries[-1].id)
    links = file_links(request)
    messages = [response_schemas.message(entry, links) for entry in written.entries]
    answer = TrackedMessage(
        **asdict(messages[-1]),
        conversation=written.conversation.id,
        conversation_id=written.conversation.conversation_id,
        messages=messages,
    )
    return answer_json(answer, HTTP_201_CREATED)


class StoredAction(response_schemas.ActionLog):
    """The stored tool call, or token usage."""

    conversation: int
    conversation_id: str
    action_name: str
    timestamp: str


@post(
    "/api/action_logs",
    opt=_INGEST
    | {
        "doc": Doc(
            "Write a tool call", "Writing", request_schemas.ActionCall, {201: StoredAction}, public=Receipt
        )
    },
)
async def write_action(request: AnyRequest) -> Response[bytes]:
    """A tool call. One named `token_usage` whose metadata has token counts is token usage, not a tool."""
    services, given = await read_body(request, _Decoders.action)
    item = request_schemas.ActionIn(
        given.action_name,
        None,
        given.timestamp,
        given.started_at,
        given.ended_at,
        given.duration_ms,
        given.tools_used,
        given.response,
        given.error_msg,
        given.metadata,
    )
    written = await store_item(request, services, given, item)
    entry = written.entries[0]
    if author_of(request) is not None:
        return receipt(written, entry.id)
    if entry.action is not None:
        log = response_schemas.action_log(entry)
    else:
        log = response_schemas.ActionLog(entry.id, None, None, None, None, None, None, given.metadata or {})
    answer = StoredAction(
        **asdict(log),
        conversation=written.conversation.id,
        conversation_id=written.conversation.conversation_id,
        action_name=given.action_name,
        timestamp=times.to_text(entry.timestamp),
    )
    return answer_json(answer, HTTP_201_CREATED)


class StoredButton(response_schemas.Button):
    """The stored click."""

    conversation: int
    conversation_id: str
    timestamp: str


@post(
    "/api/buttons",
    opt=_INGEST
    | {
        "doc": Doc(
            "Write a click", "Writing", request_schemas.ButtonCall, {201: StoredButton}, public=Receipt
        )
    },
)
async def write_button(request: AnyRequest) -> Response[bytes]:
    """A button that the customer clicked."""
    services, given = await read_body(request, _Decoders.button)
    item = request_schemas.ButtonIn(
        given.button_event, given.label, given.value, None, given.timestamp, given.metadata
    )
    written = await store_item(request, services, given, item)
    entry = written.entries[0]
    if author_of(request) is not None:
        return receipt(written, entry.id)
    button = response_schemas.message(entry, file_links(request)).button
    assert button is not None
    answer = StoredButton(
        **asdict(button),
        conversation=written.conversation.id,
        conversation_id=written.conversation.conversation_id,
        timestamp=times.to_text(entry.timestamp),
    )
    return answer_json(answer, HTTP_201_CREATED)


class StoredAttachments(msgspec.Struct):
    """The stored files and the line of the transcript that they stand in."""

    conversation: int
    conversation_id: str
    message_id: int
    sender: str
    timestamp: str
    attachments: list[response_schemas.Attachment]


@post(
    "/api/attachments",
    opt=_INGEST
    | {
        "doc": Doc(
            "Write files",
            "Writing",
            request_schemas.AttachmentsCall,
            {201: StoredAttachments},
            multipart=True,
            public=Receipt,
        )
    },
)
async def write_attachments(request: AnyRequest) -> Response[bytes]:
    """Files as base64 in JSON, or as a multipart form with files `attachment_0`, `attachment_1`…

    With `message` as the integer id of a message of the conversation (also as digits) the files join that message,
    whose sender and time stay; other text is the text of a message of their own.
    """
    services = services_of(request)
    normaliser = Normaliser(services.places.lookup)
    author = author_of(request)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        services.writer.check_room()
        target, new, message_number = await single.multipart_attachments(request, normaliser, author)
        spend(request, items=1, size=sum(file.size_bytes for file in new.files))
    else:
        services, given = await read_body(request, _Decoders.attachments)
        message_number = single.message_number(given.message)
        target = (
            single.reference(given, author)
            if message_number is None
            else single.place_of_message(given, author)
        )
        caption = given.message if message_number is None and isinstance(given.message, str) else None
        item = request_schemas.AttachmentsIn(
            given.attachments, given.sender, None, given.timestamp, caption, given.metadata
        )
        size = sum(len(each.data) for each in given.attachments)
        new = await run_in_thread_if_large(size, lambda: normaliser.item(item, times.now()))
    if target is not None:
        judge(target.author, new)
    services.storage.check_disk()
    if not await has_room(request, sum(file.size_bytes for file in new.files)):
        raise Invalid(FULL, status=413)
    files = list(normaliser.files.values())
    await keep_files(services, files)
    agent_id = agent_of(request)
    try:
        if message_number is not None:
            written = await services.write(
                lambda connection, _: single.join(connection, agent_id, target, message_number, new),
                ledger_entry=ingest_stats.of_files(key_of(request)),
            )
        else:
            assert target is not None
            target.items = [new]
            written = await store(request, services, agent_id, target)
    except RequestError:
        await see_to_files(services, files, refused=True)
        raise
    await see_to_files(services, files)
    if author is not None:
        return receipt(written, written.entries[0].id)
    message = response_schemas.message(written.entries[0], file_links(request))
    row = written.conversation
    answer = StoredAttachments(
        row.id, row.conversation_id, message.id, message.sender, message.timestamp, message.attachments
    )
    return answer_json(answer, HTTP_201_CREATED)


@post(
    "/api/conversation-feedbacks",
    opt={
        "access": Access.RESPOND,
        "doc": Doc(
            "Write feedback",
            "Writing",
            request_schemas.FeedbackCall,
            {201: response_schemas.Feedback},
            public=Receipt,
        ),
    },
)
async def write_feedback(request: AnyRequest) -> Response[bytes]:
    """What somebody thought of a conversation, or of its message whose number or UUID is given in `message`.

    `source` is `customer` for a key, `platform` for a person. A customer's next vote on the same takes the place of
    the one before (it keeps its `id`); the newest `timestamp` counts. A `conversation_id` not seen before begins a
    conversation that nobody took part in yet.
    """
    services, given = await read_body(request, _Decoders.feedback)
    actor = actor_of(request)
    author = author_of(request)
    target = single.reference(given, author)
    agent_id = actor.agent_id
    if agent_id is None:
        number = target.row
        if number is None:
            raise Invalid(Problem("conversation", Code.REQUIRED, "the integer id"))
        found = await services.look_up(lambda c: conversations.get(c, actor.agent_ids, number))
        if found is None:
            raise not_found("no such conversation")
        agent_id = found.agent_id
    item = request_schemas.FeedbackIn(
        given.sentiment, None, given.timestamp, None, given.comment, None, given.metadata, given.message
    )
    person = actor.person
    target.items = [
        Normaliser(services.places.lookup).feedback(
            item,
            times.now(),
            source="platform" if person else "customer",
            person_id=person.id if person else None,
        )
    ]
    written = await store(request, services, agent_id, target)
    if author is not None:
        return receipt(written, written.feedbacks[0].id)
    return answer_json(response_schemas.feedback(written.feedbacks[0]), HTTP_201_CREATED)


handlers = [
    write_batch,
    create_conversation,
    track,
    write_action,
    write_button,
    write_attachments,
    write_feedback,
]
