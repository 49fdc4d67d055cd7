"""All agents at a glance, and a new one."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from agentsight_server.analytics.activity import inactive_since
from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.engine import AnalyticsError, Engine
from agentsight_server.analytics.query import MetricContext
from agentsight_server.analytics.scope import Scope, of_request
from agentsight_server.dashboard import formats
from agentsight_server.dashboard.analytics import words
from agentsight_server.dashboard.analytics.drawing import Spark, spark
from agentsight_server.dashboard.analytics.words import Change
from agentsight_server.dashboard.pages.page import redirect, render_page, signed_in_context
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security import audit
from agentsight_server.security.access import Access
from agentsight_server.store import agents, overview

RECENT = 30 * formats.DAY
LONGEST_NAME = 255
_FIGURES = ("conversations", "over_time", "response_time", "feedback", "escalation_rate")


class AgentLine(msgspec.Struct):
    """An agent's line; the figures are those of its own page.

    Attributes:
        inactive_since: since when it has been silent against its habit.
    """

    id: int
    name: str
    last_at: int | None
    conversations: str = formats.ABSENT
    exact: str = ""
    change: Change | None = None
    spark: Spark | None = None
    answer_time: str = formats.ABSENT
    satisfaction: str = formats.ABSENT
    handed: str = formats.ABSENT
    handed_of: str = ""
    inactive_since: int | None = None


@get("/", opt={"access": Access.PERSON})
async def agents_page(request: AnyRequest) -> Response[str]:
    """The agents that the actor sees."""
    return await _page(request, "", None)


@post("/agents", opt={"access": Access.OWNER})
async def new_agent(request: AnyRequest) -> Response[str]:
    """Add an agent, and go on to connecting it."""
    form = await request.form()
    name = " ".join(str(form.get("name", "")).split())

    def work(connection: Connection, _: int) -> int:
        if not name:
            raise Invalid(Problem("name", Code.OTHER, "An agent needs a name."))
        if len(name) > LONGEST_NAME or "\x00" in name:
            raise Invalid(Problem("name", Code.OTHER, f"A name has at most {LONGEST_NAME} characters."))
        try:
            with connection.begin_nested():
                return agents.create(connection, name)
        except IntegrityError:
            raise Invalid(Problem("name", Code.OTHER, "There is an agent of that name.")) from None

    try:
        number = await services_of(request).write(
            work, event=lambda made: audit.event_of(request, "agent_created", agent_id=made, name=name)
        )
    except Invalid as error:
        return await _page(request, name, error.errors["name"][0], 400)
    return redirect(f"/agents/{number}/connect/", request)


async def _page(request: AnyRequest, name: str, problem: str | None, status: int = 200) -> Response[str]:
    services = services_of(request)

    def prepare(connection: Connection) -> tuple[dict[str, Any], list[AgentLine], list[Scope]]:
        context = signed_in_context(request, connection, "overview")
        zone = getattr(context["tz"], "key", "UTC")
        lines, scopes = [], []
        for each in context["agents"]:
            seen = overview.activity(connection, each.id, context["now"] - RECENT)
            lines.append(AgentLine(each.id, each.name, seen.last_at))
            asked = {"agent": str(each.id), "tz": zone}
            scopes.append(of_request(asked, actor_of(request), now=context["now"]).of_store(connection))
        return context, lines, scopes

    context, lines, scopes = await services.read(prepare)
    trouble = False
    try:
        await services.analytics.run(lambda engine, _: _fill(engine, lines, scopes, context["now"]))
    except AnalyticsError:
        trouble = True
    shown = {"rows": lines, "agent_name": name, "problem": problem, "trouble": trouble}
    return await services.executors.pages.run(
        lambda: render_page("pages/overview.html", context | shown, status)
    )


def _fill(engine: Engine, lines: list[AgentLine], scopes: list[Scope], now: int) -> None:
    """Put the figures into the lines."""
    for line, scope in zip(lines, scopes, strict=True):
        if line.last_at is None:
            continue
        found = answer(engine, scope, _FIGURES, "previous")["metrics"]
        held, handed = found["conversations"], found["escalation_rate"]
        line.conversations = words.figure("conversations", held["value"])
        line.exact = f"{formats.plural(held['value'], 'conversation')} in the last 30 days"
        line.change = words.change("conversations", held["value"], held["previous"])
        line.spark = spark([row["conversations"] for row in found["over_time"]["rows"]])
        line.answer_time = words.figure("milliseconds", found["response_time"]["mean_ms"])
        line.satisfaction = words.figure("satisfied", found["feedback"]["satisfaction"])
        line.handed = words.figure("handed", handed["value"])
        if handed["denominator"]:
            line.handed_of = (
                f"{formats.number(handed['numerator'])} of {formats.number(handed['denominator'])}"
            )
        with engine.reading() as execute:
            line.inactive_since = inactive_since(MetricContext(execute, engine.functions, scope), now)


handlers = [agents_page, new_agent]
