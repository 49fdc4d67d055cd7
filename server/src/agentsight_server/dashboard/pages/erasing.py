"""Keeping and erasing: for how long conversations are kept, and what goes for good; how much it is is shown first."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.dashboard.pages.page import redirect, render_page, signed_in_context
from agentsight_server.domain.errors import not_found
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit
from agentsight_server.security.access import Access
from agentsight_server.store import conversations, erasing, receipts, retention
from agentsight_server.store.erasing import Amount, Criterion

_OWNER: dict[str, Any] = {"access": Access.OWNER}
_KINDS = {
    "conversation": "One conversation",
    "customer": "A customer",
    "agent": "The agent",
    "retention": "Too old",
}
WORD = "erase"


class Target(msgspec.Struct):
    """What somebody is about to erase. `word` is what they must type; `fields` name it in the form."""

    title: str
    amount: Amount
    word: str
    fields: dict[str, str]


class Days(msgspec.Struct):
    """A field of the form: what is set, what is being tried, and how much would go."""

    environment: str
    label: str
    text: str
    problem: str | None = None
    due: int | None = None


@get("/agents/{agent_id:int}/erasing", opt=_OWNER)
async def erasing_page(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """The settings, what would go, and the receipts."""
    return await _page(request, agent_id, dict(request.query_params))


@post("/agents/{agent_id:int}/erasing", opt=_OWNER)
async def erase(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Erase what the page showed, if it is still as much, and the right word was typed."""
    actor_of(request).require_agent(agent_id)
    services = services_of(request)
    given = {name: str(value) for name, value in (await request.form()).items() if isinstance(value, str)}

    def work(connection: Connection, _: int) -> str | None:
        context = signed_in_context(request, connection, "settings", agent_id)
        target = _target(connection, agent_id, context["agent"].name, given)
        if target is None:
            raise not_found("There is nothing of that to erase.")
        if given.get("typed", "").strip() != target[0].word:
            return f"Type {target[0].word} exactly as it stands here."
        if given.get("expect") != str(target[0].amount.conversations):
            return "It is another number by now. Look at it once more."
        person = actor_of(request).person
        erasing.begin(connection, agent_id, target[1], person.email if person else "")
        return None

    what = given.get("what", "")
    problem = await services.write(
        work,
        event=lambda said: None if said else audit.event_of(request, "erased", agent_id=agent_id, what=what),
    )
    if problem is not None:
        return await _page(request, agent_id, given, problem)
    services.authenticator.forget_keys()
    services.eraser.notice()
    return redirect("/" if what == "agent" else f"/agents/{agent_id}/erasing/?done=1#receipts", request)


@post("/agents/{agent_id:int}/erasing/retention", opt=_OWNER)
async def keep_for(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Choose the days, after the page has shown what would go."""
    actor_of(request).require_agent(agent_id)
    given = {name: str(value) for name, value in (await request.form()).items() if isinstance(value, str)}
    days, problems = _days(given)
    if problems:
        return await _page(request, agent_id, given)

    def work(connection: Connection, _: int) -> None:
        signed_in_context(request, connection, "settings", agent_id)  # a 404 where there is no such agent
        retention.set_days(connection, agent_id, days)

    said: dict[str, Any] = {name: value or "for ever" for name, value in days.items()}
    event = audit.event_of(request, "retention_changed", agent_id=agent_id, **said)
    await services_of(request).write(work, event=event)
    return redirect(f"/agents/{agent_id}/erasing/", request)


def _days(given: dict[str, str]) -> tuple[dict[str, int | None], dict[str, str]]:
    """The days by environment as they were typed, nothing meaning for ever; and what is wrong with them."""
    days: dict[str, int | None] = {}
    problems: dict[str, str] = {}
    for name in retention.ENVIRONMENTS:
        text = given.get(name, "").strip()
        fits = text.isascii() and text.isdigit() and len(text) <= 6
        if text and not (fits and retention.LEAST_DAYS <= int(text) <= retention.MOST_DAYS):
            problems[name] = f"It takes 1 to {retention.MOST_DAYS:,} days, or nothing to keep everything."
        else:
            days[name] = int(text) if text else None
    return days, problems


def _target(
    connection: Connection, agent_id: int, agent: str, given: dict[str, str]
) -> tuple[Target, Criterion] | None:
    """What the address or the form names."""
    what = given.get("what")
    fields = {"what": what or ""}
    if what == "agent":
        criterion, title, word = Criterion(whole_agent=True), f"{agent}, with everything that it has", agent
    elif what == "customer" and given.get("customer", "").strip():
        fields["customer"] = given["customer"].strip()
        criterion = Criterion(customer_id=fields["customer"])
        title, word = f"Everything of {fields['customer']}", WORD
    elif what == "conversation" and given.get("id", "").isascii() and given.get("id", "").isdigit():
        number = int(given["id"][:18])
        row = conversations.get(connection, {agent_id}, number, include_deleted=True)
        if row is None:
            return None
        fields["id"] = str(number)
        criterion, title, word = Criterion(conversation=number), "This conversation", WORD
    else:
        return None
    amount = erasing.amount(connection, agent_id, criterion)
    if not amount.conversations and what != "agent":
        return None
    return Target(title, amount, word, fields), criterion


async def _page(
    request: AnyRequest, agent_id: int, given: dict[str, str], problem: str | None = None
) -> Response[str]:
    def answer(connection: Connection) -> Response[str]:
        context = signed_in_context(request, connection, "settings", agent_id)
        kept = retention.of_agent(connection, agent_id)
        tried, problems = _days(given)
        trying = "production" in given or "development" in given
        shown = []
        for name, label in (
            ("production", "Conversations with customers"),
            ("development", "Test conversations"),
        ):
            text = given.get(name, "") if trying else str(kept.get(name, ""))
            wanted = tried.get(name) if trying else None
            due = retention.due(connection, agent_id, name, wanted).conversations if wanted else None
            shown.append(Days(name, label, text, problems.get(name), due))
        found = _target(connection, agent_id, context["agent"].name, given)
        context |= {
            "days": shown,
            "trying": trying and not problems,
            "target": found[0] if found else None,
            "nothing": found is None and bool(given.get("what")),
            "customer": given.get("customer", ""),
            "problem": problem,
            "is_done": "done" in given,
            "receipts": receipts.listing(connection, {agent_id}, limit=20),
            "kinds": _KINDS,
        }
        return render_page("pages/erasing.html", context, 400 if problem or problems else 200)

    return await services_of(request).read(answer)


handlers = [erasing_page, erase, keep_for]
