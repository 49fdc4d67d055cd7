"""From the parameters of an address to filters: what is there, what it means, and what could not be understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentsight_server.domain import parameters
from agentsight_server.domain.filters import BY_NAME, BY_SPELLING, FILTERS, Filter

# What takes a list: separated by commas, or given several times. `metrics` is not ours, but takes one, too.
SEVERAL = frozenset({"metrics", *(one.name for one in FILTERS if one.several)})


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a parameter: what it takes, and what came instead, where that is to blame."""

    says: str
    given: str = ""


@dataclass
class Reading:
    """Parameters, read: values and their text by the names of the table, and what could not be understood."""

    values: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    problems: dict[str, Wrong] = field(default_factory=dict)


def read(given: Mapping[str, str], entries: Iterable[Filter]) -> Reading:
    """Read the parameters of some filters; an empty one leaves its filter out, others are none of our business.

    Example:
        >>> read({"customer": "ana", "is_marked": "1"}, FILTERS).texts
        {'is_marked': 'true', 'customer_id': 'ana'}
    """
    found = Reading()
    for one in entries:
        spelled = [name for name in (one.name, *one.aliases) if given.get(name)]
        if not spelled:
            continue
        name, text = spelled[0], given[spelled[0]]
        if any(given[other] != text for other in spelled[1:]):
            found.problems[spelled[1]] = Wrong(f"is another spelling of {name}, and says something else")
            continue
        try:
            found.values[one.name] = one.value(text)
        except ValueError as error:
            found.problems[name] = Wrong(str(error), text)
        else:
            found.texts[one.name] = str(found.values[one.name]).lower() if one.kind == "flag" else text
    _about_events(found)
    return found


def _about_events(found: Reading) -> None:
    """What is said of an event says nothing without it, and must not be dropped in silence."""
    for name in list(found.values):
        events = BY_NAME[name].events
        if events and found.values.get("event") not in events:
            says = f"says more of an event: it goes with event={parameters.either(events)}"
            found.problems[name] = Wrong(says)
            del found.values[name], found.texts[name]


def typed(given: Mapping[str, str]) -> dict[str, str]:
    """Parameters as people type them: blanks around a value are none of it, except in names that programs gave."""
    return {
        name: text if (one := BY_SPELLING.get(name)) and one.verbatim and text.strip() else text.strip()
        for name, text in given.items()
    }


def collect(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], dict[str, Wrong]]:
    """Parameters as they came: what takes a list may come several times, anything else once.

    Example:
        >>> given, twice = collect([("metadata", "a:1"), ("metadata", "b:2"), ("name", "a"), ("name", "b")])
        >>> given, list(twice)
        ({'metadata': 'a:1,b:2', 'name': 'a'}, ['name'])
    """
    given: dict[str, str] = {}
    twice: dict[str, Wrong] = {}
    for name, text in pairs:
        if name not in given:
            given[name] = text
        elif name in SEVERAL:
            given[name] += f",{text}"
        else:
            twice[name] = Wrong("is given twice, and takes one value")
    return given, twice
