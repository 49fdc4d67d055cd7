"""The list of conversations: its rows, and the places where its pages begin."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from agentsight_server.dashboard.filtering import Applied
from agentsight_server.store.conversations import ConversationRow

PAGE = 50
UNTITLED = "No messages yet"
# So many tools of a conversation are named in its line.
_MANY_TOOLS = 20
# Counting every match of a broad filter would read the whole table; beyond this "10,000+" will do.
COUNT_UP_TO = 10_000

Cursor = tuple[int, int]


class Row(msgspec.Struct):
    """A conversation as a line of the list."""

    id: int
    cursor: str
    href: str
    title: str
    named: bool
    preview: str | None
    who: str
    at: int
    messages: int
    source: str | None
    device: str | None
    country: str | None
    language: str | None
    development: bool
    marked: bool
    tools: list[str]
    failed: list[str]
    handed_over: bool
    sentiment: str | None


def rows(
    found: Iterable[ConversationRow],
    tools: Mapping[int, Sequence[tuple[str, bool]]],
    sentiments: Mapping[int, str],
    titles: Mapping[int, str],
    events: Mapping[int, int],
    applied: Applied,
    handing_over: Collection[str],
) -> list[Row]:
    """The lines of the list.

    Args:
        tools: the tools of each, with whether a run failed.
        sentiments: what was last said of each.
        titles: of those without a name or a question.
        events: the item of each for which the list was opened.
        applied: is kept in their addresses, so that the list stays as it is filtered.
        handing_over: the agent's actions that hand over to a human.
    """
    made = []
    for row in found:
        used = tools.get(row.id, ())
        question = " ".join((row.first_question or "").split())[:300] or None
        made.append(
            Row(
                id=row.id,
                cursor=cursor_text((row.started_at, row.id)),
                href=_address(row, applied, events.get(row.id)),
                title=title_of(row, titles),
                named=bool(row.name),
                preview=question if row.name else None,
                who=row.customer_id or "Anonymous",
                at=row.started_at,
                messages=row.messages,
                source=row.source,
                device=row.device,
                country=row.country,
                language=row.language,
                development=row.environment == "development",
                marked=row.is_marked,
                tools=[name for name, _ in used if name not in handing_over][:_MANY_TOOLS],
                failed=[name for name, failed in used if failed][:_MANY_TOOLS],
                handed_over=any(name in handing_over for name, _ in used),
                sentiment=sentiments.get(row.id),
            )
        )
    return made


def _address(row: ConversationRow, applied: Applied, item: int | None) -> str:
    path = f"/agents/{row.agent_id}/conversations/{row.id}/"
    if item is None:
        return path + applied.query()
    return f"{path}{applied.query(item=str(item))}#item-{item}"


def title_of(row: ConversationRow, titles: Mapping[int, str]) -> str:
    """The name, else the first question, else what else there is to say."""
    question = " ".join((row.first_question or "").split())[:300]
    return row.name or question or titles.get(row.id) or UNTITLED


def cursor_text(cursor: Cursor) -> str:
    """A place in the list, for an address."""
    return f"{cursor[0]}-{cursor[1]}"


def read_cursor(text: str | None) -> Cursor | None:
    """The place in the list that an address names; None for none and for one that is broken."""
    started_at, _, number = (text or "").rpartition("-")
    try:
        cursor = int(started_at), int(number)
    except ValueError:
        return None
    return cursor if -(2**62) < cursor[0] < 2**62 and 0 <= cursor[1] < 2**62 else None
