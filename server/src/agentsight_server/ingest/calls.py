"""What every writing call needs: who writes, what it may still bring, where files go, how it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import msgspec
from litestar import Response
from litestar.status_codes import HTTP_201_CREATED

from agentsight_server.contract.decoding import decode
from agentsight_server.domain import times
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import Services, actor_of, services_of
from agentsight_server.http.bodies import AnyRequest, json_body, run_in_thread_if_large
from agentsight_server.ingest import ingest_stats, request_schemas, single
from agentsight_server.ingest.normalise import Normaliser, Pending
from agentsight_server.ingest.public import PublicKey, Receipt, judge
from agentsight_server.security import conversation_tokens
from agentsight_server.store.append import NewConversation

T = TypeVar("T")
FULL = Problem("attachments", Code.STORAGE_FULL)


async def has_room(request: AnyRequest, size: int) -> bool:
    """Whether the agent's limit leaves room for that many bytes of files."""
    services, agent_id = services_of(request), agent_of(request)
    return await services.executors.incoming.run(lambda: services.storage.has_room(agent_id, size))


async def see_to_files(services: Services, files: Sequence[Pending], *, refused: bool = False) -> None:
    """Bytes that somebody else's erasure took away while the rows were on their way are put back; those of rows that
    the store refused go again, unless others name them."""
    if not files:
        return

    def look() -> None:
        for file in files:
            if not refused or services.is_named(file.sha256):
                services.files.ensure(file.sha256, file.data)
            else:
                services.files.remove_unless(file.sha256, partial(services.is_named, file.sha256))

    await services.executors.incoming.run(look)


async def keep_files(services: Services, files: Sequence[Pending]) -> None:
    """Bytes first, rows after: a row whose bytes are missing cannot come to be."""
    if files:
        await services.executors.incoming.run(lambda: _put_all(services, files))


def _put_all(services: Services, files: Sequence[Pending]) -> None:
    for file in files:
        services.files.put(file.data)


def agent_of(request: AnyRequest) -> int:
    """The agent of the key that writes."""
    agent_id = actor_of(request).agent_id
    assert agent_id is not None, "only keys write items, and a key has an agent"
    return agent_id


def key_of(request: AnyRequest) -> int:
    """The key that writes."""
    key_id = actor_of(request).key_id
    assert key_id is not None, "only keys write items"
    return key_id


def spend(request: AnyRequest, *, items: int = 0, size: int = 0) -> None:
    """Count what is brought against the limits of the key."""
    actor = actor_of(request)
    if actor.key_id is not None and actor.settings is not None:
        services_of(request).authenticator.quotas.take(actor.key_id, actor.settings, items=items, size=size)


def author_of(request: AnyRequest) -> PublicKey | None:
    """The public key that writes; None: one that may do more, or a person."""
    return PublicKey.of(actor_of(request), request.headers.get(conversation_tokens.HEADER))


def receipt(written: single.Written, number: int, status: int = HTTP_201_CREATED) -> Response[bytes]:
    """What a public key is answered."""
    return answer_json(Receipt(number, written.conversation.conversation_id, written.created), status)


async def read_body(request: AnyRequest, decoder: msgspec.json.Decoder[T]) -> tuple[Services, T]:
    """The body of a single call; it counts against the limits of its key."""
    services = services_of(request)
    services.writer.check_room()
    body = await json_body(request, services.settings.max_body_bytes)
    spend(request, items=1, size=len(body))
    return services, await run_in_thread_if_large(len(body), lambda: decode(body, decoder))


async def store_item(
    request: AnyRequest, services: Services, given: request_schemas.Reference, item: request_schemas.ItemIn
) -> single.Written:
    """Judge and store one item in the conversation that the call names."""
    target = single.reference(given, author_of(request))
    target.items = [Normaliser(services.places.lookup).item(item, times.now())]
    return await store(request, services, agent_of(request), target)


async def store(
    request: AnyRequest,
    services: Services,
    agent_id: int,
    target: NewConversation,
    adjusted: Sequence[request_schemas.Adjusted] = (),
) -> single.Written:
    """Store a conversation's items, and note them in the ledger where a key writes."""
    for item in target.items:
        judge(target.author, item)
    key_id = actor_of(request).key_id
    return await services.write(
        lambda connection, attempt: single.write(connection, attempt, agent_id, target),
        ledger_entry=None if key_id is None else ingest_stats.of_single(key_id, target, adjusted),
    )
