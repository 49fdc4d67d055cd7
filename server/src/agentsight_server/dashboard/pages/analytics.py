"""How an agent does: the page of figures, the line that says what goes on now, and the figures as files."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath
from sqlalchemy import Connection

from agentsight_server.analytics.activity import ActiveNow, active_now
from agentsight_server.analytics.answer import answer
from agentsight_server.analytics.csv import table, to_csv
from agentsight_server.analytics.engine import AnalyticsError, Engine
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.query import MetricContext
from agentsight_server.analytics.scope import Scope
from agentsight_server.analytics.trends import TRENDS, funnel, trends
from agentsight_server.dashboard import formats
from agentsight_server.dashboard.analytics import (
    breakdowns,
    headlines,
    outcomes,
    peak_hours,
    spending,
    words,
)
from agentsight_server.dashboard.analytics.view import PRESETS, View, read_view
from agentsight_server.dashboard.pages.page import (
    OWN_ZONE_COOKIE,
    redirect,
    render_page,
    safe_address,
    signed_in_context,
)
from agentsight_server.dashboard.pages.seen_values import seen_values
from agentsight_server.domain import zones
from agentsight_server.domain.errors import RequestError, not_found
from agentsight_server.domain.filters import Filters
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.reference import geo
from agentsight_server.security.access import Access
from agentsight_server.store import comments, conversations
from agentsight_server.store.comments import CommentRow

_PERSON: dict[str, Any] = {"access": Access.PERSON}
_YEAR = 365 * 86_400
_COMMENTS = 4
_TROUBLE = "The figures cannot be read right now. Nothing is lost; try again in a moment."


class Found(msgspec.Struct):
    """All figures of the page.

    Attributes:
        whole: whether everything that was acknowledged is in them.
    """

    answer: dict[str, Any]
    trends: dict[str, list[float | None]]
    previous_trends: dict[str, list[float | None]] | None
    funnel: list[tuple[str, int]]
    present: ActiveNow
    whole: bool

    @property
    def metrics(self) -> dict[str, Any]:
        """The answer's figures by name."""
        metrics: dict[str, Any] = self.answer["metrics"]
        return metrics


def figures(wanted: View, scope: Scope, now: int) -> Callable[[Engine, bool], Found]:
    """What to ask the engine for the page."""

    def work(engine: Engine, whole: bool) -> Found:
        found = answer(engine, scope, METRICS, wanted.compare)
        series = found["metrics"]["over_time"]
        unit, earlier = series["unit"], series.get("previous")
        with engine.reading() as execute:
            current = MetricContext(execute, engine.functions, scope)
            past = None
            if wanted.compare is not None and earlier:
                before = MetricContext(execute, engine.functions, scope.compared(wanted.compare))
                past = trends(before, unit, [row["start"] for row in earlier])
            return Found(
                answer=found,
                trends=trends(current, unit, [row["start"] for row in series["rows"]]),
                previous_trends=past,
                funnel=funnel(current),
                present=active_now(current, now),
                whole=whole,
            )

    return work


@get("/agents/{agent_id:int}", opt=_PERSON)
async def analytics_page(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """The page, as its address asks for it."""
    services = services_of(request)

    def prepare(connection: Connection) -> tuple[dict[str, Any], Scope, list[CommentRow]]:
        context = signed_in_context(request, connection, "analytics", agent_id)
        wanted = _view(request, context)
        scope = wanted.scope.of_store(connection)
        said = comments.latest(
            connection,
            {agent_id},
            wanted.for_store,
            after=scope.start,
            before=scope.end - 1,
            limit=_COMMENTS,
        )
        context |= {
            "view": wanted,
            "recutting": services.analytics.recutting(agent_id),
            "presets": PRESETS,
            "sheet": wanted.sheet(seen_values(services.database, connection, agent_id)),
            "downloads": _downloads(wanted),
            "zone": scope.zone.key,
            "credit": geo.ATTRIBUTION,
            "credit_url": geo.ATTRIBUTION_URL,
        }
        return context, scope, said

    context, scope, said = await services.read(prepare)
    wanted: View = context["view"]
    try:
        found = await services.analytics.run(figures(wanted, scope, context["now"]))
    except AnalyticsError:
        return render_page("pages/analytics_error.html", context | {"problem": _TROUBLE}, 503)
    if _nothing(found.metrics):
        latest = await services.read(lambda connection: _elsewhere(connection, wanted))
        return render_page("pages/analytics_empty.html", context | {"found": found, **latest})
    return await services.executors.pages.run(
        lambda: render_page("pages/analytics.html", context | _cards(wanted, scope, found, said, context))
    )


def _view(request: AnyRequest, context: dict[str, Any]) -> View:
    return read_view(
        request.query_params.multi_items(),
        actor_of(request),
        context["agent"].id,
        context["tz"],
        context["now"],
    )


def _cards(
    wanted: View, scope: Scope, found: Found, said: list[CommentRow], context: dict[str, Any]
) -> dict[str, Any]:
    metrics = found.metrics
    chart = headlines.chart(
        wanted,
        metrics["over_time"],
        found.trends,
        found.previous_trends,
        formats.local(context["now"], scope.zone),
    )
    handing_over = scope.escalations[0][1] if scope.escalations else ()
    weeks = peak_hours.weeks(wanted, metrics["peak_hours"]["rows"])
    tools, other_tools = breakdowns.cut(metrics["tools"], "runs")
    buttons, other_buttons = breakdowns.buttons(wanted, metrics["buttons"])
    places = breakdowns.countries(wanted, metrics["countries"])
    return {
        "found": found,
        "sentence": words.sentence(metrics, words.when(scope, wanted.preset)),
        "cards": headlines.cards(wanted, metrics, chart),
        "chart": chart,
        "chart_data": _json(chart),
        "chart_table": headlines.table(chart),
        "facts": headlines.facts(wanted, metrics),
        "weeks": weeks,
        "week": weeks[wanted.hours],
        "weeks_data": _json(weeks),
        "places": places,
        "places_data": _json(places.lands),
        "breakdowns": [
            breakdowns.channels(wanted, metrics["sources"]),
            breakdowns.devices(wanted, metrics["devices"]),
            breakdowns.languages(wanted, metrics["languages"]),
        ],
        "funnel": breakdowns.funnel(wanted, found.funnel),
        "tools": breakdowns.tools(wanted, tools),
        "other_tools": other_tools,
        "buttons": buttons,
        "other_buttons": other_buttons,
        "many_buttons": breakdowns.groups_shown(buttons),
        "feedback": outcomes.feedback(wanted, metrics["feedback"], said),
        "escalation": outcomes.escalation(
            wanted, metrics["escalation_rate"], metrics["tools"]["rows"], handing_over
        ),
        "spending": spending.spending(wanted, metrics["tokens"], metrics["cost"]),
        "formulas": {name: metric.formula for name, metric in METRICS.items()},
    }


def _json(value: Any) -> str:
    """Data for a script, safe inside an element: nothing in it can end the element."""
    text = msgspec.json.encode(value).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _nothing(metrics: dict[str, Any]) -> bool:
    counted = ("conversations", "messages")
    rows = any(metrics[name]["rows"] for name in ("tools", "buttons"))
    offered = metrics["interactions"]["offered"]
    return not (rows or offered or any(metrics[name]["value"] for name in counted))


def _elsewhere(connection: Connection, wanted: View) -> dict[str, Any]:
    """Where there is something to see, when there is nothing here."""
    agent = {wanted.agent_id}
    everywhere = conversations.page(connection, agent, Filters(is_used=True), limit=1)
    here = conversations.page(
        connection, agent, Filters(is_used=True, environment=wanted.scope.environment), limit=1
    )
    day = zones.today(wanted.scope.zone, here[0].started_at) if here else None
    first = None
    if day is not None:
        # The month up to the latest conversation.
        first = zones.day_of(max(zones.day_number(day) - 29, 1))
    outside = day is not None and not (wanted.scope.first <= day <= wanted.scope.last)
    return {
        "latest": here[0] if here else None,
        "latest_address": wanted.address(**{"from": first.isoformat(), "to": day.isoformat()})
        if first and day and outside
        else None,
        "other_environment": bool(everywhere) and not here,
        "some": bool(everywhere),
    }


class Download(msgspec.Struct):
    """What can be taken along, and the addresses of its forms."""

    label: str
    forms: list[tuple[str, str]]


_FORMATS = (("CSV", "csv"), ("JSONL", "jsonl"), ("Parquet", "parquet"))


def _downloads(wanted: View) -> list[Download]:
    """The page and what it counted: conversations that began in the period, messages of the period."""
    scope = wanted.scope
    here = f"/agents/{wanted.agent_id}/figures/"
    query = wanted.address()
    begun = {"agent": str(wanted.agent_id), "tz": scope.zone.key, **scope.listed()}
    messages = {name: value for name, value in begun.items() if name != "is_used"}
    messages["event"] = "message"
    for name in ("after", "before"):
        messages[f"event_{name}"] = messages.pop(f"started_at_{name}")

    def forms(what: str, given: dict[str, str]) -> list[tuple[str, str]]:
        return [
            (label, "/api/export/?" + urlencode({"format": kind, "what": what, **given}))
            for label, kind in _FORMATS
        ]

    return [
        Download("This page", [("JSON", f"{here}page.json{query}")]),
        Download("Figures over time", [("CSV", f"{here}over_time.csv{query}")]),
        Download("Conversations", forms("conversations", begun)),
        Download("Messages", forms("messages", messages)),
    ]


@get("/agents/{agent_id:int}/now", opt=_PERSON)
async def now_line(request: AnyRequest, agent_id: FromPath[int]) -> Response[str]:
    """What goes on right now, for the page that is open."""
    services = services_of(request)

    def prepare(connection: Connection) -> tuple[dict[str, Any], Scope]:
        context = signed_in_context(request, connection, "analytics", agent_id)
        wanted = _view(request, context)
        return context | {"view": wanted}, wanted.scope

    context, scope = await services.read(prepare)

    def work(engine: Engine, _: bool) -> ActiveNow:
        with engine.reading() as execute:
            return active_now(MetricContext(execute, engine.functions, scope), context["now"])

    try:
        found = await services.analytics.run(work)
    except AnalyticsError:
        raise RequestError(503, {"detail": _TROUBLE}, {"Retry-After": "5"}) from None
    return render_page("pages/analytics_now.html", context | {"present": found})


@get("/agents/{agent_id:int}/figures/{name:str}", opt=_PERSON)
async def figures_file(request: AnyRequest, agent_id: FromPath[int], name: FromPath[str]) -> Response[Any]:
    """A table of the page as CSV (`tools.csv`), or everything on it as JSON (`page.json`)."""
    services = services_of(request)
    metric, _, ending = name.rpartition(".")
    if not (ending == "csv" and metric in METRICS) and name != "page.json":
        raise not_found("There is no such file.")

    def prepare(connection: Connection) -> tuple[View, Scope, int, str]:
        context = signed_in_context(request, connection, "analytics", agent_id)
        wanted = _view(request, context)
        return wanted, wanted.scope.of_store(connection), context["now"], context["agent"].name

    wanted, scope, now, agent = await services.read(prepare)
    try:
        if name == "page.json" or metric == "over_time":
            found = await services.analytics.run(figures(wanted, scope, now))
        else:
            one = await services.analytics.run(lambda engine, _: answer(engine, scope, [metric]))
    except AnalyticsError:
        raise RequestError(503, {"detail": _TROUBLE}, {"Retry-After": "5"}) from None

    def content() -> bytes:
        if name == "page.json":
            return msgspec.json.format(msgspec.json.encode(_whole(found)))
        if metric == "over_time":
            return to_csv(*headlines.sheet(found.metrics["over_time"], found.trends)).encode()
        return to_csv(*table(metric, one["metrics"][metric])).encode()

    slug = re.sub(r"[^a-z0-9]+", "-", agent.lower()).strip("-") or "agent"
    file = f"{slug}_{'figures' if name == 'page.json' else metric}_{scope.first}_{scope.last}.{ending}"
    return Response(
        await services.executors.pages.run(content),
        media_type="application/json" if name == "page.json" else "text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="{file}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-store",
        },
    )


def _whole(found: Found) -> dict[str, Any]:
    """The answer of the API, with the headline figures along time and the funnel."""
    series = found.metrics["over_time"]
    for place, row in enumerate(series["rows"]):
        row |= {name: found.trends[name][place] for name in TRENDS}
    if found.previous_trends is not None:
        for place, row in enumerate(series["previous"]):
            row |= {name: found.previous_trends[name][place] for name in TRENDS}
    steps = [{"step": step, "conversations": count} for step, count in found.funnel]
    return found.answer | {"metrics": found.metrics | {"funnel": {"rows": steps}}}


@post("/time-zone", opt=_PERSON)
async def time_zone(request: AnyRequest) -> Response[str]:
    """Count days and hours on another clock than the browser's; an empty name is the browser's again."""
    form = await request.form()
    name = str(form.get("zone", "")).strip()
    if name:
        try:
            zones.find(name)
        except ValueError:
            raise RequestError(400, {"detail": f"There is no time zone called “{name[:60]}”."}) from None
    page = redirect(safe_address(str(form.get("next", ""))), request)
    if not name:
        page.delete_cookie(OWN_ZONE_COOKIE, path="/")
        return page
    public = services_of(request).settings.public_url or str(request.base_url)
    page.set_cookie(
        Cookie(
            OWN_ZONE_COOKIE,
            value=name,
            max_age=_YEAR,
            path="/",
            samesite="lax",
            secure=public.startswith("https://"),
        )
    )
    return page


@get("/time-zones", opt=_PERSON)
async def time_zones(request: AnyRequest) -> Response[str]:
    """The form in which another time zone is chosen."""

    def prepare(connection: Connection) -> dict[str, Any]:
        return signed_in_context(request, connection, "")

    context = await services_of(request).read(prepare)
    chosen = getattr(context["tz"], "key", "UTC")
    back = safe_address(request.query_params.get("next"))
    return render_page(
        "pages/time_zone.html", context | {"zones": zone_names(), "zone": chosen, "back": back}
    )


def zone_names() -> list[str]:
    """The time zones that places are in."""
    text = importlib.resources.files("tzdata").joinpath("zoneinfo/zone1970.tab").read_text("utf-8")
    lines = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return sorted({"UTC", *(line[2] for line in lines)})


handlers = [analytics_page, now_line, figures_file, time_zone, time_zones]
