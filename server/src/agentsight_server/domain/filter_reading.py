"""From the parameters of an address to filters: what is there, what it means, and what could not be understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentsight_server.domain.filters import BY_NAME, BY_SPELLING, FILTERS, Filter
from agentsight_server.domain.parameters import Unfit
from agentsight_server.domain.problems import Code, Problem, either

# What takes a list: separated by commas, or given several times. `metrics` is not ours, but takes one, too.
SEVERAL = frozenset({"metrics", *(one.name for one in FILTERS if one.several)})


@dataclass
class Reading:
    """Parameters, read: values and their text by the names of the table, and what could not be understood."""

    values: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


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
            found.problems.append(Problem(spelled[1], Code.GOES_WITHOUT, name))
            continue
        try:
            found.values[one.name] = one.value(text)
        except Unfit as unfit:
            found.problems.append(unfit.of(name, text))
        else:
            found.texts[one.name] = str(found.values[one.name]).lower() if one.kind == "flag" else text
    _about_events(found)
    return found


def _about_events(found: Reading) -> None:
    """What is said of an event says nothing without it, and must not be dropped in silence."""
    for name in list(found.values):
        events = BY_NAME[name].events
        if events and found.values.get("event") not in events:
            found.problems.append(Problem(name, Code.GOES_WITH, f"event={either(events)}"))
            del found.values[name], found.texts[name]


def typed(given: Mapping[str, str]) -> dict[str, str]:
    """Parameters as people type them: blanks around a value are none of it, except in names that programs gave."""
    return {
        name: text if (one := BY_SPELLING.get(name)) and one.verbatim and text.strip() else text.strip()
        for name, text in given.items()
    }


def collect(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[Problem]]:
    """Parameters as they came: what takes a list may come several times, anything else once.

    Example:
        >>> given, twice = collect([("metadata", "a:1"), ("metadata", "b:2"), ("name", "a"), ("name", "b")])
        >>> given, [each.field for each in twice]
        ({'metadata': 'a:1,b:2'}, ['name'])
    """
    given: dict[str, str] = {}
    twice: dict[str, Problem] = {}
    for name, text in pairs:
        if name not in given:
            given[name] = text
        elif name in SEVERAL:
            given[name] += f",{text}"
        else:
            twice[name] = Problem(name, Code.TWICE)
    return {name: text for name, text in given.items() if name not in twice}, list(twice.values())
