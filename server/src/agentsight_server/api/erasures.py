"""Erasing for good, what went, and how long conversations are kept."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED
from msgspec import Meta
from sqlalchemy import Connection

from agentsight_server.api.filters import integer, only
from agentsight_server.api.queries import parameters
from agentsight_server.contract.decoding import decode
from agentsight_server.contract.documentation import Detail, Doc, Query
from agentsight_server.contract.fields import clean
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError, not_found
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest, json_body
from agentsight_server.security import audit
from agentsight_server.security.access import Access, Actor
from agentsight_server.store import agents, conversations, erasing, receipts, retention
from agentsight_server.store.erasing import Amount, Criterion

_MANAGE: dict[str, Any] = {"access": Access.WRITE}
_AGENT = Query("agent", "The agent's number; needed by a signed-in person", {"type": "integer", "minimum": 1})


class ErasureIn(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be erased: one of `conversation` (the integer id), `conversation_id`, `customer_id` (all of a
    customer's) and `whole_agent` (the agent's very name: everything, and the agent itself).

    `agent` is the agent's number, needed by a signed-in person. `dry_run` only counts. With `expect`, the number of
    conversations that a dry run told, nothing is erased when it is another one by now.
    """

    conversation: int | None = None
    conversation_id: str | None = None
    customer_id: str | None = None
    whole_agent: str | None = None
    agent: int | None = None
    dry_run: bool = False
    expect: Annotated[int, Meta(ge=0)] | None = None


class WouldGo(msgspec.Struct):
    """How much would go; `oldest` and `newest` say when the first and the last of them began."""

    conversations: int
    messages: int
    attachments: int
    oldest: str | None
    newest: str | None

    @classmethod
    def of(cls, found: Amount) -> WouldGo:
        """The API's form."""
        oldest, newest = (
            None if each is None else times.to_text(each) for each in (found.oldest, found.newest)
        )
        return cls(found.conversations, found.messages, found.attachments, oldest, newest)


class Erasure(msgspec.Struct):
    """A receipt: what went, by kind, when, and who asked for it. `gone_at`: since then no row is left of it;
    `finished_at`: since then no byte is. `subject` is a keyed hash of the id that was given."""

    id: int
    agent: int
    kind: str
    environment: str | None
    subject: str | None
    requested_by: str
    requested_at: str
    counts: dict[str, int]
    gone_at: str | None
    finished_at: str | None

    @classmethod
    def of(cls, row: receipts.Receipt) -> Erasure:
        """The API's form."""
        return cls(
            row.id,
            row.agent_id,
            row.kind,
            row.environment,
            None if row.subject is None else row.subject.hex(),
            row.requested_by,
            times.to_text(row.requested_at),
            row.counts,
            None if row.gone_at is None else times.to_text(row.gone_at),
            None if row.finished_at is None else times.to_text(row.finished_at),
        )


class Erasures(msgspec.Struct):
    """The newest receipts, at most 100."""

    results: list[Erasure]


_erasure = msgspec.json.Decoder(ErasureIn)


@post(
    "/api/erasures",
    opt=_MANAGE
    | {"doc": Doc("Erase for good", "Erasing", ErasureIn, {202: Erasure, 200: WouldGo, 409: Detail})},
)
async def erase(request: AnyRequest) -> Response[bytes]:
    """Erase conversations for good: nothing can bring them back. `"dry_run": true` only says how much would go.

    The answer (202) is the receipt; it is finished when `finished_at` is set. What is asked for is out of every answer
    at once, or within moments where it is much.
    """
    actor = manager(request)
    services = services_of(request)
    given = decode(await json_body(request, services.settings.max_body_bytes), _erasure)
    agent_id, criterion = await services.read(lambda c: _meant(c, actor, given))
    if given.dry_run:
        found = await services.read(lambda c: erasing.amount(c, agent_id, criterion))
        return answer_json(WouldGo.of(found))

    def work(connection: Connection, _: int) -> receipts.Receipt | None:
        if given.expect is not None:
            there = erasing.amount(connection, agent_id, criterion).conversations
            if there != given.expect:
                raise RequestError(
                    409, {"detail": f"it is {there:,} conversations by now, not {given.expect:,}"}
                )
        number = erasing.begin(connection, agent_id, criterion, asked_by(actor))
        return receipts.one(connection, None, number)

    event = audit.event_of(request, "erased", agent_id=agent_id, what=criterion.kind)
    begun = await services.write(work, event=event)
    assert begun is not None
    services.authenticator.forget_keys()
    services.eraser.notice()
    return answer_json(Erasure.of(begun), HTTP_202_ACCEPTED)


def _meant(connection: Connection, actor: Actor, given: ErasureIn) -> tuple[int, Criterion]:
    named = [
        name
        for name in ("conversation", "conversation_id", "customer_id", "whole_agent")
        if getattr(given, name) is not None
    ]
    if len(named) != 1:
        raise Invalid(
            Problem("", Code.EXACTLY_ONE, "conversation, conversation_id, customer_id and whole_agent")
        )
    for name in ("conversation_id", "customer_id", "whole_agent"):
        clean(name, getattr(given, name) or "")
    if given.conversation is not None and not 0 < given.conversation < 2**63:
        raise not_found("no such conversation")
    if given.conversation is not None or given.conversation_id is not None:
        row = (
            conversations.get(connection, actor.agent_ids, given.conversation, include_deleted=True)
            if given.conversation is not None
            else conversations.lookup(
                connection, {_agent(actor, given.agent)}, given.conversation_id or "", include_deleted=True
            )
        )
        if row is None or (given.agent is not None and row.agent_id != given.agent):
            raise not_found("no such conversation")
        return row.agent_id, Criterion(conversation=row.id)
    agent_id = _agent(actor, given.agent)
    if given.customer_id is not None:
        if not given.customer_id.strip():
            raise Invalid(Problem("customer_id", Code.BLANK))
        return agent_id, Criterion(customer_id=given.customer_id)
    names = [row.name for row in agents.listing(connection, frozenset({agent_id}))]
    if not names:
        raise not_found("no such agent")
    if given.whole_agent != names[0]:
        raise Invalid(Problem("whole_agent", Code.FORMAT, "the agent's very name, to be sure"))
    return agent_id, Criterion(whole_agent=True)


@get("/api/erasures", opt=_MANAGE | {"doc": Doc("Receipts", "Erasing", None, {200: Erasures}, (_AGENT,))})
async def list_erasures(request: AnyRequest) -> Response[bytes]:
    """What was erased, newest first."""
    actor = manager(request)
    given = parameters(request)
    only(given, frozenset({"agent"}))
    wanted = integer(given, "agent", 0, least=1, most=2**63 - 1)
    seen = frozenset({actor.require_agent(wanted)}) if wanted else actor.agent_ids
    rows = await services_of(request).read(lambda c: receipts.listing(c, seen))
    return answer_json(Erasures([Erasure.of(row) for row in rows]))


@get("/api/erasures/{number:int}", opt=_MANAGE | {"doc": Doc("One receipt", "Erasing", None, {200: Erasure})})
async def one_erasure(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """How far an erasure is, and what went."""
    actor = manager(request)
    only(parameters(request), frozenset())
    row = await services_of(request).read(lambda c: receipts.one(c, actor.agent_ids, number))
    if row is None:
        raise not_found("no such erasure")
    return answer_json(Erasure.of(row))


class RetentionIn(msgspec.Struct, forbid_unknown_fields=True):
    """Days for each environment, null to keep everything; what is not given stays. `dry_run` only counts."""

    production: int | msgspec.UnsetType | None = msgspec.UNSET
    development: int | msgspec.UnsetType | None = msgspec.UNSET
    agent: int | None = None
    dry_run: bool = False


class Kept(msgspec.Struct):
    """How long an environment's conversations are kept; `due` would go at the next hour. Null: for ever."""

    days: int | None
    due: WouldGo | None


class Retention(msgspec.Struct):
    """By environment."""

    production: Kept
    development: Kept


_retention = msgspec.json.Decoder(RetentionIn)


@get(
    "/api/retention",
    opt=_MANAGE | {"doc": Doc("How long is it kept?", "Erasing", None, {200: Retention}, (_AGENT,))},
)
async def read_retention(request: AnyRequest) -> Response[bytes]:
    """The days of each environment, and how much is older than that now."""
    actor = manager(request)
    given = parameters(request)
    only(given, frozenset({"agent"}))
    agent_id = _agent(actor, integer(given, "agent", 0, least=1, most=2**63 - 1) or None)
    return answer_json(await services_of(request).read(lambda c: _retention_of(c, agent_id, {})))


@put(
    "/api/retention",
    status_code=HTTP_200_OK,
    opt=_MANAGE | {"doc": Doc("Keep for so many days", "Erasing", RetentionIn, {200: Retention})},
)
async def write_retention(request: AnyRequest) -> Response[bytes]:
    """Erase by itself, within the hour, what nobody has said anything in for so many days; with `dry_run` the answer
    says how much that would be."""
    actor = manager(request)
    services = services_of(request)
    given = decode(await json_body(request, services.settings.max_body_bytes), _retention)
    agent_id = _agent(actor, given.agent)
    days: dict[str, int | None] = {}
    for name in retention.ENVIRONMENTS:
        value = getattr(given, name)
        if value is msgspec.UNSET:
            continue
        if value is not None and not retention.LEAST_DAYS <= value <= retention.MOST_DAYS:
            raise Invalid(
                Problem(name, Code.RANGE, f"{retention.LEAST_DAYS} to {retention.MOST_DAYS:,} days, or null")
            )
        days[name] = value
    if not given.dry_run:
        said: dict[str, Any] = {name: value or "for ever" for name, value in days.items()}
        event = audit.event_of(request, "retention_changed", agent_id=agent_id, **said)
        await services.write(lambda c, _: retention.set_days(c, agent_id, days), event=event)
        days = {}
    return answer_json(await services.read(lambda c: _retention_of(c, agent_id, days)))


def _retention_of(connection: Connection, agent_id: int, tried: dict[str, int | None]) -> Retention:
    if not agents.listing(connection, frozenset({agent_id})):
        raise not_found("no such agent")
    days = {**retention.of_agent(connection, agent_id), **tried}
    found = {}
    for name in retention.ENVIRONMENTS:
        chosen = days.get(name)
        due = None if chosen is None else WouldGo.of(retention.due(connection, agent_id, name, chosen))
        found[name] = Kept(chosen, due)
    return Retention(**found)


def manager(request: AnyRequest) -> Actor:
    """Who is asking, if they may erase.

    Raises:
        RequestError: 403, they may not.
    """
    actor = actor_of(request)
    if not actor.manages:
        raise RequestError(403, {"detail": "only an owner may do this"})
    return actor


def asked_by(actor: Actor) -> str:
    """Who it is, in words for a receipt."""
    return actor.person.email if actor.person is not None else f"key {actor.key_id}"


def _agent(actor: Actor, given: int | None) -> int:
    agent_id = given if given is not None else actor.agent_id
    if agent_id is None:
        raise Invalid(Problem("agent", Code.REQUIRED, "the agent's number"))
    return actor.require_agent(agent_id)


handlers: list[Any] = [erase, list_erasures, one_erasure, read_retention, write_retention]
