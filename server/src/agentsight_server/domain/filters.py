"""The filters of conversations, in one table.

From an entry are made: the parameter of the REST API, of the list and of the figures, its row in the OpenAPI document,
its chip and its line in the sheet of filters, the SDK's parameter (sdk: ConversationFilters, held against this table by
a test), and the question to the rows and to the columns. How a question is put stands where the SQL stands, by the name
that `ask` and `facts` give: store/conversation_filters.py and analytics/query.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from agentsight_server.domain import parameters, zones
from agentsight_server.domain.times import from_datetime

# A message of either party; an agent's message right after the person's; a tool's run; a click; what a customer
# thought of it; tokens that were used.
EventKind = Literal["message", "answer", "tool", "button", "feedback", "tokens"]
EVENTS: tuple[EventKind, ...] = get_args(EventKind)

DEVICES = ("desktop", "mobile", "tablet")
ENVIRONMENTS = ("production", "development")
SENTIMENTS = ("positive", "neutral", "negative")
ABSENT = "__isnull"

Kind = Literal[
    "text", "country", "language", "flag", "time", "choice", "number", "names", "metadata", "zone", "day"
]
Place = Literal["api", "page"]
_EVERYWHERE: tuple[Place, ...] = ("api", "page")
# Conversations begin within these years; a clock is read for no longer.
_CLOCK_FROM, _CLOCK_TO = 0, from_datetime(datetime(2100, 1, 1))


@dataclass(frozen=True)
class Filter:
    """One filter of conversations.

    Attributes:
        name: its parameter; `name__isnull` beside it where it is `nullable`.
        kind: how its text becomes a value.
        doc: what it does, for the API document.
        ask: how the store is asked; empty where the store cannot be.
        column: the store's column, where it is not called like the filter.
        facts: how the columns are asked; empty: figures do not know it.
        aliases: other spellings; the first one is what figures call it.
        choices: all the values that it takes.
        bounds: the least and the greatest number that it takes.
        nullable: whether what has no value can be asked for, or left out.
        events: it says more of an event, one of these.
        places: where it is a parameter: in the API, on the page of conversations.
        label: what the page calls it; without one it has no chip.
        words: its chip: a value's place is `{}`; or a text for each value that has a chip.
        shown: how the page names a value; one of dashboard/filtering.py's SHOWN.
        line: its line in the sheet of filters; `seen` offers the values that an agent's conversations have.
        offers: what its line offers, with the words for it; `empty` is what nothing chosen means.
        hint: an example in the line.
        verbatim: programs gave these names, blanks and all.
    """

    name: str
    kind: Kind = "text"
    doc: str = ""
    ask: str = "equals"
    column: str = ""
    facts: str = ""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    bounds: tuple[int, int] = (0, 0)
    nullable: bool = False
    events: tuple[EventKind, ...] = ()
    places: tuple[Place, ...] = _EVERYWHERE
    label: str = ""
    words: str | Mapping[str, str] = ""
    shown: str = ""
    line: Literal["", "seen", "choice", "text", "day"] = ""
    offers: tuple[tuple[str, str], ...] = ()
    empty: str = "Any"
    hint: str = ""
    verbatim: bool = False

    @property
    def figure(self) -> str:
        """What figures call it."""
        return self.aliases[0] if self.aliases else self.name

    @property
    def of_column(self) -> str:
        """The store's column."""
        return self.column or self.name

    @property
    def several(self) -> bool:
        """Whether it takes a list: separated by commas, or given several times."""
        return self.kind in ("names", "metadata")

    def value(self, text: str) -> Any:
        """The value of a parameter's text.

        Raises:
            Unfit: says what it takes.
        """
        match self.kind:
            case "flag":
                found: Any = parameters.flag(text)
            case "time":
                found = parameters.moment(text)
            case "day":
                found = parameters.day_or_moment(text)
            case "choice":
                found = parameters.choice(text, self.choices)
            case "number":
                found = parameters.whole(text, *self.bounds)
            case "names":
                found = parameters.names(text)
            case "metadata":
                found = parameters.pairs(text)
            case "zone":
                found = parameters.zone(parameters.text(text))
            case _:
                found = parameters.text(text)
        return self.canonical(found)

    def canonical(self, value: Any) -> Any:
        """The one spelling of values that have several: `hr` is HR, `en_US` is en-us."""
        if self.kind == "country":
            return value.upper()
        return value.lower().replace("_", "-") if self.kind == "language" else value


def _entries() -> tuple[Filter, ...]:
    """The table; in the order in which the sheet has its lines."""
    seen: Any = {"line": "seen", "words": "{}", "nullable": True}
    flag: Any = {"kind": "flag"}
    return (
        Filter("source", doc="The channel, exactly", facts="column", label="Channel", shown="channel",
               verbatim=True, **seen),
        Filter("device", "choice", "Kind of device", facts="column", choices=DEVICES, label="Device",
               shown="device", **seen),
        Filter("language", "language", "A language; `en` also finds `en-US`", "language", facts="language",
               label="Language", shown="language", **seen),
        Filter("country", "country", "ISO 3166 alpha-2 code, such as `HR`", facts="column", label="Country",
               shown="country", **seen),
        Filter("city", doc="The city of the customer's address, as the place database spells it", label="City", **seen),
        Filter("action_name", doc="A tool that was run", ask="action", facts="action", aliases=("action",),
               label="Tool", words="Tool: {}", line="seen", verbatim=True),
        Filter("feedback_sentiment", "choice", "Somebody said that of it; where figures are counted, the customer",
               "feedback", facts="sentiment", aliases=("feedback",), choices=SENTIMENTS, nullable=True,
               label="Feedback", words="{} feedback", shown="word", line="choice"),
        Filter("environment", "choice", "Where it took place", choices=ENVIRONMENTS, label="Environment",
               words="{}", shown="word", line="choice"),
        Filter("is_marked", doc="Marked or not", label="Marked", line="choice",
               words={"true": "Marked", "false": "Not marked"},
               offers=(("true", "Marked"), ("false", "Not marked")), **flag),
        Filter("is_used", doc="People took part, or did not yet", label="Never used", line="choice",
               words={"false": "Never used", "any": "Also never used"},
               offers=(("any", "Show them too"), ("false", "Only those")), empty="Left out", **flag),
        Filter("customer_id", doc="The customer's id, exactly", facts="column", aliases=("customer",),
               nullable=True, label="Customer", line="text", hint="Customer id"),
        Filter("from", "day", ask="", places=("page",), label="From", words="From {}", shown="day", line="day"),
        Filter("to", "day", ask="", places=("page",), label="To", words="To {}", shown="day", line="day"),
        Filter("metadata", "metadata", "`key:value,key2:value2`; dots reach inside: `analysis.sentiment:positive`",
               "metadata", facts="metadata", label="Metadata", line="text", hint="tier:pro"),
        # What the sheet has no line for
        Filter("search", doc="Part of a message, name, customer or conversation id, whatever the case",
               ask="search", label="Search", words="“{}”"),
        Filter("name", doc="Part of the conversation's name, whatever the case", ask="contains", label="Title"),
        Filter("message_contains", doc="Part of a message, whatever the case", ask="says", label="Says"),
        Filter("conversation_id", doc="The text id, exactly", label="Id"),
        Filter("customer_id__icontains", doc="Part of the customer's id, whatever the case", ask="contains",
               column="customer_id", label="Customer", words="Customer: …{}…"),
        Filter("customer_ip_address", doc="The address, exactly", label="Address"),
        Filter("language__iexact", "language", "The very language tag, whatever the case", "tag", "language",
               label="Language", words="Just {}", shown="language"),
        Filter("action_name__in", "names", "One of these tools was run; names separated by commas", "action",
               label="Tools"),
        Filter("handed_over", doc="An action of the agent's escalation set was run", kind="choice",
               ask="action", choices=("true",), places=("page",), label="Handed over",
               words={"true": "Handed to a human"}),
        Filter("unanswered", doc="The last message is the person's, or is not", ask="unanswered",
               label="Unanswered", words={"true": "Unanswered", "false": "Answered"}, **flag),
        Filter("has_messages", doc="With messages, or without", ask="messages", label="Messages",
               words={"true": "With messages", "false": "Without messages"}, **flag),
        Filter("has_feedback", doc="With feedback, or without", ask="feedback", label="Feedback",
               words={"true": "With feedback", "false": "Without feedback"}, **flag),
        Filter("feedback_source", "choice", "Who gave the feedback", "feedback", choices=("customer", "platform"),
               label="Feedback",
               words={"customer": "Rated by the customer", "platform": "Rated by your team"}),
        Filter("is_helpful", doc="The customer gave positive feedback, or did not", ask="helpful", label="Helpful",
               words={"true": "Found helpful", "false": "Not found helpful"}, **flag),
        Filter("is_offered", doc="Begun by the assistant, before anybody took part, or not", label="Offered",
               words={"true": "Offered first", "false": "Not offered first"}, **flag),
        # One event, and what more is said of it: all of them are about the same one
        Filter("event", "choice", "One of these is found in it; `event_…` say more of it", "event", choices=EVENTS,
               label="Event"),
        Filter("event_name", doc="The tool, the button's event, the sentiment or the model of the `event`",
               ask="event", events=("tool", "button", "feedback", "tokens"), verbatim=True),
        Filter("event_name__isnull", doc="The tokens that `event` looks for name no model, or name one",
               ask="event", events=("tokens",), **flag),
        Filter("event_label", doc="The label of the clicked button that `event` looks for", ask="event",
               events=("button",), verbatim=True),
        Filter("event_failed", doc="The tool's run that `event` looks for ended in an error, or did not",
               ask="event", events=("tool",), **flag),
        Filter("event_after", "time", "The `event` (else a message) was at this time or later", "event",
               places=("api",)),
        Filter("event_before", "time", "The `event` (else a message) was at this time or earlier", "event",
               places=("api",)),
        Filter("started_at_after", "time", "Begun at this time or later (ISO 8601)", "started",
               places=("api",)),
        Filter("started_at_before", "time", "Begun at this time or earlier (ISO 8601)", "started",
               places=("api",)),
        Filter("weekday", "number", "Begun on this day of the week, 0 is Monday; with `event`, its day", "clock",
               bounds=(0, 6), label="Day", words="{}s", shown="weekday"),
        Filter("hour", "number", "Begun in this hour of the day; with `event`, its hour", "clock",
               bounds=(0, 23), label="Hour", words="{}", shown="hour"),
        Filter("tz", "zone", "IANA time zone of `weekday` and `hour`; UTC when left out", "clock",
               places=("api",)),
        # Not asked for by anybody: what figures know of conversations with several sessions (analytics/threads.py).
        Filter("threads", doc="Those that were cut into sessions: which are listed, which are not", ask="threads",
               places=()),
        Filter("include_deleted", doc="Deleted ones too (default false): for a key with the role write, and for "
               "owners", ask="deleted", places=("api",), **flag),
    )  # fmt: skip


def _absent(one: Filter) -> Filter:
    """The filter for what has no value."""
    known = {"true": f"{one.label} unknown", "false": f"{one.label} known"}
    if one.ask == "feedback":
        known = {"true": "Without feedback", "false": "With feedback"}
    return Filter(
        f"{one.name}{ABSENT}",
        "flag",
        f"Without a {one.figure}, or with one",
        one.ask if one.ask == "feedback" else "absent",
        one.of_column,
        "absent" if one.facts else "",
        tuple(f"{alias}{ABSENT}" for alias in one.aliases),
        label=one.label,
        words=known,
    )


def _whole_table() -> Iterator[Filter]:
    for one in _entries():
        yield one
        if one.nullable:
            yield _absent(one)


FILTERS: tuple[Filter, ...] = tuple(_whole_table())
BY_NAME: dict[str, Filter] = {one.name: one for one in FILTERS}
BY_SPELLING: dict[str, Filter] = {name: one for one in FILTERS for name in (*one.aliases, one.name)}
OF_API: tuple[Filter, ...] = tuple(one for one in FILTERS if "api" in one.places)
OF_PAGE: tuple[Filter, ...] = tuple(one for one in FILTERS if "page" in one.places)
OF_FIGURES: tuple[Filter, ...] = tuple(one for one in FILTERS if one.facts)
# What is said of an event: it goes when the event goes.
OF_EVENT: tuple[str, ...] = tuple(one.name for one in FILTERS if one.ask == "event")
# Spellings of before, refused with the one that holds.
RENAMED = {name.replace("event", "happened", 1): name for name in OF_EVENT}


def spellings(entries: Iterable[Filter]) -> frozenset[str]:
    """The parameters of these filters, however they are spelled."""
    return frozenset(name for one in entries for name in (one.name, *one.aliases))


class Filters:
    """Which conversations are meant: values by the names of the table. None leaves a filter out.

    Times are microseconds, both ends included. Each filter is a condition on a conversation, whenever it is met in it;
    `event` and its kin are about one event, all of them about the same one.

    Raises:
        TypeError: there is no such filter, or the store cannot be asked for it.

    Example:
        >>> filters = Filters(event="tool", event_name="check_database", country="hr")
        >>> filters["country"], filters["device"]
        ('HR', None)
    """

    __slots__ = ("_values",)

    def __init__(self, **values: Any) -> None:
        for name in values:
            if name not in BY_NAME or not BY_NAME[name].ask:
                raise TypeError(f"there is no filter {name!r}")
        # In the order of the table, so that the same filters always make the same query.
        self._values = {
            one.name: one.canonical(values[one.name]) for one in FILTERS if values.get(one.name) is not None
        }

    def __getitem__(self, name: str) -> Any:
        """The value of a filter; None where it is left out. A KeyError is a misspelling."""
        return self._values.get(BY_NAME[name].name)

    def __iter__(self) -> Iterator[Filter]:
        """The filters that are on."""
        return (BY_NAME[name] for name in self._values)

    def __repr__(self) -> str:
        return f"Filters({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"

    def without(self, *names: str) -> Filters:
        """The same without some filters."""
        return Filters(**{name: value for name, value in self._values.items() if name not in names})

    def having(self, **values: Any) -> Filters:
        """The same with more."""
        return Filters(**(self._values | values))

    @property
    def looks_into_messages(self) -> bool:
        """Whether what was said has to be read, which takes long."""
        return bool(self["search"] or self["message_contains"])

    @property
    def event_kind(self) -> EventKind | None:
        """What has to be found in a conversation; a time alone is a message's."""
        timed = self["event_after"] is not None or self["event_before"] is not None
        found: EventKind | None = self["event"]
        return found or ("message" if timed else None)

    @property
    def offsets(self) -> zones.Offsets:
        """The clock of the zone over the time that is asked for."""
        zone: ZoneInfo = self["tz"] or zones.find("UTC")
        what = "started_at" if self.event_kind is None else "event"
        after, before = self[f"{what}_after"], self[f"{what}_before"]
        start = min(max(_CLOCK_FROM if after is None else after, _CLOCK_FROM), _CLOCK_TO - 1)
        end = max(min(_CLOCK_TO if before is None else before, _CLOCK_TO), start + 1)
        return zones.offsets(zone, start, end)
