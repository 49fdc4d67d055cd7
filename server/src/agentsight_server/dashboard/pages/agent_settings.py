"""What can be set for an agent: which of its actions hand over to a human, which pauses end a conversation, ..."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.dashboard.names import channel_name
from agentsight_server.dashboard.pages.page import redirect, render_page, safe_address, signed_in_context
from agentsight_server.domain import pauses
from agentsight_server.domain.agreement import ESCALATIONS
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit
from agentsight_server.security.access import Access
from agentsight_server.store import agents, overview, transcripts

_PERSON: dict[str, Any] = {"access": Access.PERSON}
MOST_NAMES = 100
LONGEST_NAME = 255
MEGABYTE = 1_000_000
_PAUSE = "pause:"


@get("/agents/{agent_id:int}/settings", opt=_PERSON)
async def agent_settings(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """The form."""
    _may_change(request, agent_id)
    return await _page(request, agent_id, safe_address(request.query_params.get("next"), _home(agent_id)))


@post("/agents/{agent_id:int}/settings", opt=_PERSON)
async def change_settings(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Choose the actions; the figures follow with the next page."""
    _may_change(request, agent_id)
    form = await request.form()
    back = safe_address(str(form.get("next", "")), _home(agent_id))
    ticked = [str(each) for each in form.getall("action", [])]
    others = str(form.get("others", ""))
    names: list[str] | None = None
    if not form.get("usual"):
        try:
            names = chosen(ticked, others)
        except Invalid as error:
            return await _page(request, agent_id, back, ticked, others, error.errors["others"][0])

    def work(connection: Connection, _: int) -> None:
        signed_in_context(request, connection, "settings", agent_id)  # a 404 where there is no such agent
        agents.set_escalations(connection, agent_id, names)

    event = audit.event_of(request, "agent_changed", agent_id=agent_id, setting="handed to a human")
    await services_of(request).write(work, event=event)
    return redirect(back, request)


@post("/agents/{agent_id:int}/settings/pauses", opt=_PERSON)
async def change_pauses(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Choose after which pause another conversation begins; the past is counted anew in the background."""
    _may_change(request, agent_id)
    form = await request.form()
    typed = {
        name.removeprefix(_PAUSE): str(value)
        for name, value in form.multi_items()
        if name.startswith(_PAUSE) and not isinstance(value, UploadFile)
    }
    try:
        lengths = {} if form.get("usual") else pauses.chosen(typed)
    except pauses.Wrong as error:
        return await _page(request, agent_id, _home(agent_id), pauses_typed=(typed, error))

    def work(connection: Connection, _: int) -> None:
        signed_in_context(request, connection, "settings", agent_id)  # a 404 where there is no such agent
        agents.set_pauses(connection, agent_id, lengths)

    event = audit.event_of(
        request, "agent_changed", agent_id=agent_id, setting="pauses between conversations"
    )
    await services_of(request).write(work, event=event)
    return redirect(f"/agents/{agent_id}/settings/#pauses", request)


@post("/agents/{agent_id:int}/settings/storage", opt={"access": Access.OWNER})
async def change_storage(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """Choose what the agent's attachments may take."""
    actor_of(request).require_agent(agent_id)
    text = str((await request.form()).get("megabytes", "")).strip()
    digits = text.replace(",", "").replace(" ", "").replace("_", "")
    if digits and not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        said = "It takes a whole number of megabytes, or nothing for no limit."
        return await _page(request, agent_id, _home(agent_id), storage=(text, said))
    limit = int(digits) * MEGABYTE if digits else None

    def work(connection: Connection, _: int) -> None:
        signed_in_context(request, connection, "settings", agent_id)  # a 404 where there is no such agent
        agents.set_storage_limit(connection, agent_id, limit)

    event = audit.event_of(request, "agent_changed", agent_id=agent_id, setting="storage limit")
    await services_of(request).write(work, event=event)
    return redirect(f"/agents/{agent_id}/settings/", request)


def chosen(ticked: list[str], others: str) -> list[str]:
    """The names of a form: those that are ticked, and one a line.

    Raises:
        Invalid: names the field and what it takes.

    Example:
        >>> chosen(["open_ticket"], "call_back\\n")
        ['call_back', 'open_ticket']
    """
    typed = [line.strip() for line in others.splitlines() if line.strip()]
    for name in (*ticked, *typed):
        if "\x00" in name or len(name) > LONGEST_NAME:
            said = f"An action's name has at most {LONGEST_NAME} characters: {name[:40]}…"
            raise Invalid(Problem("others", Code.OTHER, said))
        if name == "token_usage":
            raise Invalid(Problem("others", Code.OTHER, "token_usage stands for tokens; it is no action."))
    names = sorted({*ticked, *typed})
    if len(names) > MOST_NAMES:
        said = f"At most {MOST_NAMES} actions can be chosen; these are {len(names)}."
        raise Invalid(Problem("others", Code.OTHER, said))
    return names


def _home(agent_id: int) -> str:
    return f"/agents/{agent_id}/"


def _may_change(request: AnyRequest, agent_id: int) -> None:
    actor = actor_of(request)
    actor.require_agent(agent_id)
    if actor.role == "viewer":
        raise RequestError(403, {"detail": "Your account may look, not change."})


async def _page(
    request: AnyRequest,
    agent_id: int,
    back: str,
    ticked: list[str] | None = None,
    others: str = "",
    problem: str | None = None,
    storage: tuple[str, str] | None = None,
    pauses_typed: tuple[dict[str, str], pauses.Wrong] | None = None,
) -> Response[str]:
    def answer(connection: Connection) -> Response[str]:
        context = signed_in_context(request, connection, "settings", agent_id)
        counting = agents.escalations(connection, [agent_id]).get(agent_id, ())
        seen = overview.recent_values(connection, agent_id)
        ran = seen["action_name"]
        on = set(counting if ticked is None else ticked)
        limit = agents.storage_limit(connection, agent_id)
        shown = {
            "back": back,
            "stored": transcripts.stored_bytes(connection, agent_id),
            "megabytes": storage[0] if storage else "" if limit is None else str(limit // MEGABYTE),
            "storage_problem": storage[1] if storage else None,
            # Those that count stand first.
            "offered": sorted({*ran, *ESCALATIONS, *counting, *on}, key=lambda name: (name not in on, name)),
            "ran": set(ran),
            "ticked": on,
            "usual": ESCALATIONS,
            "is_usual": set(counting) == set(ESCALATIONS),
            "others": others,
            "problem": problem,
            **_pauses(agents.pauses(connection).get(agent_id, {}), seen["source"], pauses_typed),
            "recutting": services_of(request).analytics.recutting(agent_id),
        }
        return render_page(
            "pages/agent_settings.html", context | shown, 400 if problem or storage or pauses_typed else 200
        )

    return await services_of(request).read(answer)


def _pauses(
    kept: dict[str, int], sources: Sequence[str], typed: tuple[dict[str, str], pauses.Wrong] | None
) -> dict[str, Any]:
    """The lines of the form: the channels that the agent has, those with a pause of their own, and the rest."""
    texts, wrong = typed or ({}, None)
    names = dict.fromkeys(
        each for each in (*map(pauses.normal, sources), *sorted(kept), *map(pauses.normal, texts)) if each
    )
    names.pop(pauses.OTHER, None)
    lines = []
    for name in (*names, pauses.OTHER):
        own = pauses.spelled(kept[name]) if name in kept else ""
        lines.append(
            {
                "source": name,
                "label": "Every other channel" if name == pauses.OTHER else channel_name(name),
                "text": texts.get(name, own),
                "usual": pauses.spelled(pauses.pause(name, {})),
                "problem": wrong.says if wrong is not None and wrong.source == name else None,
            }
        )
    unnamed = wrong.says if wrong is not None and wrong.source not in {*names, pauses.OTHER} else None
    return {"pauses": lines, "pauses_problem": unnamed, "pauses_usual": not kept}


handlers = [agent_settings, change_settings, change_pauses, change_storage]
