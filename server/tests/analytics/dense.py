"""One fixed corpus in which every figure has much to count: hundreds of conversations by written rules.

It lies around the days in spring and autumn on which clocks are turned, so that periods that cut it cut those, too.
The generator is seeded: the corpus is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timezone
from random import Random

from server.tests.analytics.records import METADATA
from tests.oracle import Item, Record
from tests.oracle.records import DAY, HOUR, MINUTE

SECOND = 1_000_000
PEOPLE = [None, "anna", "bert", "carla", *(f"guest {number}" for number in range(40))]
TOOLS = ["search", "check", "book 'n' pay", "odd 'name'", "open_ticket", "contact_human"]
MODELS = ["gpt-4o-mini", "claude-3-5-haiku-latest", "gpt-realtime", "homemade-7b", None]
LANGUAGES = [None, "en", "en-US", "en_GB", "EN-us", "hr", "zh-Hant-TW", "zh"]
TEXTS = [
    "Here you are.", "I did not understand that.", "Anything else?", "Which day, please?", "¿Qué día?", "几点？ 🙂",
    "?!", "Room 12 is free; it costs 90 EUR",
]  # fmt: skip
SENTIMENTS = ["positive", "neutral", "negative"]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def moment(text: str) -> int:
    """Microseconds of a time such as "2026-03-29T01:00", in UTC."""
    return int((datetime.fromisoformat(text).replace(tzinfo=timezone.utc) - _EPOCH).total_seconds()) * SECOND


# Beginnings and ends of the periods that are asked for, and where clocks are turned.
EDGES = [
    moment(each)
    for each in (
        "2026-03-01T00:00", "2026-03-15T00:00", "2026-04-01T00:00", "2026-03-14T18:15", "2026-04-02T18:15",
        "2026-03-27T23:00", "2026-03-29T01:00", "2026-03-29T22:00", "2026-03-30T22:00", "2026-03-08T05:00",
        "2026-03-08T07:00", "2026-04-03T13:00", "2026-04-04T15:00", "2026-04-05T13:30", "2026-10-24T22:00",
        "2026-10-25T01:00", "2026-10-26T23:00", "2026-11-01T04:00", "2026-11-01T05:00", "2026-11-02T05:00",
    )
]  # fmt: skip


class _Talk:
    """A conversation while it is written: a clock, and what is said at it."""

    def __init__(self, rng: Random, started_at: int) -> None:
        self.rng = rng
        self.at = started_at
        self.items: list[Item] = []

    def wait(self, shortest: int, longest: int) -> None:
        """Let time pass; once in eight, none at all."""
        if self.rng.randrange(8):
            self.at += int(shortest * (longest / shortest) ** self.rng.random())

    def says(self, sender: str, kind: str = "message") -> None:
        self.items.append(Item(kind, self.at, sender=sender))

    def asks(self) -> None:
        """Questions, mostly one, often two in a row."""
        for _ in range(self.rng.choice([1, 1, 1, 2, 2, 3])):
            self.says("end_user", "message" if self.rng.randrange(12) else "attachments")
            self.wait(2 * SECOND, MINUTE)

    def works(self) -> None:
        for _ in range(self.rng.choice([0, 0, 1, 1, 2, 4])):
            self.runs(self.rng.choice(TOOLS[:4]))

    def runs(self, name: str) -> None:
        took = self.rng.choice([None, 0, self.rng.randrange(1, 90_000)])
        failed = self.rng.randrange(4) == 0
        self.items.append(Item("action", self.at, name=name, failed=failed, duration_ms=took))

    def answers(self) -> None:
        """Answers, mostly one, with the tokens that they took."""
        self.wait(200_000, 90 * SECOND)
        for _ in range(self.rng.choice([1, 1, 1, 2])):
            self.says("agent")
        if self.rng.randrange(3):
            self.uses()

    def uses(self) -> None:
        rng = self.rng
        prompt, completion, embedding = rng.randrange(1, 5_000), rng.randrange(1, 900), rng.choice([0, 0, 77])
        total = rng.choice([0, prompt + completion + embedding, prompt + completion + embedding + 9])
        cached = rng.choice([0, prompt // 3])
        parts = (cached, rng.choice([0, cached // 2]), rng.choice([0, 0, prompt]), *_split(rng, completion))
        tokens = (prompt, completion, embedding, total)
        if rng.randrange(8) == 0:
            tokens, parts = rng.choice([(0, 0, 90, 90), (0, 0, 0, 50)]), (0, 0, 0, 0, 0)
        self.items.append(Item("token_usage", self.at, model=rng.choice(MODELS), tokens=tokens, parts=parts))

    def clicks(self) -> None:
        name, label = self.rng.choice(
            [("after_chat", "Yes"), ("after_chat", "No"), ("menu", "日本"), ("menu", "Yes")]
        )
        self.items.append(Item("button", self.at, sender="end_user", name=name, label=label))

    def judges(self, *, source: str = "customer", about: str = "", replaces: bool = False) -> None:
        self.wait(SECOND, 20 * MINUTE)
        sentiment = self.rng.choice(SENTIMENTS)
        self.items.append(
            Item("feedback", self.at, sentiment=sentiment, source=source, about=about, replaces=replaces)
        )

    def votes(self) -> None:
        """Feedback that changes its mind, about the whole and about a message."""
        for about in self.rng.choice([[""], ["", ""], ["one", "", "one"], ["", "two", "", "two", ""]]):
            self.at += SECOND
            self.judges(about=about, replaces=True)

    def goes_on(self, turns: int) -> None:
        for _ in range(turns):
            self.asks()
            self.works()
            self.answers()
            self.wait(5 * SECOND, 25 * MINUTE)


def _split(rng: Random, completion: int) -> tuple[int, int]:
    """What of a completion was reasoning, and what was audio; they may overlap."""
    return rng.choice([(0, 0), (completion // 2, 0), (0, completion // 4), (completion, completion // 2)])


def _visit(talk: _Talk) -> None:
    """A visitor on a web page: some turns, perhaps a click, a person called, a last question, a vote."""
    rng = talk.rng
    talk.goes_on(rng.randrange(0, 5))
    if rng.randrange(4) == 0:
        talk.clicks()
    if rng.randrange(5) == 0:
        talk.runs(rng.choice(["open_ticket", "contact_human", "search"]))
    if rng.randrange(4) == 0:
        talk.asks()
    if rng.randrange(6) == 0:
        talk.says("system")
    if rng.randrange(3) == 0:
        talk.votes()
    if rng.randrange(6) == 0:
        talk.judges(source="platform")


def _thread(talk: _Talk) -> None:
    """A number that writes for weeks: stretches with pauses, some begun by the agent, some answered late."""
    rng = talk.rng
    for _ in range(rng.randrange(3, 10)):
        rng.choice([_visit, _visit, _outreach, _late, _visit])(talk)
        talk.at += rng.choice(
            [HOUR, 23 * HOUR, 24 * HOUR, 24 * HOUR + 1, 30 * HOUR, 71 * HOUR, 3 * DAY, 3 * DAY + 1, 5 * DAY]
        )


def _outreach(talk: _Talk) -> None:
    """The agent speaks first, and is answered once in two."""
    talk.says("agent")
    if talk.rng.randrange(2):
        talk.wait(MINUTE, 20 * HOUR)
        talk.goes_on(1)


def _late(talk: _Talk) -> None:
    """A question that waits for a day, a moment less, a moment more, or three days."""
    talk.says("end_user")
    talk.at += talk.rng.choice([31 * MINUTE, DAY - 1, DAY, DAY + 1, 73 * HOUR])
    talk.rng.choice([talk.answers, talk.works, lambda: talk.says("system")])()


def _offered(talk: _Talk) -> None:
    """A greeting; once in two somebody takes it up, with a word, a click or through a tool."""
    talk.says("agent")
    talk.wait(SECOND, 40 * MINUTE)
    taken: list[Callable[[], None]] = [
        talk.asks,
        talk.clicks,
        lambda: talk.runs("search"),
        lambda: _visit(talk),
    ]
    if talk.rng.randrange(2):
        talk.rng.choice(taken)()
    elif talk.rng.randrange(2):
        talk.judges()


def _judged(talk: _Talk) -> None:
    """Feedback and nothing else: nobody took part."""
    for _ in range(talk.rng.randrange(1, 3)):
        talk.judges(source=talk.rng.choice(["customer", "customer", "platform"]))


def _silent(talk: _Talk) -> None:
    """Begun, and nothing said."""


def _mixed_up(talk: _Talk) -> None:
    """Items that came in another order than that of their times, some from before the conversation began."""
    began = talk.at
    talk.at -= talk.rng.choice([0, SECOND, HOUR])
    talk.goes_on(3)
    talk.clicks()
    talk.at = max(talk.at, began)
    talk.rng.shuffle(talk.items)


def _scattered(talk: _Talk) -> None:
    """Weeks of a thread whose items come in any order: what comes late cuts sessions, joins them, answers in them."""
    _thread(talk)
    talk.rng.shuffle(talk.items)


def _told_before(talk: _Talk) -> None:
    """Tokens and a vote that came before the words after which they were said; those begin another session."""
    talk.says("end_user")
    began = talk.at
    talk.at += 3 * HOUR
    talk.uses()
    talk.judges()
    talk.at = began + talk.rng.choice([29 * MINUTE, 31 * MINUTE, 2 * HOUR])
    talk.says(talk.rng.choice(["agent", "agent", "end_user"]))


def _say(records: Iterable[Record], rng: Random) -> None:
    """Give the messages words: answers that ask back, that do not understand, that close."""
    for record in records:
        record.items = [
            replace(item, text=rng.choice(TEXTS)) if item.kind == "message" else item for item in record.items
        ]


def corpus(seed: int = 20261124) -> list[Record]:
    """The conversations, in the order in which they are stored."""
    rng = Random(seed)
    spring, autumn = moment("2026-02-20T00:00"), moment("2026-10-22T00:00")

    def some_time() -> int:
        if rng.randrange(5) == 0:
            return rng.choice(EDGES) + rng.choice([-1, 0, 1, -SECOND, HOUR])
        length, begin = rng.choice(
            [(60 * DAY, spring), (60 * DAY, spring), (60 * DAY, spring), (13 * DAY, autumn)]
        )
        return begin + rng.randrange(length)

    kinds: list[tuple[int, Callable[[_Talk], None], list[str | None]]] = [
        (210, _visit, ["web", "web", "widget", None]),
        (40, _thread, ["whatsapp", "WhatsApp", "email", "web", "sms"]),
        (90, _offered, ["web", "whatsapp", None]),
        (20, _judged, ["web", None]),
        (12, _silent, ["web", None]),
        (24, _mixed_up, ["web", "whatsapp"]),
        (30, _scattered, ["whatsapp", "email", "web"]),
        (24, _told_before, ["web", None]),
    ]
    written = []
    for count, write, sources in kinds:
        for _ in range(count):
            talk = _Talk(rng, some_time())
            record = Record(
                started_at=talk.at,
                customer=PEOPLE[int(len(PEOPLE) * rng.random() ** 2)],
                device=rng.choice([None, "mobile", "mobile", "desktop", "tablet"]),
                source=rng.choice(sources),
                language=rng.choice(LANGUAGES),
                country=rng.choice([None, "HR", "HR", "DE"]),
                metadata=rng.choice(METADATA),
                production=rng.randrange(6) > 0,
                offered=write is _offered,
                deleted=rng.randrange(12) == 0,
            )
            write(talk)
            written.append(replace(record, items=talk.items))
    rng.shuffle(written)
    _say(written, Random(seed + 1))
    return written
