"""The notation in which the dialogues of the demo are written, and its reader.

One file holds what one agent says in one language::

    @ fee: 25 || 30           a slot and its possible values; 2..6 is a range of whole numbers
    == parking | Parking      a story: its topic and the title of the conversation
    u: Where can I park? || Do you have a garage?
    t: reserve {"day": "{isodate}"} => {"space": 12} ~260
    a: Yes, **€{fee}** a day. || Of course.
    b: choice | Yes=yes*5 | No=no
    (yes) a: Reserved.
    f: agent document ticket.pdf | Here is your ticket.
    ?40                       what follows happens in 40 % of the conversations ...
    ?.                        ... up to here

``u`` is the user, ``a`` the agent (``a=``: the wording with the same number as the user's last), ``s`` the
system, ``t`` a tool (arguments, response, usual duration in ms), ``b`` a button with its choices and weights,
``f`` a file. `` || `` separates wordings of which one is taken; a value in parentheses makes a line depend on
the button chosen last. Stories whose name begins with ``_`` are shared pieces; ``_good``, ``_neutral`` and ``_bad``
hold what customers write afterwards, a line each, some for one ``(topic)`` alone.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from dataclasses import dataclass, field

__all__ = ["Choice", "Line", "Script", "Story", "load", "read"]


@dataclass(frozen=True)
class Choice:
    """A button: its label, its value, and how often it is chosen against its siblings."""

    label: str
    value: str
    weight: int = 1


@dataclass(frozen=True)
class Line:
    """One line of a story. ``kind`` is u, a, a=, s, t, b or f; the other fields depend on it.

    ``texts``: wordings (u, a, s), captions (f). ``name``: tool, button event, or file name. ``block``: number and
    chance (per cent) of the optional block that the line belongs to.
    """

    kind: str
    texts: tuple[str, ...] = ()
    name: str = ""
    arguments: str = ""
    response: str = ""
    milliseconds: int = 0
    choices: tuple[Choice, ...] = ()
    sender: str = ""
    file_kind: str = ""
    when: str | None = None
    block: tuple[int, int] | None = None


@dataclass
class Story:
    """A topic: a conversation's title and its lines."""

    topic: str
    title: str
    lines: list[Line] = field(default_factory=list)


@dataclass
class Script:
    """All that one agent says in one language."""

    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stories: list[Story] = field(default_factory=list)
    pieces: dict[str, Story] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)

    def comments_on(self, topic: str, kind: str) -> list[str]:
        """Return what customers may write about a topic; ``kind`` is good, neutral or bad."""
        fitting = []
        for comment in self.comments[kind]:
            about, _, text = comment.rpartition(") ")
            if not about or about == f"({topic}":
                fitting.append(text)
        return fitting


class ScriptError(ValueError):
    """A line that cannot be read; the text names it."""


@functools.cache
def load(agent: str, language: str) -> Script:
    """Read the script of an agent ("hotel") in a language ("de") from the package.

    Example:
        >>> load("hotel", "en").stories[0].topic
        'late_checkout'
    """
    folder = importlib.resources.files("agentsight_server.demo") / "stories"
    return read((folder / f"{agent}.{language}.story").read_text(encoding="utf-8"))


def read(text: str) -> Script:
    """Read a script from its text.

    Raises:
        ScriptError: a line is none of the notation's.
    """
    script = Script()
    story: Story | None = None
    block: tuple[int, int] | None = None
    blocks = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("@"):
                name, _, values = line[1:].partition(":")
                script.slots[name.strip()] = _wordings(values)
            elif line.startswith("=="):
                topic, _, title = line[2:].partition(" | ")
                story, block = Story(topic.strip(), title.strip()), None
                if story.topic.startswith("_"):
                    script.pieces[story.topic] = story
                else:
                    script.stories.append(story)
            elif story is None:
                raise ScriptError("a line outside of any story")
            elif line == "?.":
                block = None
            elif line.startswith("?"):
                blocks += 1
                block = (blocks, int(line[1:]))
            elif line.startswith("- "):
                script.comments.setdefault(story.topic.lstrip("_"), []).append(line[2:])
            else:
                story.lines.append(_line(line, block))
        except ValueError as error:
            raise ScriptError(f"line {number}: {error}: {raw!r}") from None
    return script


def _line(text: str, block: tuple[int, int] | None) -> Line:
    match = re.fullmatch(r"(?:\((\w+)\) )?(a=|[uastbf]): (.+)", text)
    if match is None:
        raise ValueError("not a line of the notation")
    when, kind, rest = match.groups()
    if kind == "t":
        tool = re.fullmatch(r"(\w+) (\{.*\}) => (\{.*\}) ~(\d+)", rest)
        if tool is None:
            raise ValueError("a tool line reads: name {arguments} => {response} ~milliseconds")
        name, arguments, response, milliseconds = tool.groups()
        return Line(
            kind, (), name, arguments, response, milliseconds=int(milliseconds), when=when, block=block
        )
    if kind == "b":
        event, *choices = rest.split(" | ")
        return Line(kind, name=event.strip(), choices=tuple(map(_choice, choices)), when=when, block=block)
    if kind == "f":
        what, _, captions = rest.partition(" | ")
        sender, file_kind, name = what.split()
        return Line(
            kind, _wordings(captions), name, sender=sender, file_kind=file_kind, when=when, block=block
        )
    return Line(kind, _wordings(rest), when=when, block=block)


def _wordings(text: str) -> tuple[str, ...]:
    if span := re.fullmatch(r"\s*(\d+)\.\.(\d+)\s*", text):
        return tuple(map(str, range(int(span[1]), int(span[2]) + 1)))
    return tuple(part.strip().replace("\\n", "\n") for part in text.split(" || "))


def _choice(text: str) -> Choice:
    label, _, rest = text.strip().rpartition("=")
    value, _, weight = rest.partition("*")
    if not label or not value:
        raise ValueError("a choice reads: Label=value or Label=value*weight")
    return Choice(label, value, int(weight or 1))
