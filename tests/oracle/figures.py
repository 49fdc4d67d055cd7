"""Each figure, one plain function of the records and the question."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.records import Item, Record, Session, sessions

ESCALATIONS = {"fallback_to_human", "open_ticket", "ticket", "contact_human"}
# Dollars per million tokens as the tests' models cost; the others have no price.
PRICES = {
    "gpt-4o-mini": {"prompt": 0.15, "completion": 0.6, "cached": 0.075},
    "claude-3-5-haiku-latest": {"prompt": 0.8, "completion": 4.0, "cached": 0.08, "cache_write": 1.0},
    "gpt-realtime": {
        "prompt": 4.0, "completion": 16.0, "cached": 0.4, "input_audio": 32.0, "output_audio": 64.0,
    },
}  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Question:
    """What is asked: a scope, in the oracle's own words. `pauses` None: whole conversations are counted."""

    first: date
    last: date
    zone: ZoneInfo
    production: bool = True
    passes: Callable[[Session], bool] = lambda session: True
    escalations: set[str] = field(default_factory=lambda: set(ESCALATIONS))
    pauses: Mapping[str, int] | None = None

    def local(self, at: int) -> datetime:
        return local(at, self.zone)

    def within(self, at: int) -> bool:
        return self.first <= self.local(at).date() <= self.last

    def before(self, at: int) -> bool:
        return self.local(at).date() < self.first

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=each) for each in range((self.last - self.first).days + 1)]


class Oracle:
    """Answers a question about records, metric by metric."""

    def __init__(self, records: Iterable[Record], question: Question) -> None:
        self.question = question
        self.everyone = [
            session
            for each in records
            if not each.deleted and each.production == question.production
            for session in sessions(each, question.pauses)
        ]
        passing = [each for each in self.everyone if question.passes(each)]
        self.begun = [each for each in passing if question.within(each.began)]
        # Those whose messages, actions, clicks, tokens and feedback count, each at its own time.
        self.counted = [each for each in passing if each.counted]
        self.engaged = [each for each in self.begun if each.engaged]

    def answer(self, name: str) -> dict[str, Any]:
        result: dict[str, Any] = getattr(self, name)()
        return result

    def happened(self, *kinds: str) -> list[Item]:
        return [
            item
            for session in self.counted
            for item in session.items
            if item.kind in kinds and self.question.within(item.at)
        ]

    def said(self) -> list[Item]:
        return [item for each in self.counted for item in each.messages if self.question.within(item.at)]

    def conversations(self) -> dict[str, Any]:
        threads = {id(each.record) for each in self.engaged}
        return {"value": len(self.engaged)} | (
            {} if self.question.pauses is None else {"threads": len(threads)}
        )

    def outreach(self) -> dict[str, Any]:
        reached = [each for each in self.begun if each.rule == "b"]
        return {"sessions": len(reached), "engaged": sum(each.engaged for each in reached)}

    def messages(self) -> dict[str, Any]:
        return {"value": len(self.said())}

    def users(self) -> dict[str, Any]:
        named = [each.customer for each in self.engaged if each.customer is not None]
        return {"value": len(set(named)), "anonymous_conversations": len(self.engaged) - len(named)}

    def response_time(self) -> dict[str, Any]:
        waits = []
        for session in self.counted:
            for before, item in itertools.pairwise(session.messages):
                if (before.sender, item.sender) == ("end_user", "agent") and self.question.within(item.at):
                    waits.append((item.at - before.at) / 1000)
        return {
            "mean_ms": mean(waits),
            "median_ms": quantile(waits, 0.5),
            "p95_ms": quantile(waits, 0.95),
            "count": len(waits),
        }

    def duration(self) -> dict[str, Any]:
        lengths = [(each.ended_at - each.began) / 1000 for each in self.engaged if len(each.messages) >= 2]
        return {"mean_ms": mean(lengths), "median_ms": quantile(lengths, 0.5), "count": len(lengths)}

    def messages_per_conversation(self) -> dict[str, Any]:
        return rate(sum(len(each.messages) for each in self.engaged), len(self.engaged))

    def over_time(self) -> dict[str, Any]:
        said = [self.question.local(item.at) for item in self.said()]
        begun = [self.question.local(each.began) for each in self.engaged]
        length = len(self.question.days)
        if length <= 2:
            return {"unit": "hour", "rows": self._by_hour(said, begun)}
        unit = "day" if length <= 93 else "week" if length <= 731 else "month"
        starts: dict[date, date] = {}
        for day in self.question.days:
            opening = {
                "day": day,
                "week": day - timedelta(days=day.weekday()),
                "month": day.replace(day=1),
            }[unit]
            starts[day] = max(opening, self.question.first)
        messages = Counter(starts[moment.date()] for moment in said)
        conversations = Counter(starts[moment.date()] for moment in begun)
        return {
            "unit": unit,
            "rows": [
                {
                    "start": start.isoformat(),
                    "messages": messages[start],
                    "conversations": conversations[start],
                }
                for start in dict.fromkeys(starts.values())
            ],
        }

    def _by_hour(self, said: list[datetime], begun: list[datetime]) -> list[dict[str, Any]]:
        """Every hour that the clock shows during the period, found by looking at it every quarter of an hour."""
        shown: dict[str, None] = {}
        moment = datetime.combine(self.question.first - timedelta(days=2), datetime.min.time(), timezone.utc)
        until = datetime.combine(self.question.last + timedelta(days=3), datetime.min.time(), timezone.utc)
        while moment < until:
            local = moment.astimezone(self.question.zone)
            if self.question.first <= local.date() <= self.question.last:
                shown[hour_of(local)] = None
            moment += timedelta(minutes=15)
        messages, conversations = Counter(map(hour_of, said)), Counter(map(hour_of, begun))
        return [
            {"start": hour, "messages": messages[hour], "conversations": conversations[hour]}
            for hour in shown
        ]

    def peak_hours(self) -> dict[str, Any]:
        cells: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
        for item in self.said():
            moment = self.question.local(item.at)
            cells[moment.weekday(), moment.hour][0] += 1
        for session in self.engaged:
            moment = self.question.local(session.began)
            cells[moment.weekday(), moment.hour][1] += 1
        return {
            "rows": [
                {"weekday": day, "hour": hour, "messages": counts[0], "conversations": counts[1]}
                for (day, hour), counts in sorted(cells.items())
            ]
        }

    def _by(self, values: Iterable[str | None]) -> dict[str, Any]:
        counts = Counter(values)
        rows = [{"value": value, "conversations": count} for value, count in counts.items()]
        rows.sort(key=lambda row: (row["value"] is None, -row["conversations"], row["value"] or ""))
        return {"rows": rows}

    def countries(self) -> dict[str, Any]:
        return self._by(each.record.country for each in self.engaged)

    def devices(self) -> dict[str, Any]:
        return self._by(each.record.device for each in self.engaged)

    def sources(self) -> dict[str, Any]:
        return self._by(each.record.source for each in self.engaged)

    def languages(self) -> dict[str, Any]:
        answer = self._by(subtag(each.record.language) for each in self.engaged)
        for row in answer["rows"]:
            row["detail"] = []
            if row["value"] is not None:
                tags = [
                    each.record.language
                    for each in self.engaged
                    if subtag(each.record.language) == row["value"]
                ]
                row["detail"] = self._by(tags)["rows"]
        return answer

    def tools(self) -> dict[str, Any]:
        runs: dict[str, list[Item]] = defaultdict(list)
        for item in self.happened("action"):
            runs[item.name].append(item)
        rows = []
        for name, items in runs.items():
            times = [float(item.duration_ms) for item in items if item.duration_ms is not None]
            errors = sum(item.failed for item in items)
            rows.append(
                {
                    "action_name": name,
                    "runs": len(items),
                    "errors": errors,
                    "error_rate": errors / len(items),
                    "mean_ms": mean(times),
                    "median_ms": quantile(times, 0.5),
                    "p95_ms": quantile(times, 0.95),
                }
            )
        return {"rows": sorted(rows, key=lambda row: (-row["runs"], row["action_name"]))}

    def buttons(self) -> dict[str, Any]:
        clicks = Counter((item.name, item.label) for item in self.happened("button"))
        events = Counter(item.name for item in self.happened("button"))
        rows = [
            {"button_event": event, "label": label, "clicks": count, "share": count / events[event]}
            for (event, label), count in clicks.items()
        ]
        rows.sort(
            key=lambda row: (-events[row["button_event"]], row["button_event"], -row["clicks"], row["label"])
        )
        return {"rows": rows}

    def escalation_rate(self) -> dict[str, Any]:
        handed = [each for each in self.engaged if each.runs_of(*self.question.escalations)]
        return rate(len(handed), len(self.engaged))

    def feedback(self) -> dict[str, Any]:
        given = Counter(item.sentiment for item in self.happened("feedback") if item.source == "customer")
        rated = [each for each in self.engaged if each.said_of_it()]
        return {
            "positive": given["positive"],
            "neutral": given["neutral"],
            "negative": given["negative"],
            "satisfaction": rate(given["positive"], given["positive"] + given["negative"])["value"],
            "response_rate": rate(len(rated), len(self.engaged)),
        }

    def interactions(self) -> dict[str, Any]:
        offered = [each for each in self.begun if each.offered]
        engaged = [each for each in offered if each.engaged]
        return {"offered": len(offered), "engaged": len(engaged), **rate(len(engaged), len(offered))}

    def returning_users(self) -> dict[str, Any]:
        now = {each.customer for each in self.engaged} - {None}
        before = {
            each.customer for each in self.everyone if each.engaged and self.question.before(each.began)
        }
        return rate(len(now & before), len(now))

    def unanswered(self) -> dict[str, Any]:
        waiting = [each for each in self.engaged if each.messages and each.messages[-1].sender == "end_user"]
        return {"value": len(waiting), "share": rate(len(waiting), len(self.engaged))}

    def tokens(self) -> dict[str, Any]:
        names = ("prompt", "completion", "embedding", "total")
        names += ("cached", "cache_write", "input_audio", "reasoning", "output_audio")
        used = self.happened("token_usage")

        def total(items: Sequence[Item]) -> dict[str, Any]:
            counts = [item.tokens + item.parts for item in items]
            return {name: sum(each[place] for each in counts) for place, name in enumerate(names)}

        models = [
            {"model": model, **total([item for item in used if item.model == model])}
            for model in {item.model for item in used}
        ]
        models.sort(key=lambda row: (row["model"] is None, -row["total"], row["model"] or ""))
        days = [
            {
                "start": day.isoformat(),
                **total([item for item in used if self.question.local(item.at).date() == day]),
            }
            for day in self.question.days
        ]
        totals = total(used) if used else dict.fromkeys(names)
        return {**totals, "by_model": models, "by_day": days if used else []}

    def cost(self) -> dict[str, Any]:
        spent: dict[str | None, float] = {}
        unpriced: Counter[str | None] = Counter()
        for item in self.happened("token_usage"):
            prompt, completion, embedding, total = item.tokens
            unpriced[item.model] += max(0, total - prompt - completion - embedding)
            if item.model not in PRICES:
                unpriced[item.model] += prompt + completion + embedding
                continue
            price = PRICES[item.model]
            per_prompt, per_completion = price["prompt"], price["completion"]
            cached, writing, audio_in, reasoning, audio_out = item.parts
            audio_in = min(audio_in, prompt - cached - writing)  # the rest of it is in the cached ones
            reasoning = min(reasoning, completion - audio_out)
            amount = (
                (prompt - cached - writing - audio_in) * per_prompt
                + cached * price.get("cached", per_prompt)
                + writing * price.get("cache_write", per_prompt)
                + audio_in * price.get("input_audio", per_prompt)
                + (completion - audio_out) * per_completion  # reasoning costs what other words do
                + audio_out * price.get("output_audio", per_completion)
            )
            if prompt == completion == 0:
                amount += embedding * per_prompt
            else:
                unpriced[item.model] += embedding
            spent[item.model] = spent.get(item.model, 0.0) + amount / 1_000_000
        rows = [
            {"model": model, "value": spent.get(model), "unpriced_tokens": count}
            for model, count in unpriced.items()
        ]
        rows.sort(key=lambda row: (row["value"] is None, -(row["value"] or 0), row["model"] or ""))
        return {
            "value": sum(spent.values()) if spent else None,
            "currency": "USD",
            "unpriced_tokens": sum(unpriced.values()),
            "by_model": rows,
        }


def rate(numerator: int, denominator: int) -> dict[str, Any]:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """Linear between the two nearest values."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def subtag(language: str | None) -> str | None:
    return None if language is None else language.replace("_", "-").split("-")[0].lower()


@cache
def local(at: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone)


def hour_of(local: datetime) -> str:
    """The hour that the clock shows, with the offset of the moment: one that comes twice is two."""
    offset = local.utcoffset()
    assert offset is not None
    return local.replace(minute=0, second=0, microsecond=0, tzinfo=timezone(offset)).isoformat()
