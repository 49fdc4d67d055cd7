"""An agent's keys: what they are for, what they may, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.dashboard import formats
from agentsight_server.dashboard.pages.page import redirect, render_page, signed_in_context
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError, not_found
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit, key_ring, key_settings
from agentsight_server.security.access import Access
from agentsight_server.store import agents
from agentsight_server.store.agents import KeyRow, KeySettings

_OWNER: dict[str, Any] = {"access": Access.OWNER}
_MEGABYTE = 1_000_000
_MAY = {"write": "Writes, reads and manages", "ingest": "Only writes", "read": "Only reads"}


class Key(msgspec.Struct):
    """A key as pages show it. `facts`: what is set, in words."""

    id: int
    role: str
    label: str
    hint: str
    may: str
    created_at: int
    last_used_at: int | None
    facts: list[str]
    is_over: bool
    needs_token: bool

    @classmethod
    def of(cls, row: KeyRow, now: int) -> Key:
        """A key's row in words."""
        return cls(
            id=row.id,
            role=row.role,
            label=row.name,
            hint=row.hint,
            may=_MAY[row.role],
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            facts=_facts(row.settings),
            is_over=not row.is_usable(now),
            needs_token=bool(row.settings.token_secrets),
        )


def _facts(settings: KeySettings) -> list[str]:
    origins = settings.allowed_origins or ()
    facts = []
    if origins:
        more = f" and {len(origins) - 2} more" if len(origins) > 2 else ""
        facts.append("for " + ", ".join(each.partition("://")[2] for each in origins[:2]) + more)
    if settings.items_per_minute is not None:
        facts.append(f"{formats.number(settings.items_per_minute)} items a minute")
    if settings.items_per_day is not None:
        facts.append(f"{formats.number(settings.items_per_day)} items a day")
    if settings.bytes_per_day is not None:
        facts.append(f"{formats.size(settings.bytes_per_day)} a day")
    if settings.expires_at is not None:
        facts.append(f"last day {_last_day(settings.expires_at)}")
    if settings.token_secrets:
        facts.append("needs tokens")
    return facts


def listed(connection: Connection, agent_id: int) -> list[Key]:
    """The agent's keys in use."""
    now = times.now()
    return [Key.of(row, now) for row in agents.keys(connection, agent_id) if row.revoked_at is None]


@get("/agents/{agent_id:int}/keys/{number:int}", opt=_OWNER)
async def key_page(request: AnyRequest, agent_id: FromPath[int], number: FromPath[int]) -> Response[str]:
    """One key and its settings."""
    return await _page(request, agent_id, number)


@post("/agents/{agent_id:int}/keys/{number:int}", opt=_OWNER)
async def change_key(request: AnyRequest, agent_id: FromPath[int], number: FromPath[int]) -> Response[str]:
    """Save its settings, make a token secret, or revoke it, as the button says."""
    form = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    do = form.get("do", "save")
    if do not in _DEEDS:
        raise RequestError(400, {"detail": "there is no such button"})
    action, deed = _DEEDS[do]
    made: list[str] = []

    def work(connection: Connection, _: int) -> None:
        row = _found(request, connection, agent_id, number)
        secret = deed(connection, row, form)
        if secret:
            made[:] = [secret]

    details: dict[str, str] = {"token": "new secret", "no_token": "off"}
    event = audit.event_of(request, action, agent_id=agent_id, number=number)
    if do in details:
        event = audit.event_of(request, action, agent_id=agent_id, number=number, tokens=details[do])
    try:
        await services_of(request).write(work, event=event)
    except Invalid as error:
        return await _page(request, agent_id, number, form=form, problems=error.errors)
    services_of(request).authenticator.forget_keys()
    if made:
        return await _page(request, agent_id, number, secret=made[0])
    if do == "no_token":
        return redirect(f"/agents/{agent_id}/keys/{number}/", request)
    return redirect(f"/agents/{agent_id}/connect/#key", request)


def _save(connection: Connection, row: KeyRow, form: Mapping[str, str]) -> None:
    wrong: list[Problem] = []
    wanted: dict[str, Any] = {}
    label = row.name
    present = _form(row)
    for name, read in _FIELDS.items():
        text = form.get(name, "").replace("\r\n", "\n").strip()
        if text == present[name]:
            continue  # a day that is over stays, and so does what the form shows rounded
        try:
            wanted |= read(text)
        except Invalid as error:
            wrong += error.problems
    try:
        label = key_settings.label(form.get("label", ""))
        settings = key_settings.checked(row.settings, wanted, times.now())
    except Invalid as error:
        named = {"bytes_per_day": "megabytes_per_day", "expires_at": "expires"}
        wrong += [
            msgspec.structs.replace(each, field=named.get(each.field, each.field)) for each in error.problems
        ]
    if wrong:
        raise Invalid(*wrong)
    agents.change_key(connection, row.id, name=label, settings=settings)


def _token(connection: Connection, row: KeyRow, _: Mapping[str, str]) -> str:
    return key_ring.new_token_secret(connection, row, times.now())


def _no_token(connection: Connection, row: KeyRow, _: Mapping[str, str]) -> None:
    key_ring.without_tokens(connection, row)


def _revoke(connection: Connection, row: KeyRow, form: Mapping[str, str]) -> None:
    if not form.get("sure"):
        raise Invalid(Problem("sure", Code.OTHER, "Tick the box first: it cannot be undone."))
    agents.revoke_key(connection, row.id)


_DEEDS: dict[str, tuple[str, Any]] = {
    "save": ("key_changed", _save),
    "token": ("key_changed", _token),
    "no_token": ("key_changed", _no_token),
    "revoke": ("key_revoked", _revoke),
}


def _origins(text: str) -> dict[str, Any]:
    return {"allowed_origins": [line.strip() for line in text.splitlines() if line.strip()] or None}


def _number(name: str, setting: str, text: str, unit: int = 1) -> dict[str, Any]:
    digits = text.replace(",", "").replace(" ", "").replace("_", "")
    if not digits:
        return {setting: None}
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        raise Invalid(Problem(name, Code.TYPE, "a whole number, or nothing for no limit"))
    return {setting: int(digits) * unit}


def _end(text: str) -> dict[str, Any]:
    if not text:
        return {"expires_at": None}
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
        return {"expires_at": day + timedelta(days=1)}
    except (ValueError, OverflowError):
        raise Invalid(Problem("expires", Code.FORMAT, "a day such as 2027-12-31")) from None


_FIELDS: dict[str, Any] = {
    "allowed_origins": _origins,
    "items_per_minute": lambda text: _number("items_per_minute", "items_per_minute", text),
    "items_per_day": lambda text: _number("items_per_day", "items_per_day", text),
    "megabytes_per_day": lambda text: _number("megabytes_per_day", "bytes_per_day", text, _MEGABYTE),
    "expires": _end,
}


def _last_day(expires_at: int) -> str:
    return times.to_text(expires_at - 1)[:10]


def _form(row: KeyRow) -> dict[str, str]:
    settings = row.settings
    size = settings.bytes_per_day
    return {
        "label": row.name,
        "allowed_origins": "\n".join(settings.allowed_origins or ()),
        "items_per_minute": _shown(settings.items_per_minute),
        "items_per_day": _shown(settings.items_per_day),
        "megabytes_per_day": _shown(size and max(1, round(size / _MEGABYTE))),
        "expires": "" if settings.expires_at is None else _last_day(settings.expires_at),
    }


def _shown(limit: int | None) -> str:
    return "" if limit is None else str(limit)


def _found(request: AnyRequest, connection: Connection, agent_id: int, number: int) -> KeyRow:
    actor_of(request).require_agent(agent_id)
    row = agents.key_by_number(connection, number)
    if row is None or row.agent_id != agent_id or row.revoked_at is not None:
        raise not_found("There is no such key in use.")
    return row


async def _page(
    request: AnyRequest,
    agent_id: int,
    number: int,
    *,
    form: Mapping[str, str] | None = None,
    problems: Mapping[str, list[str]] | None = None,
    secret: str | None = None,
) -> Response[str]:
    def answer(connection: Connection) -> Response[str]:
        context = signed_in_context(request, connection, "connect", agent_id)
        row = _found(request, connection, agent_id, number)
        shown = _form(row)
        if form is not None and form.get("do", "save") == "save":
            shown |= {name: form.get(name, "") for name in shown}
        said = {name: _sentence(what[0]) for name, what in (problems or {}).items()}
        context |= {"key": Key.of(row, times.now()), "form": shown, "problems": said, "secret": secret}
        return render_page("pages/key.html", context, 400 if problems else 200)

    return await services_of(request).read(answer)


def _sentence(text: str) -> str:
    return text if text[:1].isupper() else f"It {text}."


handlers = [key_page, change_key]
