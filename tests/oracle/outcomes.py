"""What became of sessions, and the figures that rest on it: plain functions of a session and of what was agreed."""

from __future__ import annotations

import unicodedata
from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.figures import ESCALATIONS, Oracle, local, rate
from tests.oracle.records import DAY, HOUR, Item, Record, Session, sessions

OUTCOMES = ("open", "escalated", "confirmed", "unhappy", "unanswered", "pending", "assumed")
RESOLVED = ("confirmed", "assumed")
# What comes after a question before it is called left open.
REPEAT_LIKENESS, REPEAT_WITHIN = 0.6, 3


@dataclass
class Hours:
    """When people are there: by weekday (Monday is 0) from and to, on the clock of a zone; not on holidays.

    Until `time.max` is until midnight.
    """

    zone: ZoneInfo
    weekdays: Mapping[int, Sequence[tuple[time, time]]]
    holidays: frozenset[date] = frozenset()

    def are_open(self, at: int) -> bool:
        moment = local(at, self.zone)
        if moment.date() in self.holidays:
            return False
        at_clock = moment.time()
        return any(
            begin <= at_clock and (at_clock < end or end == time.max)
            for begin, end in self.weekdays.get(moment.weekday(), ())
        )


@dataclass
class Agreed:
    """What the agency has set for an agent, and the moment at which is asked.

    `goals`: names of actions, labels and events of buttons; texts are marked in their normal form.
    """

    now: int
    closes_after: int = DAY
    escalations: frozenset[str] = frozenset(ESCALATIONS)
    goals: frozenset[str] = frozenset()
    fallback_actions: frozenset[str] = frozenset()
    fallback_texts: frozenset[str] = frozenset()
    closing_texts: frozenset[str] = frozenset()
    answered_within: int = 30_000_000
    hours: Hours | None = None
    minutes_a_case: float | None = None
    cost_a_month: float = 0.0


def normal_form(text: str) -> str:
    """NFKC, lower case, a number as #, spaces and punctuation as one space."""
    found = ""
    for character in unicodedata.normalize("NFKC", text).lower():
        kind = unicodedata.category(character)
        folded = "#" if kind == "Nd" else " " if kind[0] in "PZSC" else character
        if not (folded in "# " and found.endswith(folded)):
            found += folded
    return found.strip()


def asks(text: str) -> bool:
    """Whether the last thing in a text but for signs and spaces is a question mark of any script."""
    for character in reversed(text):
        if character == ";" and any("GREEK" in unicodedata.name(each, "") for each in text):
            return True
        if "QUESTION MARK" in unicodedata.name(character, "") or character in "‽":
            return True
        if unicodedata.category(character)[0] in "LN":
            return False
    return False


def in_order(session: Session) -> list[Item]:
    """Everything in a session by time; equal times in the order in which they came."""
    place = {id(item): number for number, item in enumerate(session.record.items)}
    return sorted(session.items, key=lambda item: (item.at, place[id(item)]))


def outcome(session: Session, agreed: Agreed, *, so_far: bool = False) -> str:
    """Of an engaged session; `so_far`: as if it were closed."""
    if not so_far and session.ended_at > agreed.now - agreed.closes_after:
        return "open"
    if session.runs_of(*agreed.escalations):
        return "escalated"
    items = in_order(session)
    judged = [item.sentiment for item in items if item.kind == "feedback" and item.source == "customer"]
    reached = any(
        (item.kind == "action" and item.name in agreed.goals)
        or (item.kind == "button" and {item.label, item.name} & agreed.goals)
        for item in items
    )
    if reached or judged[-1:] == ["positive"]:
        return "confirmed"
    if judged[-1:] == ["negative"]:
        return "unhappy"
    messages = [item for item in items if item.is_said]
    asked = [place for place, item in enumerate(items) if item.is_said and item.sender == "end_user"]
    if messages:
        last = messages[-1]
        if last.sender == "end_user" or normal_form(last.text) in agreed.fallback_texts:
            return "unanswered"
        if asked and any(
            item.kind == "action" and item.name in agreed.fallback_actions for item in items[asked[-1] :]
        ):
            return "unanswered"
        if asks(last.text) and normal_form(last.text) not in agreed.closing_texts:
            return "pending"
        if asked and any(item.is_said and item.sender == "agent" for item in items[asked[0] :]):
            return "assumed"
    return "unanswered"


def turns(session: Session) -> list[tuple[Item, Item | None]]:
    """Runs of the end user's messages: the last of each, and the answer right after it."""
    messages = session.messages
    return [
        (item, after)
        for item, after in zip(messages, [*messages, None][1:], strict=True)
        if item.sender == "end_user" and (after is None or after.sender == "agent")
    ]


class Outcomes:
    """Answers about outcomes, for what an oracle was asked."""

    def __init__(self, oracle: Oracle, agreed: Agreed) -> None:
        self.oracle = oracle
        self.agreed = agreed
        self.engaged = oracle.engaged
        found = [(each, outcome(each, agreed)) for each in self.engaged]
        self.by_outcome = {name: [each for each, what in found if what == name] for name in OUTCOMES}
        self.closed = [each for each, what in found if what != "open"]
        self.resolved = [each for name in RESOLVED for each in self.by_outcome[name]]

    def answer(self, name: str) -> dict[str, Any]:
        """The figure of that name, whether it rests on outcomes or not."""
        of = self if hasattr(Outcomes, name) else self.oracle
        result: dict[str, Any] = getattr(of, name)()
        return result

    def outcomes(self) -> dict[str, Any]:
        return {name: len(found) for name, found in self.by_outcome.items()}

    def resolution(self) -> dict[str, Any]:
        parts = {name: len(self.by_outcome[name]) for name in RESOLVED}
        return {**rate(len(self.resolved), len(self.closed)), **parts, "open": len(self.by_outcome["open"])}

    def containment(self) -> dict[str, Any]:
        kept = [each for each in self.engaged if not each.runs_of(*self.agreed.escalations)]
        helpless = self.by_outcome["unhappy"] + self.by_outcome["unanswered"]
        return {
            **rate(len(kept), len(self.engaged)),
            "left_without_help": rate(len(helpless), len(self.closed)),
        }

    def _begun_by(self, session: Session) -> list[Session]:
        """Engaged sessions of the same customer, whatever the filters and the period."""
        return [
            each
            for each in self.oracle.everyone
            if each is not session and each.engaged and each.customer == session.customer
        ]

    def durable_resolution(self) -> dict[str, Any]:
        answer = {}
        named = [each for each in self.resolved if each.customer is not None]
        for hours in (24, 72, 168):
            old = [each for each in named if each.ended_at + hours * HOUR <= self.agreed.now]
            lasting = [
                each
                for each in old
                if not any(
                    each.ended_at < later.began <= each.ended_at + hours * HOUR
                    for later in self._begun_by(each)
                )
            ]
            answer[str(hours)] = rate(len(lasting), len(old))
        return {"hours": answer}

    def recontact(self) -> dict[str, Any]:
        named = [each for each in self.engaged if each.customer is not None]
        again = [
            each
            for each in named
            if any(
                other.began < each.began and other.ended_at <= each.began <= other.ended_at + 72 * HOUR
                for other in self._begun_by(each)
            )
        ]
        return rate(len(again), len(named))

    def drop_off(self) -> dict[str, Any]:
        said = {id(each): sum(item.sender == "end_user" for item in each.messages) for each in self.closed}
        rows = []
        for k in range(1, max(said.values(), default=0) + 1):
            ended = [each for each in self.closed if said[id(each)] == k]
            by = Counter(outcome(each, self.agreed) for each in ended)
            rows.append({"messages": k, "reached": sum(n >= k for n in said.values()), "ended": dict(by)})
        return {"rows": rows}

    def after_hours(self) -> dict[str, Any]:
        hours = self.agreed.hours
        if hours is None:
            return rate(0, 0)
        return rate(sum(not hours.are_open(each.began) for each in self.engaged), len(self.engaged))

    def sla(self) -> dict[str, Any]:
        within = self.agreed.answered_within
        due = [
            (asked, answer)
            for each in self.engaged
            for asked, answer in turns(each)
            if asked.at + within <= self.agreed.now
        ]
        kept = [answer for asked, answer in due if answer is not None and answer.at - asked.at <= within]
        return {**rate(len(kept), len(due)), "seconds": within // 1_000_000}

    def hours_saved(self) -> dict[str, Any]:
        minutes = self.agreed.minutes_a_case
        value = None if minutes is None else len(self.resolved) * minutes / 60
        return {"value": value, "minutes": minutes}

    def cost_per_resolved(self) -> dict[str, Any]:
        tokens = self.oracle.cost()
        fixed = sum(
            self.agreed.cost_a_month / monthrange(day.year, day.month)[1] for day in self.oracle.question.days
        )
        value = ((tokens["value"] or 0) + fixed) / len(self.resolved) if self.resolved else None
        return {"value": value, "at_least": tokens["unpriced_tokens"] > 0}

    def open_questions(self) -> list[tuple[Item, str]]:
        """Every question that was left open, and why."""
        return [found for each in self.engaged for found in left_open(each, self.agreed)]


def grams(text: str) -> set[str]:
    normal = normal_form(text)
    return {normal[place : place + 3] for place in range(max(1, len(normal) - 2))}


def alike(one: str, other: str) -> bool:
    """Whether somebody says the same again."""
    forms = [normal_form(each) for each in (one, other)]
    for form in forms:
        east = any(
            unicodedata.name(each, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL")) for each in form
        )
        if len(form) < (4 if east else 8):
            return False
    first, second = (grams(each) for each in (one, other))
    return len(first & second) / len(first | second) >= REPEAT_LIKENESS


def left_open(session: Session, agreed: Agreed) -> list[tuple[Item, str]]:
    """Questions of a session that was not answered, with the reason."""
    items = in_order(session)
    found = []
    for place, item in enumerate(items):
        if not (item.is_said and item.sender == "end_user"):
            continue
        after = items[place + 1 :]
        said = [each for each in after if each.is_said]
        asked = [each for each in said if each.sender == "end_user"][:REPEAT_WITHIN]
        judged = [each.sentiment for each in after if each.kind == "feedback" and each.source == "customer"]
        # Up to the second message that follows.
        near = after[: after.index(said[1]) + 1] if len(said) > 1 else after
        if not said:
            found.append((item, "nothing"))
        elif said[0].sender == "agent" and normal_form(said[0].text) in agreed.fallback_texts:
            found.append((item, "fallback"))
        elif any(each.kind == "action" and each.name in agreed.escalations for each in near):
            found.append((item, "escalated"))
        elif judged[:1] == ["negative"]:
            found.append((item, "unhappy"))
        elif any(alike(item.text, each.text) for each in asked):
            found.append((item, "repeated"))
    return found


def stock_texts(records: Iterable[Record], pauses: Mapping[str, int]) -> dict[str, int]:
    """Normal forms of the agent's messages that stand in 20 sessions and 1 % of them; in how many."""
    found: Counter[str] = Counter()
    count = 0
    for session in (each for record in records for each in sessions(record, pauses)):
        count += 1
        found.update({normal_form(each.text) for each in session.messages if each.sender == "agent"})
    return {form: number for form, number in found.items() if number >= 20 and number * 100 >= count and form}
