"""How figures are put into words: what is good news, and what is bad."""

from __future__ import annotations

import pytest

from agentsight_server.dashboard.analytics import words


@pytest.mark.parametrize(
    ("kind", "now", "past", "text", "tone"),
    [
        ("conversations", 140, 100, "40 % more", "good"),
        ("conversations", 60, 100, "40 % fewer", "bad"),
        ("messages", 60, 100, "40 % fewer", "bad"),
        ("people", 140, 100, "40 % more", "good"),
        # The assistant that takes longer, or hands over more, does worse.
        ("milliseconds", 1_200.0, 1_000.0, "20 % slower", "bad"),
        ("milliseconds", 800.0, 1_000.0, "20 % faster", "good"),
        ("handed", 0.08, 0.05, "3 points more", "bad"),
        ("handed", 0.05, 0.06, "1 point less", "good"),
        ("satisfied", 0.9, 0.8, "10 points better", "good"),
        ("satisfied", 0.8, 0.9, "10 points worse", "bad"),
        # What rounds to nothing is no news.
        ("conversations", 1_001, 1_000, "no change", ""),
        ("handed", 0.05, 0.0501, "no change", ""),
        # A rate has a change from 0, a number has none.
        ("handed", 0.05, 0.0, "5 points more", "bad"),
        ("conversations", 500, 10, "from 10", "good"),
    ],
)
def test_a_change_says_whether_it_is_good(
    kind: words.Kind, now: float, past: float, text: str, tone: str
) -> None:
    change = words.change(kind, now, past)
    assert change is not None
    assert (change.text, change.tone) == (text, tone)


@pytest.mark.parametrize(("now", "past"), [(None, 5.0), (5.0, None), (5.0, 0.0), (None, None)])
def test_without_anything_earlier_there_is_no_change(now: float | None, past: float | None) -> None:
    assert words.change("conversations", now, past) is None
