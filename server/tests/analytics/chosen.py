"""Filters as a request spells them, and what each means in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from agentsight_server.analytics.scope import Scope, of_request
from agentsight_server.domain.filters import BY_SPELLING
from agentsight_server.security.access import Actor
from tests.oracle import Item, Session


@dataclass(frozen=True)
class Chosen:
    """A filter: parameters of a request, and the sessions that it lets through."""

    parameters: dict[str, str] = field(hash=False)
    passes: Callable[[Session], bool]

    def __repr__(self) -> str:
        return repr(self.parameters)


def scope_of(
    agent: int,
    zone: str,
    first: date,
    last: date,
    environment: str = "production",
    chosen: Iterable[Chosen] = (),
) -> Scope:
    """The scope that a request with these filters asks for."""
    parameters = {
        "agent": str(agent),
        "from": str(first),
        "to": str(last),
        "tz": zone,
        "environment": environment,
    }
    for each in chosen:
        for name, value in each.parameters.items():
            # Several conditions on metadata go into one parameter.
            parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return of_request(parameters, Actor(None, "owner"))


def can_be_told_together(one: Chosen, other: Chosen) -> bool:
    """Whether a request can ask for both: a filter stands but once, under whichever name, metadata aside."""
    names = [{BY_SPELLING[name].name for name in each.parameters} for each in (one, other)]
    return not (names[0] & names[1] - {"metadata"})


def inside(*path: str) -> Callable[[Session], Any]:
    """The value there in the metadata, as the text that a filter compares with."""

    def look(session: Session) -> Any:
        value: Any = session.record.metadata
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, bool):
            return str(value).lower()
        return None if value is None or isinstance(value, dict) else str(value)

    return look


def _tag(session: Session) -> str:
    return (session.record.language or "").lower().replace("_", "-")


def _is(name: str, value: str | None) -> Callable[[Session], bool]:
    return lambda each: getattr(each.record, name) == value


def _known(name: str) -> Callable[[Session], bool]:
    return lambda each: getattr(each.record, name) is not None


def _judged(sentiment: str) -> Callable[[Session], bool]:
    return lambda each: sentiment in each.said_of_it()


def _ran(name: str) -> Callable[[Session], bool]:
    def ran(item: Item) -> bool:
        return item.kind == "action" and item.name == name

    return lambda each: any(map(ran, each.items))


def _said(value: str, *path: str) -> Callable[[Session], bool]:
    return lambda each: inside(*path)(each) == value


CHOSEN = [
    Chosen({"device": "mobile"}, _is("device", "mobile")),
    Chosen({"device": "desktop"}, _is("device", "desktop")),
    Chosen({"device__isnull": "true"}, _is("device", None)),
    Chosen({"source": "web"}, _is("source", "web")),
    Chosen({"source": "whatsapp"}, _is("source", "whatsapp")),
    Chosen({"source__isnull": "false"}, _known("source")),
    Chosen({"language": "en"}, lambda each: _tag(each) == "en" or _tag(each).startswith("en-")),
    Chosen({"language": "en-US"}, lambda each: _tag(each) == "en-us"),
    Chosen({"language": "zh_hant"}, lambda each: _tag(each).startswith("zh-hant")),
    Chosen({"language__isnull": "true"}, _is("language", None)),
    Chosen({"country": "HR"}, _is("country", "HR")),
    Chosen({"country": "de"}, _is("country", "DE")),
    Chosen({"country__isnull": "true"}, _is("country", None)),
    Chosen({"customer": "anna"}, _is("customer", "anna")),
    Chosen({"customer_id": "bert"}, _is("customer", "bert")),
    Chosen({"customer__isnull": "false"}, _known("customer")),
    Chosen({"customer__isnull": "true"}, _is("customer", None)),
    Chosen({"feedback": "positive"}, _judged("positive")),
    Chosen({"feedback": "neutral"}, _judged("neutral")),
    Chosen({"feedback_sentiment": "negative"}, _judged("negative")),
    Chosen({"feedback__isnull": "true"}, lambda each: not each.said_of_it()),
    Chosen({"feedback__isnull": "false"}, lambda each: bool(each.said_of_it())),
    Chosen({"action": "search"}, _ran("search")),
    Chosen({"action_name": "odd 'name'"}, _ran("odd 'name'")),
    Chosen({"metadata": "plan:pro"}, _said("pro", "plan")),
    Chosen(
        {"metadata": "plan.name:pro"},
        lambda each: "pro" in (inside("plan", "name")(each), inside("plan.name")(each)),
    ),
    Chosen({"metadata": "vip:true"}, _said("true", "vip")),
    Chosen({"metadata": "n:3"}, _said("3", "n")),
    Chosen({"metadata": "a/b~c:x"}, _said("x", "a/b~c")),
    Chosen({"metadata": "quo\"te:it's"}, _said("it's", 'quo"te')),
]  # fmt: skip
