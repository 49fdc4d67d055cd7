"""The register of figures: what each is called, what it means, in which unit, how it is drawn, how it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from agentsight_server.analytics import breakdowns, figures, outcomes, series, spending
from agentsight_server.analytics.query import MetricContext

Drawn = Literal["number", "rate", "line", "heatmap", "map", "bars", "table", "funnel"]


@dataclass(frozen=True)
class Metric:
    """A figure.

    Attributes:
        name: what the API calls it.
        label: what the client calls it.
        formula: its meaning in one line.
        unit: "conversations", "messages", "people", "milliseconds", "share", "tokens", "USD" ...
        drawn: how a page shows it.
        find: the definition.
        headline: the value that is set against another period; None: it is not.
        better: whether more of it is better ("more"), less ("less"), or neither ("").
        exact: how close it is to the definition; every figure here is exact but the cost, which knows list prices.
    """

    name: str
    label: str
    formula: str
    unit: str
    drawn: Drawn
    find: Callable[[MetricContext], dict[str, Any]]
    headline: str | None = None
    better: Literal["more", "less", ""] = ""
    exact: str = "exact"


_ALL = (
    Metric(
        "conversations",
        "Conversations",
        "Conversations that people took part in and that began in the period.",
        "conversations",
        "number",
        figures.conversations,
        "value",
        "more",
    ),
    Metric(
        "messages",
        "Messages",
        "Messages sent by people and by the assistant; lines for tools and clicked buttons are not messages.",
        "messages",
        "number",
        figures.messages,
        "value",
        "more",
    ),
    Metric(
        "users",
        "People",
        "Different customer ids among the conversations; those without one are named beside it.",
        "people",
        "number",
        figures.users,
        "value",
        "more",
    ),
    Metric(
        "response_time",
        "Answer time",
        "Time from a person's message to the assistant's message right after it: mean, median, 95th percentile.",
        "milliseconds",
        "number",
        figures.response_time,
        "mean_ms",
        "less",
    ),
    Metric(
        "duration",
        "Length of a conversation",
        "From beginning to last item, of conversations with at least two messages: mean and median.",
        "milliseconds",
        "number",
        figures.duration,
        "mean_ms",
    ),
    Metric(
        "messages_per_conversation",
        "Messages per conversation",
        "All messages of the conversations / conversations.",
        "messages",
        "number",
        figures.messages_per_conversation,
        "value",
    ),
    Metric(
        "over_time",
        "Messages and conversations over time",
        "Messages by their own time, conversations by their beginning; nothing is shown as zero.",
        "messages, conversations",
        "line",
        series.over_time,
    ),
    Metric(
        "peak_hours",
        "Peak hours",
        "Messages, and conversations begun, by weekday and hour on the clock of the chosen time zone.",
        "messages, conversations",
        "heatmap",
        series.peak_hours,
    ),
    Metric(
        "countries",
        "Countries",
        "Conversations by country of the person's network address.",
        "conversations",
        "map",
        breakdowns.by("country"),
    ),
    Metric(
        "devices",
        "Devices",
        "Conversations by kind of device.",
        "conversations",
        "bars",
        breakdowns.by("device"),
    ),
    Metric(
        "sources",
        "Channels",
        "Conversations by where they took place.",
        "conversations",
        "bars",
        breakdowns.by("source"),
    ),
    Metric(
        "languages",
        "Languages",
        "Conversations by language; English of any country counts as English.",
        "conversations",
        "bars",
        breakdowns.languages,
    ),
    Metric(
        "tools",
        "Tools",
        "Runs of each tool, those that ended with an error, and how long they took.",
        "runs",
        "table",
        breakdowns.tools,
    ),
    Metric(
        "buttons",
        "Buttons",
        "Clicks by event and button, and each button's share of the event's clicks.",
        "clicks",
        "bars",
        breakdowns.buttons,
    ),
    Metric(
        "escalation_rate",
        "Handed to a human",
        "Conversations with at least one action that hands over to a human / conversations.",
        "share",
        "rate",
        figures.escalation_rate,
        "value",
        "less",
    ),
    Metric(
        "feedback",
        "Satisfaction",
        "Positive / (positive + negative) of what customers said; beside it, the share of conversations rated.",
        "share",
        "rate",
        figures.feedback,
        "satisfaction",
        "more",
    ),
    Metric(
        "interactions",
        "Taken up",
        "Conversations that were offered and that people took up / conversations offered.",
        "share",
        "funnel",
        figures.interactions,
        "value",
        "more",
    ),
    Metric(
        "outreach",
        "Reached out",
        "Conversations that the assistant began with nobody waiting for an answer, and those that people answered.",
        "conversations",
        "number",
        figures.outreach,
    ),
    Metric(
        "returning_users",
        "Returning people",
        "People of the period who had a conversation before it / people of the period.",
        "share",
        "rate",
        figures.returning_users,
        "value",
        "more",
    ),
    Metric(
        "unanswered",
        "Unanswered",
        "Conversations whose last message is the person's.",
        "conversations",
        "number",
        figures.unanswered,
        "value",
        "less",
    ),
    Metric(
        "tokens",
        "Tokens",
        "Prompt, completion, embedding and total tokens that the assistant reported, and what of them was cached, "
        "audio or reasoning, by model and by day.",
        "tokens",
        "table",
        spending.tokens,
        "total",
    ),
    Metric(
        "cost",
        "Cost",
        "Tokens at the list price of their model on their day; models without a known price are named, not counted.",
        "USD",
        "table",
        spending.cost,
        "value",
        "less",
        "list prices: without discounts or steps by the length of a request",
    ),
    Metric(
        "outcomes",
        "What became of them",
        "Conversations by outcome: handed over, confirmed or assumed to be resolved, unhappy, unanswered, pending, and "
        "those that are still open.",
        "conversations",
        "bars",
        outcomes.outcomes,
    ),
    Metric(
        "resolution",
        "Resolved",
        "Confirmed by the customer, or assumed since nothing speaks against it / conversations that are over.",
        "share",
        "rate",
        outcomes.resolution,
        "value",
        "more",
    ),
    Metric(
        "containment",
        "Without a human",
        "Conversations that were not handed over / conversations; beside it, those left without help: unhappy or "
        "unanswered / conversations that are over.",
        "share",
        "rate",
        outcomes.containment,
        "value",
        "more",
    ),
    Metric(
        "durable_resolution",
        "Resolved for good",
        "Resolved, and the same customer did not come back within 24 hours, 3 days and 7 days / resolved ones that are "
        "that old.",
        "share",
        "table",
        outcomes.durable_resolution,
    ),
    Metric(
        "recontact",
        "Contacted again",
        "Conversations that begin within 3 days after an earlier one of the same customer / conversations with a "
        "customer id.",
        "share",
        "rate",
        outcomes.recontact,
        "value",
        "less",
    ),
    Metric(
        "drop_off",
        "Where they end",
        "Conversations that are over, by how many messages the customer sent, and what became of those that ended "
        "there.",
        "conversations",
        "bars",
        outcomes.drop_off,
    ),
    Metric(
        "after_hours",
        "Outside opening hours",
        "Conversations that begin outside the opening hours / conversations; absent until there are opening hours.",
        "share",
        "rate",
        outcomes.after_hours,
        "value",
    ),
    Metric(
        "sla",
        "Answered in time",
        "Questions that were answered within the agent's time / questions that are that old; one that was never "
        "answered is a miss.",
        "share",
        "rate",
        outcomes.sla,
        "value",
        "more",
    ),
    Metric(
        "hours_saved",
        "Hours saved",
        "Resolved conversations x the minutes that a person would take for one / 60; absent until that is set.",
        "hours",
        "number",
        outcomes.hours_saved,
        "value",
        "more",
    ),
    Metric(
        "cost_per_resolved",
        "Cost per resolved conversation",
        "Tokens at list price and the agent's fixed monthly cost by days / resolved conversations.",
        "USD",
        "number",
        outcomes.cost_per_resolved,
        "value",
        "less",
        "list prices: without discounts or steps by the length of a request",
    ),
)
METRICS = {each.name: each for each in _ALL}
