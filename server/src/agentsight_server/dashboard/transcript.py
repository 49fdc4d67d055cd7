"""From the rows of a transcript to what stands on the page, one after the other."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import msgspec

from agentsight_server.analytics.threads import SessionRow
from agentsight_server.attachments import file_types as filetypes
from agentsight_server.dashboard import formats
from agentsight_server.dashboard.names import Icon
from agentsight_server.dashboard.streamed import Streamed, of_metadata
from agentsight_server.dashboard.texts import Text, Texts
from agentsight_server.domain.agreement import ESCALATIONS
from agentsight_server.store.passages import LONGEST
from agentsight_server.store.schema import (
    ACTION,
    AGENT,
    ATTACHMENTS,
    BUTTON,
    END_USER,
    FEEDBACK,
    MESSAGE,
    TOKEN_USAGE,
)
from agentsight_server.store.transcripts import Entry, FeedbackRow, FileRow, UsageRow, total_usage

# A silence as long as this is shown.
PAUSE = 5 * formats.MINUTE
# Tools whose run means that a human takes over, unless the agent's settings name others.
HANDOVER = frozenset(ESCALATIONS)
# So many text files of one transcript show their beginning; each costs a read.
_SNIPPETS = 20
_MANY_CHOICES, _LONG_CHOICE = 12, 200
_MANY_FILES = 50
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
    error: Text | None
    handover: bool
    arguments: Text | None
    response: Text | None


class Click(msgspec.Struct):
    """A clicked button among the choices that are known to have been offered with it."""

    event: str
    label: str
    value: str
    choices: list[str]


class Turn(msgspec.Struct):
    """One line of the page: `kind` says which of the other fields are set."""

    kind: Literal["day", "pause", "session", "message", "tool", "click", "files", "usage", "opinion"]
    at: int
    id: int = 0
    side: Side = "system"
    first: bool = True
    last: bool = True
    text: Text | None = None
    answered_ms: int | None = None
    pause_ms: int = 0
    number: int = 0  # of a session that begins
    outreach: bool = False
    usage: UsageRow | None = None
    model: str | None = None
    streamed: Streamed | None = None
    files: list[FileCard] = []
    more_files: int = 0
    tool: Tool | None = None
    click: Click | None = None
    opinion: FeedbackRow | None = None
    opinions: list[FeedbackRow] = []  # of this message
    metadata: Text | None = None


class _Beginnings:
    """Which entry of a transcript begins another session."""

    def __init__(self, sessions: Sequence[SessionRow]) -> None:
        self._later = [each for each in sessions if each.ordinal > 1]
        self._starts = [each.started_at for each in self._later]
        self._reached: int | None = None

    def at(self, entry: Entry) -> SessionRow | None:
        """The session that begins with this entry; those of a page are asked for one after the other."""
        reached = bisect_right(self._starts, entry.timestamp)
        first, self._reached = self._reached, reached
        if not reached:
            return None
        session = self._later[reached - 1]
        begins = session.started_at == entry.timestamp if first is None else reached > first
        return session if begins else None


class Shown(msgspec.Struct):
    """A transcript, or a page of it, ready to be shown."""

    turns: list[Turn]
    # The same turns in pieces: a browser lays out only the pieces that are near what is being read.
    pieces: list[list[Turn]]


class Reader:
    """Makes the turns of one page.

    Args:
        tz: the viewer's time zone; it decides where days begin.
        link: the address of a file.
        peek: the first bytes of a stored file, for the preview of a text; None shows no previews.
        handover: names of tools that mean "a human takes over".
        texts: what the page's texts may take.

    Example:
        >>> shown = Reader(tz=timezone.utc).read(transcripts.load(connection, [7])[7].entries)
        >>> shown.turns[0].kind
        'day'
    """

    def __init__(
        self,
        *,
        tz: tzinfo,
        link: Callable[[FileRow], str] = lambda file: "#",
        peek: Callable[[str], bytes] | None = None,
        handover: frozenset[str] = HANDOVER,
        texts: Texts | None = None,
    ) -> None:
        self._tz = tz
        self._link = link
        self._peek = peek
        self._handover = handover
        self._texts = texts or Texts(LONGEST)
        self._snippets = 0

    def read(
        self,
        entries: Iterable[Entry],
        opinions: Sequence[FeedbackRow] = (),
        *,
        shown: Collection[int] = (),
        lead: int = 0,
        ends: bool = True,
        sessions: Sequence[SessionRow] = (),
    ) -> Shown:
        """The turns of a transcript, with days, pauses and beginnings of sessions between them.

        Args:
            opinions: the feedback that stands among the entries, and that of messages among them.
            shown: the numbers of the lines, at which feedback on them is to stand.
            lead: so many of the first entries, usage aside, belong to the page before: they say what is answered
                and when, and are not shown.
            ends: nothing follows.
            sessions: those of the conversation, by their beginning.
        """
        begun = _Beginnings(sessions)
        by_id = {row.id: row for row in opinions}
        of_messages: dict[int, list[FeedbackRow]] = {}
        for row in opinions:
            if row.message is not None and row.message in shown:
                of_messages.setdefault(row.message, []).append(row)
                del by_id[row.id]  # it stands at its message
        turns: list[Turn] = []
        spoken: Turn | None = None  # the last message, whoever said it
        answer: Turn | None = None  # the last of the assistant's that no person has followed yet
        waiting: UsageRow | None = None
        previous: int | None = None
        today: date | None = None
        for entry in entries:
            if entry.kind == TOKEN_USAGE:
                # Usage belongs to an answer: the one before it, else the one that follows.
                if answer is not None and entry.usage is not None:
                    answer.usage = _sum(answer.usage, entry.usage)
                elif entry.usage is not None:
                    waiting = _sum(waiting, entry.usage)
                continue
            before = lead > 0
            lead -= before
            turn = self._bare(entry) if before else self._turn(entry, by_id)
            if turn is None:
                continue
            turn.opinions = of_messages.get(entry.id, [])
            day = formats.local(entry.timestamp, self._tz).date()
            session = begun.at(entry) if entry.kind != FEEDBACK else None
            if before:
                pass  # a page begins with its day
            elif session is not None:
                pause_ms = (entry.timestamp - previous) // 1000 if previous is not None else 0
                divider = Turn("session", entry.timestamp, pause_ms=pause_ms)
                divider.number, divider.outreach = session.ordinal, session.outreach
                turns.append(divider)
                if day != today:
                    turns.append(Turn("day", entry.timestamp))
                    today = day
            elif day != today:
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
            if not before:
                turns.append(turn)
        if waiting is not None and ends:
            turns.append(Turn("usage", previous or 0, usage=waiting))
        _join_runs(turns)
        return Shown(turns, [turns[start : start + _PIECE] for start in range(0, len(turns), _PIECE)])

    def _bare(self, entry: Entry) -> Turn | None:
        """Who said something when, for what follows."""
        said = entry.kind != ATTACHMENTS and (entry.content or "").strip()
        kind: Literal["message", "files", "tool"] = "tool"
        if entry.kind in (MESSAGE, ATTACHMENTS):
            kind = "message" if said else "files"
        return Turn(kind, entry.timestamp, entry.id, _SIDES.get(entry.sender, "system"))

    def _turn(self, entry: Entry, opinions: Mapping[int, FeedbackRow]) -> Turn | None:
        side = _SIDES.get(entry.sender, "system")
        told, rest = of_metadata(entry.metadata) if entry.kind == MESSAGE else (None, entry.metadata)
        model = _only_model(rest) if rest and len(rest) <= 300 else None
        # What is told beside the message, in words, is no detail; where there are details they are whole.
        metadata = None if model or rest is None else self._texts.details(entry.metadata)
        if entry.kind == ACTION and entry.action is not None:
            return Turn("tool", entry.timestamp, entry.id, "agent", tool=self._tool(entry), metadata=metadata)
        if entry.kind == BUTTON and entry.button is not None:
            button = entry.button
            click = Click(
                button.button_event, button.label, button.value, _offered(entry.metadata, button.label)
            )
            return Turn("click", entry.timestamp, entry.id, "user", click=click, metadata=metadata)
        if entry.kind == FEEDBACK:
            opinion = opinions.get(entry.id)
            return Turn("opinion", entry.timestamp, entry.id, opinion=opinion) if opinion else None
        files = [self._file(file) for file in entry.files[:_MANY_FILES]]
        text = (entry.content or "").strip()
        if not text and not files:
            return None
        kind: Literal["files", "message"] = "files" if entry.kind == ATTACHMENTS and not text else "message"
        turn = Turn(kind, entry.timestamp, entry.id, side, files=files, metadata=metadata, model=model)
        turn.streamed = told
        turn.more_files = len(entry.files) - len(files)
        if text:
            turn.text = self._texts.said(entry.content or "", written=side == "agent")
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
            error=self._texts.raw(action.error_msg),
            handover=action.action_name in self._handover,
            arguments=self._texts.details(action.tools_used),
            response=self._texts.details(action.response),
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


def _offered(metadata: str | None, clicked: str) -> list[str]:
    """The choices that the click's metadata names as its `options`; nobody else knows what was there to be clicked."""
    options: object = None
    if metadata and '"options"' in metadata:
        try:
            options = msgspec.json.decode(metadata)["options"]
        except (ValueError, RecursionError, LookupError, TypeError):
            options = None
    given = options if isinstance(options, list) else []
    named = [each.get("label") if isinstance(each, dict) else each for each in given[:_MANY_CHOICES]]
    known = list(
        dict.fromkeys(each for each in named if isinstance(each, str) and 0 < len(each) <= _LONG_CHOICE)
    )
    return known if clicked in known else [*known, clicked]


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
