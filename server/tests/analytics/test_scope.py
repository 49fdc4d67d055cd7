"""What a request may ask to be counted, and what costs what."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path

import pytest

from agentsight_server.analytics.metrics import METRICS
from agentsight_server.analytics.scope import AppliedFilter, Scope, of_request
from agentsight_server.api.filters import FILTER_NAMES, parse_filters
from agentsight_server.domain import zones
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.filters import OF_FIGURES, Filter
from agentsight_server.reference import pricing
from agentsight_server.security.access import Actor

KEY = Actor(frozenset({7}), "read", 7)
OWNER = Actor(None, "owner")
DOCS = Path(__file__).parents[3] / "docs"
NOW = int(datetime(2026, 8, 31, 23, 30, tzinfo=timezone.utc).timestamp() * 1_000_000)


def test_left_to_itself_it_is_the_last_thirty_days_of_the_viewers_clock() -> None:
    scope = of_request({}, KEY, now=NOW)
    assert (scope.agents, scope.environment, scope.filters) == ((7,), "production", ())
    assert (scope.first, scope.last) == (date(2026, 8, 2), date(2026, 8, 31))
    scope = of_request({"tz": "Europe/Zagreb"}, KEY, now=NOW)
    assert scope.last == date(2026, 9, 1)


def test_one_end_of_the_period_is_enough() -> None:
    assert of_request({"to": "2026-01-31"}, KEY, now=NOW).first == date(2026, 1, 2)
    scope = of_request({"from": "2026-08-30"}, KEY, now=NOW)
    assert (scope.first, scope.last) == (date(2026, 8, 30), date(2026, 8, 31))
    scope = of_request({"from": "2026-12-24"}, KEY, now=NOW)
    assert (scope.first, scope.last) == (date(2026, 12, 24), date(2026, 12, 24))


def test_the_period_is_half_open_and_on_the_viewers_clock() -> None:
    scope = Scope((1,), date(2026, 3, 29), date(2026, 3, 29), zones.find("Europe/Zagreb"))
    assert scope.end - scope.start == 23 * zones.HOUR
    assert scope.previous().end == scope.start


def test_a_year_before_has_as_many_days() -> None:
    scope = Scope((1,), date(2024, 2, 29), date(2024, 3, 29))
    before = scope.year_before()
    assert (before.first, before.days) == (date(2023, 2, 28), scope.days)


def test_people_name_the_agent_and_see_only_theirs() -> None:
    with pytest.raises(Invalid, match="agent"):
        of_request({}, OWNER)
    assert of_request({"agent": "3"}, OWNER).agents == (3,)
    with pytest.raises(RequestError) as refused:
        of_request({"agent": "3"}, Actor(frozenset({1}), "viewer"))
    assert refused.value.status == 404


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        of_request({"tz": "x", "from": "y", "device": "z", "agent": ""}, KEY)
    assert set(refused.value.errors) == {"tz", "from", "device"}


def test_unknown_is_a_value_like_any_other() -> None:
    scope = of_request({"device__isnull": "true", "customer_id__isnull": "false", "country": "hr"}, KEY)
    assert set(scope.filters) == {
        AppliedFilter("device", None),
        AppliedFilter("customer", True),
        AppliedFilter("country", "HR"),
    }
    assert scope.applied() == {"device": None, "customer__isnull": False, "country": "HR"}


SAMPLES = {
    "choice": lambda one: one.choices[0],
    "flag": lambda one: "true",
    "metadata": lambda one: "a:b,c:d",
}


@pytest.mark.parametrize("one", OF_FIGURES, ids=lambda one: one.name)
@pytest.mark.parametrize("spelling", ["name", "figure"])
def test_the_list_takes_every_filter_of_a_scope(one: Filter, spelling: str) -> None:
    """Under either of its names; what comes back from the list's parameters is the same filter."""
    text = SAMPLES.get(one.kind, lambda _: "x")(one)
    scope = of_request({getattr(one, spelling): text}, KEY)
    listed = scope.listed()
    assert set(listed) <= FILTER_NAMES
    filters = parse_filters(listed)
    assert filters["is_used"] is True
    assert filters[one.name] == one.value(text)
    assert of_request({name: listed[name] for name in (one.name,)}, KEY).filters == scope.filters


def test_every_figure_is_in_the_docs() -> None:
    text = (DOCS / "metrics.md").read_text()
    for name, metric in METRICS.items():
        assert f"`{name}`" in text, name
        assert metric.label
        assert metric.formula.endswith(".")


def day(text: str) -> int:
    return zones.day_number(date.fromisoformat(text))


def test_prices_are_those_of_the_model_and_its_day() -> None:
    found = pricing.price("gpt-4o", day("2026-08-01"))
    assert found is not None
    assert (found.prompt * 1_000_000, found.completion * 1_000_000) == (2.5, 10)
    assert pricing.price("openai/gpt-4o", day("2026-08-01")) == found
    assert pricing.price("GPT-4o", day("2026-08-01")) == found


def test_kinds_of_tokens_have_prices_of_their_own_where_there_are_such() -> None:
    def per_million(model: str) -> list[float]:
        found = pricing.price(model, day("2026-08-01"))
        assert found is not None
        return [float(each * 1_000_000) for each in found]

    # prompt, completion, cached, cache-writing, input audio, reasoning, output audio
    assert per_million("claude-3-5-haiku-latest") == [0.8, 4, 0.08, 1, 0.8, 4, 4]
    assert per_million("gpt-realtime") == [4, 16, 0.4, 4, 32, 16, 64]


@pytest.mark.parametrize(
    "model", [None, "", "  ", "homemade-7b", "openai/homemade", "/", "gpt-4o/" * 50, "日本"]
)
def test_a_model_without_a_known_price_has_none(model: str | None) -> None:
    assert pricing.price(model, day("2026-08-01")) is None
