"""The form of answers, for the API's documentation; tests hold every answer against it."""

from __future__ import annotations

from typing import Any

import msgspec


class _Shape(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Days(_Shape):
    """Days, both included."""

    from_: str = msgspec.field(name="from")
    to: str


class ScopeOut(_Shape):
    """What was counted; among the filters null stands for unknown."""

    from_: str = msgspec.field(name="from")
    to: str
    tz: str
    environment: str
    filters: dict[str, Any]
    agent: int | None = None
    agents: list[int] | None = None
    compared_with: Days | None = None


class Count(_Shape):
    """How many; with `compare`, how many before, and by what share that has changed (0.1 is 10 % more)."""

    value: int
    previous: int | None = None
    change: float | None = None


class Conversations(Count):
    """Conversations, and in how many threads (one `conversation_id` each) they lie."""

    threads: int = 0


class Outreach(_Shape):
    """Conversations that the agent began with nobody waiting, and those of them in which somebody answered."""

    sessions: int
    engaged: int


class Rate(_Shape):
    """A share with what it is made of; null over nothing."""

    value: float | None
    numerator: int
    denominator: int
    previous: float | None = None
    change: float | None = None


class Users(Count):
    """People, and beside them the conversations without a customer id."""

    anonymous_conversations: int = 0


class ResponseTime(_Shape):
    """Answer time; `previous` and `change` are of the mean."""

    mean_ms: float | None
    median_ms: float | None
    p95_ms: float | None
    count: int
    previous: float | None = None
    change: float | None = None


class Duration(_Shape):
    """Length of conversations; `previous` and `change` are of the mean."""

    mean_ms: float | None
    median_ms: float | None
    count: int
    previous: float | None = None
    change: float | None = None


class FeedbackFigures(_Shape):
    """What customers said; `previous` and `change` are of the satisfaction."""

    positive: int
    neutral: int
    negative: int
    satisfaction: float | None
    response_rate: Rate
    previous: float | None = None
    change: float | None = None


class Interactions(Rate):
    """Offered conversations, and those that people took up."""

    offered: int = 0
    engaged: int = 0


class Unanswered(Count):
    """Conversations that end with a person's message."""

    share: Rate = msgspec.field(default_factory=lambda: Rate(None, 0, 0))


class ModelTokens(_Shape):
    """Tokens of a model; null: not said which."""

    model: str | None
    prompt: int
    completion: int
    embedding: int
    total: int
    cached: int
    cache_write: int
    input_audio: int
    reasoning: int
    output_audio: int


class DayTokens(_Shape):
    """Tokens of a day."""

    start: str
    prompt: int
    completion: int
    embedding: int
    total: int
    cached: int
    cache_write: int
    input_audio: int
    reasoning: int
    output_audio: int


class Tokens(_Shape):
    """Tokens that were reported; null when none were. `previous` and `change` are of the total.

    `cached`, `cache_write` and `input_audio` are parts of `prompt`, `reasoning` and `output_audio` of `completion`.
    """

    prompt: int | None
    completion: int | None
    embedding: int | None
    total: int | None
    cached: int | None
    cache_write: int | None
    input_audio: int | None
    reasoning: int | None
    output_audio: int | None
    by_model: list[ModelTokens]
    by_day: list[DayTokens]
    others: Others | msgspec.UnsetType = msgspec.UNSET
    previous: int | None = None
    change: float | None = None


class ModelCost(_Shape):
    """What a model cost; null: its price is not known."""

    model: str | None
    value: float | None
    unpriced_tokens: int


class Cost(_Shape):
    """At list prices, as far as they are known."""

    value: float | None
    currency: str
    unpriced_tokens: int
    by_model: list[ModelCost]
    others: Others | msgspec.UnsetType = msgspec.UNSET
    previous: float | None = None
    change: float | None = None


class Point(_Shape):
    """A day, week or month by its first day within the period, an hour by its beginning with its offset."""

    start: str
    messages: int
    conversations: int


class OverTime(_Shape):
    """Every hour, day, week or month of the period; with `compare` also of the other one."""

    unit: str
    rows: list[Point]
    previous: list[Point] | None = None


class Cell(_Shape):
    """An hour of the week; Monday is 0."""

    weekday: int
    hour: int
    messages: int
    conversations: int


class Cells(_Shape):
    """Hours of the week in which something happened."""

    rows: list[Cell]


class Others(_Shape, omit_defaults=True):
    """Values that are not listed, because a breakdown lists at most 1,000: how many, and their sum."""

    values: int
    conversations: int | msgspec.UnsetType = msgspec.UNSET
    runs: int | msgspec.UnsetType = msgspec.UNSET
    errors: int | msgspec.UnsetType = msgspec.UNSET
    clicks: int | msgspec.UnsetType = msgspec.UNSET
    events: list[EventOthers] | msgspec.UnsetType = msgspec.UNSET
    total: int | msgspec.UnsetType = msgspec.UNSET
    value: float | msgspec.UnsetType = msgspec.UNSET
    unpriced_tokens: int | msgspec.UnsetType = msgspec.UNSET


class EventOthers(_Shape):
    """Labels of an event that are not listed: at most 100 are."""

    button_event: str
    values: int
    clicks: int


class Value(_Shape):
    """Conversations with a value; null: unknown."""

    value: str | None
    conversations: int


class Values(_Shape):
    """The most frequent first, unknown last."""

    rows: list[Value]
    others: Others | msgspec.UnsetType = msgspec.UNSET


class Language(Value):
    """Conversations in a language, with its variants."""

    detail: list[Value] = []


class Languages(_Shape):
    """The most frequent first, unknown last."""

    rows: list[Language]
    others: Others | msgspec.UnsetType = msgspec.UNSET


class Tool(_Shape):
    """Runs of a tool; times of the runs that gave one."""

    action_name: str
    runs: int
    errors: int
    error_rate: float | None
    mean_ms: float | None
    median_ms: float | None
    p95_ms: float | None


class Tools(_Shape):
    """The most used first."""

    rows: list[Tool]
    others: Others | msgspec.UnsetType = msgspec.UNSET


class ButtonClicks(_Shape):
    """Clicks on a button, and its share of the event's clicks."""

    button_event: str
    label: str
    clicks: int
    share: float


class Buttons(_Shape):
    """The most used event first, within an event the most clicked label."""

    rows: list[ButtonClicks]
    others: Others | msgspec.UnsetType = msgspec.UNSET


class Outcomes(_Shape):
    """Conversations by what became of them; together they are all conversations."""

    open: int
    escalated: int
    confirmed: int
    unhappy: int
    unanswered: int
    pending: int
    assumed: int


class Resolution(Rate):
    """Resolved of those that are over, in its two parts; `open` are not over yet."""

    confirmed: int = 0
    assumed: int = 0
    open: int = 0


class Containment(Rate):
    """Conversations without a human, and beside it those that were left without help."""

    left_without_help: Rate | None = None


class DurableResolution(_Shape):
    """By hours: resolved conversations after which the customer did not come back within that time."""

    hours: dict[str, Rate]


class Step(_Shape):
    """Of the conversations that are over: those with so many messages of the customer or more (100 stands for more),
    and what became of those that ended there."""

    messages: int
    reached: int
    ended: dict[str, int]


class DropOff(_Shape):
    """Step by step."""

    rows: list[Step]


class Sla(Rate):
    """Questions answered in time; `seconds` is the agent's time, null where agents differ."""

    seconds: int | None = None


class HoursSaved(_Shape):
    """Hours, and the minutes a case that they rest on; null while these are not set, or differ."""

    value: float | None
    minutes: float | None = None
    previous: float | None = None
    change: float | None = None


class CostPerResolved(_Shape):
    """US dollars; `at_least` while tokens are unpriced."""

    value: float | None
    at_least: bool = False
    previous: float | None = None
    change: float | None = None


class Metrics(_Shape):
    """The figures that were asked for."""

    conversations: Conversations | None = None
    messages: Count | None = None
    users: Users | None = None
    response_time: ResponseTime | None = None
    duration: Duration | None = None
    messages_per_conversation: Rate | None = None
    over_time: OverTime | None = None
    peak_hours: Cells | None = None
    countries: Values | None = None
    devices: Values | None = None
    sources: Values | None = None
    languages: Languages | None = None
    tools: Tools | None = None
    buttons: Buttons | None = None
    escalation_rate: Rate | None = None
    feedback: FeedbackFigures | None = None
    interactions: Interactions | None = None
    returning_users: Rate | None = None
    outreach: Outreach | None = None
    unanswered: Unanswered | None = None
    tokens: Tokens | None = None
    cost: Cost | None = None
    outcomes: Outcomes | None = None
    resolution: Resolution | None = None
    containment: Containment | None = None
    durable_resolution: DurableResolution | None = None
    recontact: Rate | None = None
    drop_off: DropOff | None = None
    after_hours: Rate | None = None
    sla: Sla | None = None
    hours_saved: HoursSaved | None = None
    cost_per_resolved: CostPerResolved | None = None


class Answer(_Shape):
    """Figures of one moment. `behind` is there when the newest changes were not in them yet."""

    scope: ScopeOut
    metrics: Metrics
    behind: bool = False
