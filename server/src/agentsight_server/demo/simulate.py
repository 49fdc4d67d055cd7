"""Plays a story: turns its lines into the items of a conversation, each with its time."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from agentsight_server.demo import sample_files
from agentsight_server.demo.agents import Role
from agentsight_server.demo.customers import pick
from agentsight_server.demo.script import Line, Script, Story
from agentsight_server.demo.words import day_name, spoken_date
from agentsight_server.domain import times
from agentsight_server.domain.identifiers import uuid7_of

_SLOT = re.compile(r"\{([a-z_]+)(?:\*([a-z_0-9]+))?\}")
_ERRORS = (
    ("timeout after 10000 ms", 10_000),
    ("HTTP 503 Service Unavailable", 340),
    ("connection reset by peer", 1_270),
    ("HTTP 429 Too Many Requests", 95),
)
_ONE_TOKEN = {"ja": 1.4, "ar": 2.6, "hr": 3.2}  # characters, where it is not the usual four
_ORDINARY_DAY = 0.02  # share of tool runs that fail
_BAD_DAY = 0.55
_OF_ONE_MATTER = ("day", "date", "isodate", "time", "code", "hour", "ticket", "case", "nights", "fee", "euro")


def moment_text(moment: datetime) -> str:
    """A time as the API writes it."""
    return times.to_text(times.from_datetime(moment))


class Simulation:
    """One conversation in the making.

    Args:
        role: the agent that speaks.
        script: what it says in the customer's language.
        start: when the conversation begins (aware).
        rng: the source of all chance.
        model: the model that answers.
        troubled: the agent's tools are failing today.
        pace: 1 for life, less for people in a hurry.
    """

    def __init__(
        self,
        role: Role,
        script: Script,
        language: str,
        start: datetime,
        rng: random.Random,
        *,
        model: str,
        troubled: bool = False,
        pace: float = 1.0,
    ) -> None:
        self.items: list[dict[str, Any]] = []
        self.clock = start
        self.escalated = False
        self.failed = False
        self.disappointed = False
        self._role, self._script, self._language, self._rng = role, script, language, rng
        self._model, self._troubled, self._pace = model, troubled, pace
        self._slots: dict[str, str] = {}
        self.choice: str | None = None  # the value of the button chosen last
        self._wording = 0
        self._tokens = rng.randrange(420, 900)  # the system prompt
        self._read = 0.0  # seconds that the last answer takes to read
        self._day = start.date() + timedelta(days=rng.randrange(1, 7))

    # -- what happens

    def perform(self, lines: Iterable[Line]) -> bool:
        """Play lines; False when a tool failed for good and the story ended there."""
        blocks: dict[int, bool] = {}
        for line in lines:
            if line.when is not None and line.when != self.choice:
                continue
            if line.block is not None:
                number, chance = line.block
                if not blocks.setdefault(number, self._rng.random() * 100 < chance):
                    continue
            if line.kind == "u":
                self._wording = self._rng.randrange(len(line.texts))
                self.user(self.fill(line.texts[self._wording]))
            elif line.kind == "a":
                self.agent(self._word(line.texts))
            elif line.kind == "a=":
                self.agent(self.fill(line.texts[self._wording % len(line.texts)]))
            elif line.kind == "s":
                self.wait(self._rng.uniform(5, 60))
                self._add("message", sender="system", content=self._word(line.texts))
            elif line.kind == "b":
                self._button(line)
            elif line.kind == "f":
                self._file(line)
            elif not self._tool(line):
                return False
        return True

    def piece(self, name: str) -> Story:
        """Return one of the shared pieces of the script."""
        return self._script.pieces[name]

    def title(self, story: Story) -> str:
        """Return a story's title with its slots filled as in this conversation."""
        return self.fill(story.title)

    def user(self, text: str) -> None:
        """The customer reads, thinks and writes."""
        seconds = self._read + 2 + len(text) / 5.5 * (0.35 if self._role.spoken else 1)
        self.wait(seconds * self._rng.lognormvariate(0, 0.45))
        self._tokens += self._count(text)
        self._add("message", sender="end_user", content=text)

    def agent(self, text: str, attachment: dict[str, str] | None = None) -> None:
        """The model takes its time and answers; what it used is counted."""
        self.wait(self._role.reply * self._rng.lognormvariate(0, 0.4) + len(text) / 400)
        extra = {"attachments": [attachment]} if attachment else {}
        self._add("message", sender="agent", content=text, metadata={"model": self._model}, **extra)
        completion = self._count(text)
        self._add(
            "token_usage",
            model=self._model,
            prompt_tokens=self._tokens,
            completion_tokens=completion,
            total_tokens=self._tokens + completion,
            embedding_tokens=0,
        )
        self._tokens += completion
        self._read = min(25.0, len(text) / (60 if self._role.spoken else 24))

    def hand_over(self) -> None:
        """The agent's way to a human: an action of its escalation set."""
        name = pick(self._rng, self._role.escalation)
        number = self._rng.randrange(1000, 99_999)
        response = (
            {"ticket": number, "queue": "support"}
            if "ticket" in name
            else {"transferred": True, "queue": number % 7}
        )
        self._action(name, {"reason": "asked for a person", "language": self._language}, response, 420, None)
        self.escalated = True
        if "_joined" in self._script.pieces and self._rng.random() < 0.5:
            self.perform(self.piece("_joined").lines)

    def another_matter(self) -> None:
        """Begin a second story: other days and numbers, the same person."""
        for name in _OF_ONE_MATTER:
            self._slots.pop(name, None)
        self._day += timedelta(days=self._rng.randrange(1, 4))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock += timedelta(seconds=max(0.05, seconds * self._pace))

    def pause(self, seconds: float) -> None:
        """Let the customer go away and come back."""
        self.clock += timedelta(seconds=seconds)

    # -- lines

    def _button(self, line: Line) -> None:
        self.wait(self._rng.uniform(1.5, 7))
        choice = self._rng.choices(line.choices, [each.weight for each in line.choices])[0]
        self.choice = choice.value
        # A bot names its menus by language too, or the choices of one would stand beside those of another.
        main = next(iter(self._role.languages))
        event = line.name if self._language == main else f"{line.name}_{self._language}"
        offered = {"options": [each.label for each in line.choices]}
        self._add("button", button_event=event, label=choice.label, value=choice.value, metadata=offered)

    def _file(self, line: Line) -> None:
        attachment = sample_files.make(line.file_kind, self.fill(line.name), self._rng.randrange(6))
        caption = self._word(line.texts)
        if line.sender == "agent":
            self.agent(caption, attachment)
            return
        self.wait(self._rng.uniform(8, 40))
        self._add("attachments", sender="end_user", attachments=[attachment], message=caption)
        self._tokens += 250

    def _tool(self, line: Line) -> bool:
        arguments = json.loads(self.fill(line.arguments))
        response = json.loads(self.fill(line.response))
        chance = _BAD_DAY if self._troubled else _ORDINARY_DAY
        for attempt in (1, 2):
            if self._rng.random() >= chance:
                self._action(line.name, arguments, response, line.milliseconds, None)
                if line.name.startswith("search_"):
                    self._embedding(arguments)
                if line.name in self._role.escalation:
                    self.escalated = True
                return True
            error, milliseconds = self._rng.choice(_ERRORS)
            self._action(line.name, arguments, None, milliseconds, error)
            if attempt == 1:
                self.perform(self.piece("_retry").lines)
        self.perform(self.piece("_failed").lines)
        self.failed = True
        if self._rng.random() < 0.45:
            self.hand_over()
        return False

    def _action(
        self,
        name: str,
        arguments: dict[str, Any],
        response: dict[str, Any] | None,
        usual: int,
        error: str | None,
    ) -> None:
        self.wait(self._rng.uniform(0.1, 0.4))
        slow = 3.5 if self._troubled and error is None else 1.0
        timed_out = error is not None and usual >= 10_000
        spread = 1.0 if timed_out else self._rng.lognormvariate(0, 0.35) * slow
        milliseconds = max(12, int(usual * spread))
        started = self.clock
        self.clock += timedelta(milliseconds=milliseconds)
        self._add(
            "action",
            action_name=name,
            started_at=moment_text(started),
            ended_at=moment_text(self.clock),
            duration_ms=milliseconds,
            tools_used=arguments,
            response=response,
            error_msg=error,
        )

    def _embedding(self, arguments: dict[str, Any]) -> None:
        tokens = self._count(json.dumps(arguments, ensure_ascii=False))
        self._add(
            "token_usage",
            model="text-embedding-3-small",
            prompt_tokens=0,
            completion_tokens=0,
            total_tokens=tokens,
            embedding_tokens=tokens,
        )

    # -- words

    def _word(self, texts: tuple[str, ...]) -> str:
        return self.fill(self._rng.choice(texts))

    def fill(self, text: str) -> str:
        """Replace the slots of a text; each keeps its value for the whole conversation."""
        return _SLOT.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        name, factor = match.groups()
        value = self._slot(name)
        if factor:
            value = str(int(value) * int(factor if factor.isdigit() else self._slot(factor)))
        return value

    def _slot(self, name: str) -> str:
        if name not in self._slots:
            self._slots[name] = self._draw(name)
        return self._slots[name]

    def _draw(self, name: str) -> str:
        rng = self._rng
        if name in self._script.slots:
            return rng.choice(self._script.slots[name])
        if name == "day":
            return day_name(self._language, self._day)
        if name == "date":
            return spoken_date(self._language, self._day)
        if name == "isodate":
            return self._day.isoformat()
        if name == "time":
            return f"{rng.randrange(9, 18)}:{rng.choice(('00', '15', '30', '45'))}"
        if name == "code":
            return f"{self._role.code}{rng.randrange(10_000, 99_999)}"
        raise KeyError(f"the plays of {self._role.slug} have no slot {name!r}")

    def _count(self, text: str) -> int:
        return max(1, round(len(text) / _ONE_TOKEN.get(self._language, 4.0)))

    def _add(self, kind: str, **fields: Any) -> None:
        self.clock += timedelta(microseconds=self._rng.randrange(200, 1800))
        self.items.append(
            {
                "id": self._identifier(),
                "type": kind,
                "timestamp": moment_text(self.clock),
                **fields,
            }
        )

    def _identifier(self) -> str:
        chance = self._rng.getrandbits(12) << 62 | self._rng.getrandbits(62)
        return str(uuid.UUID(bytes=uuid7_of(int(self.clock.timestamp() * 1000), chance)))
