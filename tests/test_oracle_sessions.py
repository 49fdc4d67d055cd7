"""The oracle itself, on conversations small enough to count by hand: docs and code may err in the same way, people who
read a dialogue seldom do."""

from __future__ import annotations

from datetime import date, time
from zoneinfo import ZoneInfo

import pytest

from tests.oracle import PAUSES, Item, Oracle, Question, Record, sessions
from tests.oracle.outcomes import Agreed, Hours, Outcomes, alike, asks, left_open, normal_form, outcome
from tests.oracle.records import DAY, HOUR, MINUTE

NOON = 1_788_264_000_000_000  # 2026-09-01 12:00 UTC, a Tuesday
UTC = ZoneInfo("UTC")
LATER = Agreed(NOON + 365 * DAY)


def said(minutes: float, who: str, text: str = "Hello there") -> Item:
    return Item("message", NOON + int(minutes * MINUTE), sender=who, text=text)


def user(minutes: float, text: str = "Where is my order?") -> Item:
    return said(minutes, "end_user", text)


def agent(minutes: float, text: str = "It is on its way.") -> Item:
    return said(minutes, "agent", text)


def ran(minutes: float, name: str) -> Item:
    return Item("action", NOON + int(minutes * MINUTE), name=name)


def clicked(minutes: float, label: str) -> Item:
    return Item("button", NOON + int(minutes * MINUTE), sender="end_user", name="after_chat", label=label)


def judged(minutes: float, sentiment: str, source: str = "customer") -> Item:
    return Item("feedback", NOON + int(minutes * MINUTE), sentiment=sentiment, source=source)


def talk(*items: Item, source: str = "web", **fields: object) -> Record:
    return Record(NOON, source=source, items=list(items), **fields)  # type: ignore[arg-type]


def cut(record: Record) -> list[tuple[str, list[float]]]:
    """The sessions: why each began, and the minutes of its items."""
    return [
        (each.rule, [(item.at - NOON) / MINUTE for item in each.items]) for each in sessions(record, PAUSES)
    ]


class TestSessions:
    def test_a_pause_of_half_an_hour_is_none_and_a_moment_more_is_one(self) -> None:
        assert cut(talk(user(0), user(30))) == [("", [0, 30])]
        assert cut(talk(user(0), agent(1), user(31.01))) == [("", [0, 1]), ("a", [31.01])]

    def test_messengers_pause_for_a_day_and_letters_for_three(self) -> None:
        day, half = 24 * 60, 12 * 60
        assert len(cut(talk(user(0), user(day), source="WhatsApp"))) == 1
        assert len(cut(talk(user(0), user(day + 1), source="whatsapp"))) == 2
        assert len(cut(talk(user(0), user(3 * day), source="email"))) == 1
        assert len(cut(talk(user(0), user(3 * day + 1), source="email"))) == 2
        assert len(cut(talk(user(0), user(half), source="kiosk"))) == 2

    def test_a_late_answer_belongs_to_its_question_for_a_day(self) -> None:
        assert cut(talk(user(0), agent(24 * 60))) == [("", [0, 24 * 60])]
        assert cut(talk(user(0), agent(24 * 60 + 1))) == [("", [0]), ("b", [24 * 60 + 1])]
        # After an answer, or after a click, nothing is waited for.
        assert cut(talk(user(0), agent(1), agent(60))) == [("", [0, 1]), ("b", [60])]
        assert cut(talk(clicked(0, "Yes"), agent(60))) == [("", [0]), ("b", [60])]

    def test_tokens_and_feedback_join_what_runs_and_begin_nothing(self) -> None:
        tokens = Item("token_usage", NOON + 300 * MINUTE)
        record = talk(judged(-5, "positive"), user(0), user(120), tokens, judged(100, "negative"))
        assert cut(record) == [("", [0, -5, 100]), ("a", [120, 300])]

    def test_clicks_actions_and_files_are_items(self) -> None:
        file = Item("attachments", NOON + 200 * MINUTE, sender="end_user")
        record = talk(user(0), ran(100, "search"), clicked(150, "Yes"), file)
        assert [rule for rule, _ in cut(record)] == ["", "a", "a"]
        assert cut(record)[0] == ("", [0, 100])

    def test_nobody_who_answers_is_reached(self) -> None:
        record = talk(user(0), agent(1), agent(100), agent(200), user(210))
        first, second, third = sessions(record, PAUSES)
        assert (first.engaged, second.engaged, third.engaged) == (True, False, True)
        assert (first.counted, second.counted, third.counted) == (True, False, True)
        oracle = Oracle([record], Question(date(2026, 9, 1), date(2026, 9, 1), UTC, pauses=PAUSES))
        assert oracle.conversations() == {"value": 2, "threads": 1}
        assert oracle.outreach() == {"sessions": 2, "engaged": 1}
        assert oracle.messages() == {"value": 4}

    def test_an_offer_is_the_first_session_alone(self) -> None:
        record = talk(agent(0), user(100), offered=True)
        first, second = sessions(record, PAUSES)
        # The conversation is engaged, and with it its first session; the answer came in the second.
        assert (first.offered, first.engaged) == (True, True)
        assert (second.offered, second.engaged) == (False, True)

    def test_equal_times_are_in_the_order_in_which_they_came(self) -> None:
        assert [item.sender for item in sessions(talk(agent(0), user(0)), PAUSES)[0].messages] == [
            "agent",
            "end_user",
        ]

    def test_without_long_pauses_every_figure_is_that_of_conversations(self) -> None:
        records = [
            talk(user(n), agent(n + 1), judged(n + 2, "positive"), customer="anna") for n in range(0, 300, 7)
        ]
        question = Question(date(2026, 9, 1), date(2026, 9, 1), UTC)
        whole = Oracle(records, question)
        cut_up = Oracle(records, Question(question.first, question.last, UTC, pauses=PAUSES))
        for name in (
            "messages",
            "users",
            "response_time",
            "duration",
            "feedback",
            "unanswered",
            "peak_hours",
        ):
            assert whole.answer(name) == cut_up.answer(name)


class TestOutcomes:
    def what(self, *items: Item, agreed: Agreed = LATER) -> str:
        (session,) = sessions(talk(*items, source="email"), PAUSES)
        return outcome(session, agreed)

    def test_each_rule_in_its_order(self) -> None:
        asked = (user(0), agent(1))
        goal = Agreed(LATER.now, goals=frozenset({"booked", "Yes"}))
        assert self.what(*asked, agreed=Agreed(NOON + DAY)) == "open"
        assert self.what(*asked, agreed=Agreed(NOON + DAY + MINUTE)) == "assumed"
        assert self.what(*asked, ran(2, "open_ticket"), judged(3, "positive")) == "escalated"
        assert self.what(*asked, judged(2, "negative"), judged(3, "positive")) == "confirmed"
        assert self.what(*asked, judged(2, "positive"), judged(3, "negative")) == "unhappy"
        assert self.what(*asked, judged(2, "negative", "platform")) == "assumed"
        assert self.what(*asked, judged(2, "neutral")) == "assumed"
        assert self.what(*asked, ran(2, "booked"), judged(3, "negative"), agreed=goal) == "confirmed"
        assert self.what(*asked, clicked(2, "Yes"), agreed=goal) == "confirmed"
        assert self.what(*asked, clicked(2, "Yes")) == "assumed"
        assert self.what(*asked, user(2)) == "unanswered"
        assert self.what(user(0), agent(1, "Which one?")) == "pending"
        assert self.what(agent(0), clicked(1, "No")) == "unanswered"

    def test_stock_texts_say_what_an_answer_is(self) -> None:
        marked = Agreed(
            LATER.now,
            fallback_texts=frozenset({normal_form("I did not understand that.")}),
            closing_texts=frozenset({normal_form("Anything else?")}),
            fallback_actions=frozenset({"no_idea"}),
        )
        assert self.what(user(0), agent(1, "I did not  understand that!"), agreed=marked) == "unanswered"
        assert self.what(user(0), agent(1), agent(2, "Anything else?"), agreed=marked) == "assumed"
        assert self.what(user(0), ran(1, "no_idea"), agent(2), agreed=marked) == "unanswered"
        assert self.what(ran(0, "no_idea"), user(1), agent(2), agreed=marked) == "assumed"

    def test_they_add_up_to_all(self) -> None:
        records = [
            talk(user(0), agent(1), customer="anna"),
            talk(user(10), agent(11), ran(12, "ticket"), customer="anna"),
            talk(user(20), customer="bert"),
            talk(user(3000), agent(3001), customer="bert"),
        ]
        for each in records:
            each.started_at = each.items[0].at
        oracle = Oracle(records, Question(date(2026, 9, 1), date(2026, 9, 3), UTC, pauses=PAUSES))
        found = Outcomes(oracle, Agreed(NOON + 3500 * MINUTE, cost_a_month=30, minutes_a_case=6))
        assert found.outcomes() == {
            "open": 1, "escalated": 1, "confirmed": 0, "unhappy": 0, "unanswered": 1, "pending": 0, "assumed": 1,
        }  # fmt: skip
        assert sum(found.outcomes().values()) == oracle.conversations()["value"]
        resolution = found.resolution()
        assert (resolution["numerator"], resolution["denominator"], resolution["open"]) == (1, 3, 1)
        contained = found.containment()
        assert (contained["numerator"], contained["denominator"]) == (3, 4)
        assert contained["left_without_help"]["numerator"] == 1
        # Anna came again nine minutes later; bert, after two days.
        assert found.durable_resolution()["hours"]["24"] == {"value": 0, "numerator": 0, "denominator": 1}
        assert found.durable_resolution()["hours"]["72"]["denominator"] == 0
        assert found.recontact() == {"value": 0.5, "numerator": 2, "denominator": 4}
        assert found.hours_saved()["value"] == 0.1
        assert found.cost_per_resolved() == {"value": 3.0, "at_least": False}
        assert found.drop_off()["rows"] == [
            {"messages": 1, "reached": 3, "ended": {"assumed": 1, "escalated": 1, "unanswered": 1}}
        ]

    def test_an_unanswered_turn_is_a_miss(self) -> None:
        record = talk(user(0), user(1), agent(1.4), user(2), agent(2.6), user(3))
        oracle = Oracle([record], Question(date(2026, 9, 1), date(2026, 9, 1), UTC, pauses=PAUSES))
        assert Outcomes(oracle, LATER).sla() == {
            "value": 1 / 3,
            "numerator": 1,
            "denominator": 3,
            "seconds": 30,
        }
        # One that is not yet due is in neither part.
        young = Outcomes(oracle, Agreed(NOON + 3 * MINUTE + 29_000_000)).sla()
        assert (young["numerator"], young["denominator"]) == (1, 2)

    def test_nobody_is_there_at_night_and_on_holidays(self) -> None:
        office = Hours(UTC, {day: [(time(9), time(12)), (time(13), time(17))] for day in range(5)})
        records = [Record(NOON + away, items=[]) for away in (0, HOUR, 5 * HOUR, 4 * DAY + HOUR)]
        oracle = Oracle(records, Question(date(2026, 9, 1), date(2026, 9, 9), UTC, pauses=PAUSES))
        assert Outcomes(oracle, Agreed(LATER.now, hours=office)).after_hours()["numerator"] == 3
        closed = Hours(UTC, office.weekdays, frozenset({date(2026, 9, 1)}))
        assert Outcomes(oracle, Agreed(LATER.now, hours=closed)).after_hours()["numerator"] == 4
        assert Outcomes(oracle, LATER).after_hours()["value"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anything else?", True), ("還有嗎？", True), ("هل تريد؟", True), ("Τι θέλετε;", True), ("Really ?! 🙂", True),
        ("Is it? Yes.", False), ("semicolon;", False), ("", False), ("Which one? (1 or 2)", False), ("⸮", True),
    ],
)  # fmt: skip
def test_questions_of_every_script(text: str, expected: bool) -> None:
    assert asks(text) is expected


def test_questions_left_open() -> None:
    marked = Agreed(LATER.now, fallback_texts=frozenset({normal_form("Sorry, what?")}))

    def why(*items: Item) -> list[str]:
        (session,) = sessions(talk(*items), PAUSES)
        return [reason for _, reason in left_open(session, marked)]

    assert why(user(0)) == ["nothing"]
    assert why(user(0), agent(1)) == []
    assert why(user(0), agent(1, "Sorry, what?")) == ["fallback"]
    assert why(user(0), agent(1), ran(2, "ticket")) == ["escalated"]
    assert why(user(0), agent(1), agent(2), ran(3, "ticket")) == []
    assert why(user(0), agent(1), judged(2, "positive"), judged(3, "negative")) == []
    assert why(user(0), agent(1), judged(2, "negative")) == ["unhappy"]
    assert why(user(0), agent(1), user(2, "where is my order"), agent(3)) == ["repeated"]
    assert alike("退货怎么办", "退货怎么办?")
    assert not alike("yes", "yes")
