"""The figures: any set of them, for any period, with any filter."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from agentsight_server.analytics import shapes
from agentsight_server.analytics.csv import table, to_csv
from agentsight_server.analytics.engine import AnalyticsError
from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.scope import (
    COMPARISONS,
    PARAMETERS,
    Comparison,
    of_request,
)
from agentsight_server.api.filters import only, query_of
from agentsight_server.api.queries import parameters
from agentsight_server.contract.documentation import Doc, Query
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.filters import ENVIRONMENTS, OF_FIGURES
from agentsight_server.domain.parameters import LONGEST_DAYS
from agentsight_server.domain.problems import Code, Problem, either
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access

FORMATS = ("json", "csv")
_DAY = {"type": "string", "format": "date"}


_QUERY = (
    Query(
        "metrics",
        "Names, separated by commas; all of them when left out",
        {"type": "array", "items": {"type": "string", "enum": list(METRICS)}},
    ),
    Query("from", "First day; 30 days up to `to` when left out", _DAY),
    Query("to", f"Last day, included; today when left out. At most {LONGEST_DAYS:,} days", _DAY),
    Query("tz", "IANA time zone of the days and hours", {"type": "string", "default": "UTC"}),
    Query("environment", "", {"type": "string", "enum": list(ENVIRONMENTS), "default": "production"}),
    Query(
        "compare",
        "Set the headline figures and the series against the period of equal length just before, or against the "
        "same days a year earlier",
        {"type": "string", "enum": list(COMPARISONS)},
    ),
    *(query_of(one, one.figure) for one in OF_FIGURES),
    Query("agent", "Whose figures: an agent's number. A key has its own agent's", {"type": "integer"}),
    Query("format", "csv: one figure as a table", {"type": "string", "enum": list(FORMATS), "default": "json"}),
)  # fmt: skip
_NAMES = PARAMETERS | {"metrics", "compare", "format"}


@get(
    "/api/analytics",
    opt={
        "access": Access.READ,
        "doc": Doc("Figures", "Analytics", None, {200: shapes.Answer}, _QUERY, files=("text/csv",)),
    },
)
async def analytics(request: AnyRequest) -> Response[Any]:
    """Figures about an agent's conversations; docs/metrics.md defines each. A conversation belongs to the period
    in which it began; a message, action, click, usage or feedback to the period of its own time. What was acknowledged
    before the call is counted. A figure over nothing is null; a rate comes with what it is made of.
    """
    given = parameters(request)
    only(given, _NAMES)
    names = _metrics(given.get("metrics", ""))
    compare = _comparison(given.get("compare", ""))
    kind = given.get("format") or "json"
    if kind not in FORMATS:
        raise Invalid(Problem("format", Code.CHOICE, either(FORMATS), repr(kind)))
    if kind == "csv" and len(names) != 1:
        raise Invalid(Problem("metrics", Code.TOO_MANY, "one name for a table"))
    scope = of_request(given, actor_of(request))
    try:
        found = await services_of(request).analytics.answer(scope, names, compare)
    except AnalyticsError as error:
        raise RequestError(
            503, {"detail": f"there are no figures now: {error}"}, {"Retry-After": "5"}
        ) from None
    pages = services_of(request).executors.pages
    if kind == "json":
        return await pages.run(lambda: answer_json(found))
    name = names[0]
    file = f"{name}_{scope.first}_{scope.last}.csv"
    return Response(
        await pages.run(lambda: to_csv(*table(name, found["metrics"][name])).encode()),
        media_type="text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="{file}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _metrics(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()] or list(METRICS)
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise Invalid(Problem("metrics", Code.CHOICE, either(METRICS), ", ".join(unknown)))
    return list(dict.fromkeys(names))


def _comparison(text: str) -> Comparison | None:
    if text == "previous":
        return "previous"
    if text == "year":
        return "year"
    if text:
        raise Invalid(Problem("compare", Code.CHOICE, "previous or year", repr(text)))
    return None


handlers = [analytics]
