"""Days and hours on the clocks of the world."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsight_server.domain import zones
from tests.drawing import examples

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
NAMES = [
    "UTC",
    "Europe/Zagreb",
    "Europe/Dublin",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Gaza",
    "Pacific/Apia",
    "Pacific/Kiritimati",
]


def moment(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@given(
    st.sampled_from(NAMES),
    st.dates(date(1975, 1, 1), date(2037, 12, 1)),
    st.integers(1, 400),
    st.data(),
)
@settings(max_examples=examples(150), deadline=None)
def test_the_list_of_offsets_says_what_the_zone_says(
    name: str, first: date, days: int, data: st.DataObject
) -> None:
    zone = zones.find(name)
    start = zones.start_of_day(zone, first)
    end = zones.start_of_day(zone, first + timedelta(days=days))
    at = data.draw(st.integers(start, end - 1) if end > start else st.just(start))
    listed = [offset for since, offset in zones.offsets(zone, start, end) if since <= at][-1]
    local = (EPOCH + timedelta(microseconds=at)).astimezone(zone)
    assert timedelta(microseconds=listed) == local.utcoffset()


@given(st.sampled_from(NAMES), st.dates(date(1975, 1, 1), date(2037, 12, 1)))
@settings(max_examples=examples(300), deadline=None)
def test_a_day_begins_with_its_first_moment(name: str, day: date) -> None:
    zone = zones.find(name)
    start = zones.start_of_day(zone, day)
    on_the_clock = (EPOCH + timedelta(microseconds=start)).astimezone(zone)
    just_before = (EPOCH + timedelta(microseconds=start - 1)).astimezone(zone)
    assert on_the_clock.date() >= day
    assert just_before.date() < day


@pytest.mark.parametrize(
    ("name", "day", "start"),
    [
        ("Europe/Zagreb", date(2026, 8, 1), "2026-07-31T22:00:00+00:00"),
        # Midnight did not exist: the clock went from 24:00 to 01:00.
        ("America/Sao_Paulo", date(2017, 10, 15), "2017-10-15T03:00:00+00:00"),
        # Midnight came twice: the day begins with the first.
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00+00:00"),
        # One minute of the day, then again an hour of the one before.
        ("America/St_Johns", date(2010, 11, 7), "2010-11-07T02:30:00+00:00"),
        # The day was left out.
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00:00+00:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00:00+00:00"),
    ],
)
def test_odd_midnights(name: str, day: date, start: str) -> None:
    assert zones.start_of_day(zones.find(name), day) == moment(start)


def test_half_an_hour_of_summer_time() -> None:
    zone = zones.find("Australia/Lord_Howe")
    start, end = (zones.start_of_day(zone, date(2026, 4, each)) for each in (5, 6))
    hours = [(until - since) / zones.HOUR for since, until, _ in zones.segments(zone, start, end)]
    assert hours == [2, 22.5]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "Europe",
        "../zoneinfo/UTC",
        "/etc/passwd",
        "localtime",
        "a\0b",
        "posix/UTC",
        "x" * 999,
    ],
)
def test_a_name_of_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        zones.find(name)
