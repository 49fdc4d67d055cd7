"""From the rows of a transcript to what stands on the page, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import msgspec
from markupsafe import Markup

from agentsight.server import filetypes
from agentsight.server.dashboard import formats
from agentsight.server.dashboard.markdown import markdown, plain, pretty
from agentsight.server.dashboard.names import Icon
from agentsight.server.store.agents import ESCALATIONS
from agentsight.server.store.schema import ACTION, AGENT, ATTACHMENTS, BUTTON, END_USER, FEEDBACK, TOKEN_USAGE
from agentsight.server.store.transcripts import Entry, FeedbackRow, FileRow, Transcript, UsageRow, total_usage

# A silence as long as this is shown.
PAUSE = 5 * formats.MINUTE
# A message longer than this scrolls inside its bubble.
HUGE = 6_000
# Tools whose run means that a human takes over, unless the agent's settings name others.
HANDOVER = frozenset(ESCALATIONS)
# So many text files of one transcript show their beginning; each costs a read.
_SNIPPETS = 20
_MANY_CHOICES = 12
_PIECE = 40
_FILE_ICONS = {
    "image": Icon("photo"),
    "video": Icon("movie"),
    "audio": Icon("volume"),
    "text": Icon("file-text"),
    "document": Icon("file-description"),
}

Side = Literal["agent", "user", "system"]
_SIDES: dict[int | None, Side] = {AGENT: "agent", END_USER: "user"}


class FileCard(msgspec.Struct):
    """A file as a card."""

    id: int
    name: str
    kind: str
    mime_type: str
    size: int
    url: str
    opens: bool
    icon: Icon
    snippet: str | None = None


class Tool(msgspec.Struct):
    """A tool call as one line that opens."""

    name: str
    duration_ms: int | None
    failed: bool
    error: str | None
    handover: bool
    arguments: Markup | None
    response: Markup | None


class Click(msgspec.Struct):
    """A clicked button among the choices known for its event."""

    event: str
    label: str
    value: str
    choices: list[str]


class Turn(msgspec.Struct):
    """One line of the page: `kind` says which of the other fields are set."""

    kind: Literal["day", "pause", "message", "tool", "click", "files", "usage", "opinion"]
    at: int
    id: int = 0
    side: Side = "system"
    first: bool = True
    last: bool = True
    text: Markup | None = None
    huge: bool = False
    answered_ms: int | None = None
    pause_ms: int = 0
    usage: UsageRow | None = None
    model: str | None = None
    files: list[FileCard] = []
    tool: Tool | None = None
    click: Click | None = None
    opinion: FeedbackRow | None = None
    opinions: list[FeedbackRow] = []  # of this message
    metadata: Markup | None = None


class Shown(msgspec.Struct):
    """A whole transcript, ready for the page."""

    turns: list[Turn]
    # The same turns in pieces: a browser lays out only the pieces that are near what is being read.
    pieces: list[list[Turn]]
    messages: int
    tools: int
    failed: int
    usage: UsageRow | None
    models: list[tuple[str, int]]


class Reader:
    """Makes the turns of one transcript.

    Args:
        tz: the viewer's time zone; it decides where days begin.
        choices: for each button event the labels ever clicked.
        link: the address of a file.
        peek: the first bytes of a stored file, for the preview of a text; None shows no previews.
        handover: names of tools that mean "a human takes over".

    Example:
        >>> shown = Reader(tz=timezone.utc).read(transcripts.load(connection, [7])[7])
        >>> shown.turns[0].kind
        'day'
    """

    def __init__(
        self,
        *,
        tz: tzinfo,
        choices: Mapping[str, Sequence[str]] | None = None,
        link: Callable[[FileRow], str] = lambda file: "#",
        peek: Callable[[str], bytes] | None = None,
        handover: frozenset[str] = HANDOVER,
    ) -> None:
        self._tz = tz
        self._choices = choices or {}
        self._link = link
        self._peek = peek
        self._handover = handover
        self._snippets = 0

    def read(self, transcript: Transcript) -> Shown:
        """The turns of a transcript, with days and pauses between them."""
        opinions = {row.id: row for row in transcript.feedbacks}
        here = {entry.id for entry in transcript.entries}
        of_messages: dict[int, list[FeedbackRow]] = {}
        for row in transcript.feedbacks:
            if row.message in here:
                of_messages.setdefault(row.message, []).append(row)
                del opinions[row.id]  # it stands at its message
        turns: list[Turn] = []
        spoken: Turn | None = None  # the last message, whoever said it
        answer: Turn | None = None  # the last of the assistant's that no person has followed yet
        waiting: UsageRow | None = None
        previous: int | None = None
        today: date | None = None
        for entry in transcript.entries:
            if entry.kind == TOKEN_USAGE:
                # Usage belongs to an answer: the one before it, else the one that follows.
                if answer is not None and entry.usage is not None:
                    answer.usage = _sum(answer.usage, entry.usage)
                elif entry.usage is not None:
                    waiting = _sum(waiting, entry.usage)
                continue
            turn = self._turn(entry, opinions)
            if turn is None:
                continue
            turn.opinions = of_messages.get(entry.id, [])
            day = formats.local(entry.timestamp, self._tz).date()
            if day != today:
                turns.append(Turn("day", entry.timestamp))
                today = day
            elif previous is not None and entry.timestamp - previous >= PAUSE:
                turns.append(Turn("pause", entry.timestamp, pause_ms=(entry.timestamp - previous) // 1000))
            previous = entry.timestamp
            if turn.kind == "message" and turn.side == "agent":
                turn.usage, waiting = waiting, None
                if spoken is not None and spoken.side == "user":
                    turn.answered_ms = (turn.at - spoken.at) // 1000
            if turn.kind in ("message", "files") and turn.side != "system":
                spoken = turn
            if turn.side == "user":
                answer = None
            elif turn.kind == "message" and turn.side == "agent":
                answer = turn
            turns.append(turn)
        if waiting is not None:
            turns.append(Turn("usage", previous or 0, usage=waiting))
        _join_runs(turns)
        tools = [turn.tool for turn in turns if turn.tool is not None]
        return Shown(
            turns,
            [turns[start : start + _PIECE] for start in range(0, len(turns), _PIECE)],
            messages=sum(turn.kind == "message" and turn.side != "system" for turn in turns),
            tools=len(tools),
            failed=sum(tool.failed for tool in tools),
            usage=_total(transcript.entries),
            models=_models(transcript.entries),
        )

    def _turn(self, entry: Entry, opinions: Mapping[int, FeedbackRow]) -> Turn | None:
        side = _SIDES.get(entry.sender, "system")
        model = _only_model(entry.metadata) if entry.metadata and len(entry.metadata) <= 300 else None
        metadata = None if model else _details(entry.metadata)
        if entry.kind == ACTION and entry.action is not None:
            return Turn("tool", entry.timestamp, entry.id, "agent", tool=self._tool(entry), metadata=metadata)
        if entry.kind == BUTTON and entry.button is not None:
            button = entry.button
            known = list(self._choices.get(button.button_event, ()))[:_MANY_CHOICES]
            if button.label not in known:
                known.append(button.label)
            click = Click(button.button_event, button.label, button.value, known)
            return Turn("click", entry.timestamp, entry.id, "user", click=click, metadata=metadata)
        if entry.kind == FEEDBACK:
            opinion = opinions.get(entry.id)
            return Turn("opinion", entry.timestamp, entry.id, opinion=opinion) if opinion else None
        files = [self._file(file) for file in entry.files]
        text = (entry.content or "").strip()
        if not text and not files:
            return None
        kind: Literal["files", "message"] = "files" if entry.kind == ATTACHMENTS and not text else "message"
        turn = Turn(kind, entry.timestamp, entry.id, side, files=files, metadata=metadata, model=model)
        if text:
            turn.text = markdown(text) if side == "agent" else plain(text)
            turn.huge = len(text) > HUGE
        return turn

    def _tool(self, entry: Entry) -> Tool:
        action = entry.action
        assert action is not None
        duration = action.duration_ms
        if duration is None and action.started_at is not None and action.ended_at is not None:
            duration = (action.ended_at - action.started_at) // 1000
        return Tool(
            name=action.action_name,
            duration_ms=duration,
            failed=action.error_msg is not None,
            error=action.error_msg,
            handover=action.action_name in self._handover,
            arguments=_details(action.tools_used),
            response=_details(action.response),
        )

    def _file(self, file: FileRow) -> FileCard:
        card = FileCard(
            id=file.id,
            name=file.filename,
            kind=filetypes.file_kind(file.mime_type, file.filename),
            mime_type=file.mime_type,
            size=file.size_bytes,
            url=self._link(file),
            opens=filetypes.shown_inline(file.mime_type),
            icon=_icon(file),
        )
        if card.kind == "text" and self._peek is not None and self._snippets < _SNIPPETS:
            self._snippets += 1
            # Bytes cut in the middle of a character leave nothing behind.
            card.snippet = self._peek(file.sha256).decode("utf-8", "ignore").strip() or None
        return card


def _icon(file: FileRow) -> Icon:
    if file.mime_type == "application/pdf":
        return Icon("file-type-pdf")
    kind = filetypes.file_kind(file.mime_type, file.filename)
    return _FILE_ICONS.get(kind, Icon("file"))


def _join_runs(turns: Sequence[Turn]) -> None:
    """Mark where one side's run of bubbles begins and ends."""
    bubbles = ("message", "files", "click")
    for one, other in pairwise(turns):
        if one.kind in bubbles and other.kind in bubbles and one.side == other.side:
            one.last = other.first = False


def _sum(one: UsageRow | None, other: UsageRow) -> UsageRow:
    if one is None:
        return other
    total = total_usage((one, other))
    return msgspec.structs.replace(total, model=other.model or one.model)


def _total(entries: Sequence[Entry]) -> UsageRow | None:
    total: UsageRow | None = None
    for entry in entries:
        if entry.usage is not None:
            total = _sum(total, entry.usage)
    return total


def _models(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """Models by the tokens they took."""
    totals: dict[str, int] = {}
    for entry in entries:
        if entry.usage is not None and entry.usage.model:
            totals[entry.usage.model] = totals.get(entry.usage.model, 0) + entry.usage.total_tokens
    return sorted(totals.items(), key=lambda item: -item[1])


def _details(text: str | None) -> Markup | None:
    """JSON text as it is shown, or None where there is nothing in it."""
    if not text or text in ("{}", "null", "[]", '""'):
        return None
    # Metadata says the same beside every message of a bot; what is short is kept.
    return _short_details(text) if len(text) <= 300 else _shown(text)


@lru_cache(maxsize=2_000)
def _short_details(text: str) -> Markup | None:
    return _shown(text)


def _shown(text: str) -> Markup | None:
    value: Any
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        value = text
    return None if value in (None, {}, [], "") else pretty(value)


@lru_cache(maxsize=500)
def _only_model(text: str) -> str | None:
    """The model's name, where the metadata says that and nothing else."""
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("model"), str):
        return str(value["model"])
    return None
