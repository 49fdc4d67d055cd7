"""Query parameters, checked: what is not known is refused, not ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentsight_server.contract.documentation import Query
from agentsight_server.domain import parameters
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.filter_reading import read
from agentsight_server.domain.filters import OF_API, RENAMED, Filter, Filters, spellings
from agentsight_server.domain.parameters import Unfit
from agentsight_server.domain.problems import Code, Problem, either
from agentsight_server.store.conversations import ORDERINGS

_SCHEMAS: dict[str, dict[str, Any]] = {
    "flag": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "zone": {"type": "string", "default": "UTC"},
}


def query_of(one: Filter, name: str = "") -> Query:
    """A filter's row in the API document, under one of its names."""
    name = name or one.name
    schema = dict(_SCHEMAS.get(one.kind, {"type": "string"}))
    if one.choices:
        schema["enum"] = list(one.choices)
    if one.kind == "number":
        schema = {"type": "integer", "minimum": one.bounds[0], "maximum": one.bounds[1]}
    others = [f"`{other}`" for other in (one.name, *one.aliases) if other != name]
    return Query(name, "; also ".join([one.doc, *others]), schema)


FILTER_NAMES = spellings(OF_API)
FILTER_QUERIES: tuple[Query, ...] = tuple(query_of(one) for one in OF_API)


def only(given: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Refuse a parameter that is not known.

    Raises:
        Invalid: names it and what there is.
    """
    unknown = sorted(set(given) - allowed)
    if unknown:
        names = ", ".join(sorted(allowed)) or "none"
        raise Invalid(
            *(
                Problem(name, Code.RENAMED, RENAMED[name])
                if RENAMED.get(name) in allowed
                else Problem(name, Code.UNKNOWN_FIELD, names)
                for name in unknown
            )
        )


def parse_filters(given: Mapping[str, str]) -> Filters:
    """Filters from query parameters; an empty value leaves its filter out.

    Raises:
        Invalid: a value does not fit.
    """
    found = read(given, OF_API)
    if found.problems:
        raise Invalid(*found.problems)
    return Filters(**found.values)


def integer(given: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    """A whole number among the parameters.

    Raises:
        Invalid: it is none, or out of range.
    """
    text = given.get(name, "")
    if text == "":
        return default
    try:
        return parameters.whole(text, least, most)
    except Unfit as unfit:
        raise Invalid(unfit.of(name, text)) from None


def ordering(given: Mapping[str, str]) -> str:
    """The order of a list: a column, with `-` for falling.

    Raises:
        Invalid: there is no such order.
    """
    text = given.get("ordering") or "-started_at"
    if text.removeprefix("-") not in ORDERINGS:
        raise Invalid(Problem("ordering", Code.CHOICE, f"{either(ORDERINGS)}, with - before it for falling"))
    return text
