"""Tokens, and what they cost."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from agentsight_server.analytics.breakdowns import MOST, others
from agentsight_server.analytics.query import MetricContext
from agentsight_server.analytics.series import within
from agentsight_server.domain import zones
from agentsight_server.reference import pricing

_KINDS = (
    "prompt", "completion", "embedding", "total", "cached", "cache_write", "input_audio", "reasoning", "output_audio",
)  # fmt: skip
# What is priced apart, within prompt and completion. Audio that was read from the cache is priced as cached; audio
# that was reasoning cannot be told, and is audio.
_AUDIO = "least(input_audio, prompt - cached - cache_write)"
_REASONING = "least(reasoning, completion - output_audio)"
_PRICED = {
    "prompt": f"prompt - cached - cache_write - {_AUDIO}",
    "completion": f"completion - output_audio - {_REASONING}",
    "cached": "cached",
    "cache_write": "cache_write",
    "input_audio": _AUDIO,
    "reasoning": _REASONING,
    "output_audio": "output_audio",
}


def tokens(context: MetricContext) -> dict[str, Any]:
    """Absent where no usage was reported: that is not the same as none used."""
    q = context.query()
    named = ", ".join(f"sum({kind}) AS {kind}" for kind in _KINDS)
    sums = ", ".join(f"sum({kind}) OVER ()" for kind in _KINDS)
    by_models = f"SELECT model, {named} FROM usage WHERE {q.happened} GROUP BY model"  # noqa: S608
    rows = q.rows(
        f"SELECT *, {sums}, count(*) OVER () FROM ({by_models}) "  # noqa: S608
        f"ORDER BY model IS NULL DESC, total DESC, model LIMIT {MOST}"
    )
    kinds = len(_KINDS)
    by_model = [
        {"model": model, **dict(zip(_KINDS, map(int, counts[:kinds]), strict=True))}
        for model, *counts in rows
    ]
    by_model.sort(key=lambda row: (row["model"] is None, -row["total"], row["model"] or ""))
    totals: dict[str, int | None] = dict.fromkeys(_KINDS)
    left: dict[str, Any] = {}
    if rows:
        totals = dict(zip(_KINDS, map(int, rows[0][1 + kinds : 1 + 2 * kinds]), strict=True))
        rest = (totals["total"] or 0) - sum(row["total"] for row in by_model)
        left = others(int(rows[0][-1]) - len(rows), total=rest)
    return {**totals, "by_model": by_model, "by_day": _by_day(context) if rows else [], **left}


def _by_day(context: MetricContext) -> list[dict[str, Any]]:
    q = context.query()
    sums = ", ".join(f"sum({kind})" for kind in _KINDS)
    rows = q.rows(f"SELECT {q.day('moment')} AS day, {sums} FROM usage WHERE {q.happened} GROUP BY day")  # noqa: S608
    counts = {
        kind: within(context.scope, [(row[0], row[place]) for row in rows])
        for place, kind in enumerate(_KINDS, start=1)
    }
    first, last = zones.day_number(context.scope.first), zones.day_number(context.scope.last)
    return [
        {"start": zones.day_of(day).isoformat(), **{kind: counts[kind][day] for kind in _KINDS}}
        for day in range(first, last + 1)
    ]


def cost(context: MetricContext) -> dict[str, Any]:
    """At list prices. What has no price is counted in tokens, never as 0.

    Prompt and completion tokens are priced by the model's price of the day, their parts (cached, audio, reasoning) by
    its price for these where it has one. Embedding tokens go by another model's
    price, which only a report of nothing but embedding tokens names; others have no price, nor have tokens that are
    only known as a total.
    """
    q = context.query()
    day = q.functions.divide("moment", zones.DAY)
    rows = q.rows(
        f"SELECT model, {day} AS day, prompt = 0 AND completion = 0 AS only_embedding, "  # noqa: S608
        f"{', '.join(f'sum({tokens})' for tokens in _PRICED.values())}, sum(embedding), "
        "sum(CASE WHEN total > prompt + completion + embedding "
        "THEN total - prompt - completion - embedding ELSE 0 END) "
        f"FROM usage WHERE {q.happened} GROUP BY model, day, only_embedding"
    )
    spent: dict[str | None, Decimal] = {}
    unpriced: dict[str | None, int] = defaultdict(int)
    for model, number, only_embedding, *counts in rows:
        *parts, embedding, rest = map(int, counts)
        price = pricing.price(model, number)
        unpriced[model] += rest
        if price is None:
            unpriced[model] += sum(parts) + embedding
            continue
        amount = sum((count * each for count, each in zip(parts, price, strict=True)), Decimal())
        if only_embedding:
            amount += embedding * price.prompt
        else:
            unpriced[model] += embedding
        spent[model] = spent.get(model, Decimal()) + amount
    by_model: list[dict[str, Any]] = [
        {
            "model": model,
            "value": float(spent[model]) if model in spent else None,
            "unpriced_tokens": left,
        }
        for model, left in unpriced.items()
    ]
    by_model.sort(key=lambda row: (row["value"] is None, -(row["value"] or 0.0), row["model"] or ""))
    listed, further = by_model[:MOST], by_model[MOST:]
    left = others(
        len(further),
        value=float(sum(row["value"] or 0.0 for row in further)),
        unpriced_tokens=sum(row["unpriced_tokens"] for row in further),
    )
    return {
        "value": float(sum(spent.values(), Decimal())) if spent else None,
        "currency": pricing.CURRENCY,
        "unpriced_tokens": sum(unpriced.values()),
        "by_model": listed,
        **left,
    }
