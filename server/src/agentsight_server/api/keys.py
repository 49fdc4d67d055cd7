"""Keys over the API: for owners, and for write keys as far as their own agent's other keys go."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from agentsight_server.api.filters import integer, only
from agentsight_server.api.queries import parameters
from agentsight_server.contract.decoding import decode
from agentsight_server.contract.documentation import Doc, Query
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError, not_found
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.answers import PRIVATE, answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest, json_body
from agentsight_server.security import audit, key_ring, key_settings, keys
from agentsight_server.security.access import Access, Actor
from agentsight_server.store import agents
from agentsight_server.store.agents import KeyRow, KeySettings
from agentsight_server.store.security_events import Event

_MANAGE: dict[str, Any] = {"access": Access.MANAGE}
_BODY_BYTES = 64 * 1024

_Limit = Annotated[int, Meta(ge=1, le=key_settings.LARGEST_LIMIT)]
_Origins = Annotated[list[Annotated[str, Meta(max_length=300)]], Meta(max_length=key_settings.MOST_ORIGINS)]


class KeyChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What can be set for a key; null takes a limit away, what is left out stays.

    `allowed_origins`: pages of these addresses alone may use it. `bytes_per_day`: of bodies, inflated.
    """

    label: Annotated[str, Meta(max_length=key_settings.LABEL_LENGTH)] | UnsetType = UNSET
    allowed_origins: _Origins | UnsetType | None = UNSET
    items_per_minute: _Limit | UnsetType | None = UNSET
    items_per_day: _Limit | UnsetType | None = UNSET
    bytes_per_day: _Limit | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET


class NewKey(KeyChange, kw_only=True, forbid_unknown_fields=True):
    """A key to make. `agent`: the agent's number; a key's own agent unless given."""

    role: Annotated[str, Meta(max_length=20)] = "write"
    agent: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class Key(msgspec.Struct):
    """A key without its secret."""

    id: int
    agent: int
    role: str
    label: str
    hint: str
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    revoked_at: str | None
    allowed_origins: list[str] | None
    items_per_minute: int | None
    items_per_day: int | None
    bytes_per_day: int | None
    needs_conversation_token: bool


class MadeKey(Key):
    """A new key; `key` is told only this once."""

    key: str


class Keys(msgspec.Struct):
    """An agent's keys, the oldest first."""

    keys: list[Key]


class TokenSecret(msgspec.Struct):
    """What conversation tokens are signed with; told only this once."""

    secret: str


_AGENT = Query("agent", "The agent's number; needed by a signed-in person", {"type": "integer", "minimum": 1})
_REVOKED = Query("include_revoked", "Revoked ones, too", {"type": "boolean", "default": False})


@get("/api/keys", opt=_MANAGE | {"doc": Doc("List keys", "Keys", None, {200: Keys}, (_AGENT, _REVOKED))})
async def list_keys(request: AnyRequest) -> Response[bytes]:
    """An agent's keys: label, role, the ends of the key, when it was used last (to the minute), what is set."""
    given = parameters(request)
    only(given, frozenset({"agent", "include_revoked"}))
    revoked = given.get("include_revoked", "false")
    if revoked not in {"true", "false"}:
        raise Invalid(Problem("include_revoked", Code.CHOICE, "true or false", repr(revoked)))
    agent_id = _agent(actor_of(request), integer(given, "agent", 0, least=1, most=2**63 - 1) or None)
    rows = await services_of(request).read(lambda connection: agents.keys(connection, agent_id))
    return answer_json(Keys([_shown(row) for row in rows if revoked == "true" or row.revoked_at is None]))


@post("/api/keys", opt=_MANAGE | {"doc": Doc("Make a key", "Keys", NewKey, {201: MadeKey})})
async def make_key(request: AnyRequest) -> Response[bytes]:
    """Make a key; it is told only this once. A write key makes keys that write or read, and none like itself."""
    given = decode(await json_body(request, _BODY_BYTES), _new_key)
    actor = actor_of(request)
    agent_id = _agent(actor, given.agent)
    role = key_settings.role(given.role)
    _may_handle(actor, role)
    label = key_settings.label(given.label or "")
    settings = key_settings.checked(KeySettings(), _settings(given), times.now())

    key = keys.new_key()

    def work(connection: Connection, _: int) -> KeyRow:
        if all(row.id != agent_id for row in agents.listing(connection, frozenset({agent_id}))):
            raise not_found("no such agent")
        row = agents.key_by_number(
            connection, key_ring.keep(connection, key, agent_id, role, label, settings)
        )
        assert row is not None
        return row

    event = audit.event_of(request, "key_created", agent_id=agent_id, role=role, key=keys.hint(key))
    row = await services_of(request).write(work, event=event)
    services_of(request).authenticator.forget_keys()
    return answer_json(MadeKey(**msgspec.structs.asdict(_shown(row)), key=key), HTTP_201_CREATED, PRIVATE)


@patch("/api/keys/{number:int}", opt=_MANAGE | {"doc": Doc("Change a key", "Keys", KeyChange, {200: Key})})
async def change_key(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Set the fields that are given."""
    await services_of(request).read(lambda connection: _found(connection, actor_of(request), number))
    given = decode(await json_body(request, _BODY_BYTES), _key_change)
    label = None if given.label is UNSET else key_settings.label(given.label)

    def work(connection: Connection, row: KeyRow) -> None:
        settings = key_settings.checked(row.settings, _settings(given), times.now())
        agents.change_key(connection, row.id, name=label, settings=settings)

    return answer_json(_shown(await _change(request, number, work)))


@post(
    "/api/keys/{number:int}/revoke",
    status_code=HTTP_200_OK,
    opt=_MANAGE | {"doc": Doc("Revoke a key", "Keys", None, {200: Key})},
)
async def revoke_key(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Take a key out of use for good."""
    row = await _change(
        request, number, lambda connection, row: agents.revoke_key(connection, row.id), "key_revoked"
    )
    return answer_json(_shown(row))


@post(
    "/api/keys/{number:int}/token-secret",
    opt=_MANAGE | {"doc": Doc("Make a token secret", "Keys", None, {201: TokenSecret})},
)
async def make_token_secret(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Let an `ingest` key write only what comes with a conversation token, and make the secret to sign them with.

    It is told only this once. The one before counts for another day.
    """
    made: list[str] = []

    def work(connection: Connection, row: KeyRow) -> None:
        made.append(key_ring.new_token_secret(connection, row, times.now()))

    await _change(request, number, work, tokens="new secret")
    return answer_json(TokenSecret(made[-1]), HTTP_201_CREATED, PRIVATE)


@delete(
    "/api/keys/{number:int}/token-secret",
    status_code=HTTP_200_OK,
    opt=_MANAGE | {"doc": Doc("Need no tokens", "Keys", None, {200: Key})},
)
async def drop_token_secret(request: AnyRequest, number: FromPath[int]) -> Response[bytes]:
    """Let the key write without conversation tokens again."""
    return answer_json(_shown(await _change(request, number, key_ring.without_tokens, tokens="off")))


async def _change(
    request: AnyRequest, number: int, work: Any, action: str = "key_changed", tokens: str | None = None
) -> KeyRow:
    """Do something to a key in use and return how it is then."""
    actor = actor_of(request)

    def doing(connection: Connection, _: int) -> KeyRow:
        row = _found(connection, actor, number)
        work(connection, row)
        changed = agents.key_by_number(connection, number)
        assert changed is not None
        return changed

    def event(row: KeyRow) -> Event:
        if tokens is None:
            return audit.event_of(request, action, agent_id=row.agent_id, number=row.id)
        return audit.event_of(request, action, agent_id=row.agent_id, number=row.id, tokens=tokens)

    row = await services_of(request).write(doing, event=event)
    services_of(request).authenticator.forget_keys()
    return row


def _found(connection: Connection, actor: Actor, number: int) -> KeyRow:
    row = agents.key_by_number(connection, number)
    if row is None or row.revoked_at is not None or not actor.sees(row.agent_id):
        raise not_found("no such key in use")
    _may_handle(actor, row.role)
    return row


def _agent(actor: Actor, given: int | None) -> int:
    number = given or actor.agent_id
    if number is None:
        raise Invalid(Problem("agent", Code.REQUIRED, "the agent's number"))
    return actor.require_agent(number)


def _may_handle(actor: Actor, role: str) -> None:
    """A leaked write key must not make itself at home: keys like it are made and ended by people."""
    if actor.person is None and role == "write":
        raise RequestError(
            403, {"detail": "a key handles ingest and read keys; those that write are an owner's"}
        )


def _settings(given: KeyChange) -> dict[str, Any]:
    values = {name: getattr(given, name) for name in key_settings.SETTABLE}
    return {name: value for name, value in values.items() if value is not UNSET}


def _shown(row: KeyRow) -> Key:
    settings = row.settings

    def moment(value: int | None) -> str | None:
        return None if value is None else times.to_text(value)

    return Key(
        row.id,
        row.agent_id,
        row.role,
        row.name,
        row.hint,
        times.to_text(row.created_at),
        moment(row.last_used_at),
        moment(settings.expires_at),
        moment(row.revoked_at),
        None if settings.allowed_origins is None else list(settings.allowed_origins),
        settings.items_per_minute,
        settings.items_per_day,
        settings.bytes_per_day,
        bool(settings.token_secrets),
    )


_new_key = msgspec.json.Decoder(NewKey)
_key_change = msgspec.json.Decoder(KeyChange)

handlers: list[Any] = [list_keys, make_key, change_key, revoke_key, make_token_secret, drop_token_secret]
