"""What tokens cost: list prices by model and date, from the tables that genai-prices carries.

Nothing is fetched: a newer release of the package brings newer prices.
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

CURRENCY = "USD"


class Price(NamedTuple):
    """What one token costs, in CURRENCY. A kind for which the model has no price of its own costs what prompt or
    completion does."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal
    cache_write: Decimal
    input_audio: Decimal
    reasoning: Decimal
    output_audio: Decimal


@lru_cache(maxsize=8192)
def price(model: str | None, day: int) -> Price | None:
    """The list price of a model on a day; None where none is known.

    Args:
        model: the name that the bot gave, also with its provider before a slash (`openai/gpt-4o`).
        day: days since 1970-01-01 UTC.

    Prices that rise with the length of a request are taken at their first step, prices that change with the hour
    as at noon UTC: tokens are often reported as a sum over several requests.

    Example:
        >>> price("gpt-4o", 20_000).prompt
        Decimal('0.0000025')
    """
    if not model:
        return None
    noon = datetime.fromtimestamp(day * 86_400 + 43_200, timezone.utc)
    provider, slash, name = model.partition("/")
    for reference, by in (
        ((model, None), (name, provider.lower()), (name, None)) if slash else ((model, None),)
    ):
        found = _look_up(reference.strip(), by, noon)
        if found is not None:
            return found
    return None


def _look_up(model: str, provider: str | None, when: datetime) -> Price | None:
    # Loaded on first use: the tables take a tenth of a second and some megabytes.
    from genai_prices import Usage
    from genai_prices.data_snapshot import get_snapshot

    # One token of each: the price is linear from there on, within its first step.
    def of_one(direction: str, kind: str | None = None) -> Decimal:
        usage = Usage(**{f"{direction}_tokens": 1} | ({} if kind is None else {kind: 1}))
        priced = get_snapshot().calc(usage, model, provider, None, when)
        return priced.input_price if direction == "input" else priced.output_price

    try:
        return Price(
            of_one("input"),
            of_one("output"),
            of_one("input", "cache_read_tokens"),
            of_one("input", "cache_write_tokens"),
            of_one("input", "input_audio_tokens"),
            of_one("output", "output_reasoning_tokens"),
            of_one("output", "output_audio_tokens"),
        )
    except (LookupError, ValueError):
        return None
