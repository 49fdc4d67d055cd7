"""What it costs: tokens, and money by model."""

from __future__ import annotations

from typing import Any

import msgspec

from agentsight_server.dashboard.analytics import words
from agentsight_server.dashboard.analytics.breakdowns import Others, cut
from agentsight_server.dashboard.analytics.drawing import Spark, spark
from agentsight_server.dashboard.analytics.view import View
from agentsight_server.dashboard.analytics.words import Change
from agentsight_server.dashboard.formats import ABSENT, compact, number
from agentsight_server.domain.locales import localise

NO_MODEL = "Model not said"


class Model(msgspec.Struct):
    """A model's line."""

    name: str
    tokens: str
    exact: str
    cost: str
    width: float
    href: str


class Spending(msgspec.Struct):
    """The card of tokens and cost."""

    total: str
    exact: str
    parts: list[tuple[str, str]]
    change: Change | None
    cost: str
    cost_change: Change | None
    unpriced: str
    models: list[Model]
    others: Others | None
    days: Spark | None


def money(value: float | None) -> str:
    """An amount in US dollars.

    Example:
        >>> money(1234.5), money(0.034), money(0.00002), money(None)
        ('$1,234.50', '$0.034', '< $0.001', '–')
    """
    if value is None:
        return ABSENT
    if value >= 1 or value == 0:
        return localise(f"${value:,.2f}")
    return localise(f"${value:.3f}" if value >= 0.001 else "< $0.001")


def spending(view: View, tokens: dict[str, Any], cost: dict[str, Any]) -> Spending | None:
    """Tokens and cost by model; None where no usage was reported."""
    if tokens["total"] is None:
        return None
    costs = {row["model"]: row for row in cost["by_model"]}
    most = max((row["total"] for row in tokens["by_model"]), default=1) or 1
    models = []
    shown, others = cut({**tokens, "rows": tokens["by_model"]}, "total")
    for row in shown:
        spent = costs.get(row["model"], {"value": None})["value"]
        models.append(
            Model(
                row["model"] or NO_MODEL,
                compact(row["total"]),
                f"{number(row['total'])} tokens: {number(row['prompt'])} prompt, "
                f"{number(row['completion'])} completion, {number(row['embedding'])} embedding",
                "unpriced" if spent is None else money(spent),
                round(row["total"] / most * 100, 2),
                view.events("tokens", row["model"], event_name__isnull=None if row["model"] else "true"),
            )
        )
    parts = [
        (name + _of_it(tokens, within), compact(tokens[name]))
        for name, within in _PARTS.items()
        if tokens[name]
    ]
    left = cost["unpriced_tokens"]
    return Spending(
        total=compact(tokens["total"]),
        exact=f"{number(tokens['total'])} tokens",
        parts=parts,
        change=_change(tokens["total"], tokens.get("previous"), compact),
        cost="unpriced" if cost["value"] is None else money(cost["value"]),
        cost_change=_change(cost["value"], cost.get("previous"), money),
        unpriced=f"{compact(left)} tokens have no known price and are not in it" if left else "",
        models=models,
        others=others,
        days=spark([row["total"] for row in tokens["by_day"]]),
    )


_PARTS: dict[str, dict[str, str]] = {
    "prompt": {"cached": "cached", "input_audio": "audio"},
    "completion": {"reasoning": "reasoning", "output_audio": "audio"},
    "embedding": {},
}


def _of_it(tokens: dict[str, Any], within: dict[str, str]) -> str:
    """What of the tokens was cached, audio or reasoning: " (12k cached)"."""
    told = [f"{compact(tokens[name])} {said}" for name, said in within.items() if tokens[name]]
    return f" ({', '.join(told)})" if told else ""


def _change(now: float | None, past: float | None, show: Any) -> Change | None:
    # More tokens may be more people: a change without praise or blame.
    found = words.change("conversations", now, past)
    if found is not None:
        found.tone = ""
        found.text = found.text.replace("fewer", "less")
        found.before = show(past)
    return found
