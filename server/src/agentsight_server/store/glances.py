"""What the list says of a conversation at a glance. Every function takes numbers of conversations that the caller may
see, and reads a bounded part of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, case, func, or_, select

from agentsight_server.domain.filters import Filters
from agentsight_server.store import events
from agentsight_server.store.schema import (
    ACTION,
    ATTACHMENTS,
    BUTTON,
    MESSAGE,
    actions,
    attachments,
    buttons,
    feedbacks,
    items,
)

# Tools of a conversation that are told apart.
_MOST_TOOLS = 50
# A conversation's first items, among which something is found to call it by.
_FIRST = 20
_LONGEST = 300


def tools_of(
    connection: Connection, numbers: Sequence[int], always: Collection[str] = ()
) -> dict[int, list[tuple[str, bool]]]:
    """For each conversation the tools that it used, each once, with whether one of its runs failed.

    Of very many tools those that failed, and the first ones; those named in `always` in any case.
    """
    failed = func.max(case((actions.c.error_msg.is_not(None), 1), else_=0)).label("failed")
    first = func.min(actions.c.item).label("first")
    tools = (
        select(actions.c.conversation, actions.c.action_name, failed, first)
        .where(actions.c.conversation.in_(numbers))
        .group_by(actions.c.conversation, actions.c.action_name)
        .subquery()
    )
    place = (
        func.row_number()
        .over(partition_by=tools.c.conversation, order_by=(tools.c.failed.desc(), tools.c.first))
        .label("place")
    )
    ranked = select(tools, place).subquery()
    query = (
        select(ranked.c.conversation, ranked.c.action_name, ranked.c.failed)
        .where(or_(ranked.c.place <= _MOST_TOOLS, ranked.c.action_name.in_(list(always))))
        .order_by(ranked.c.first)
    )
    found: dict[int, list[tuple[str, bool]]] = {}
    for number, name, some in connection.execute(query):
        found.setdefault(number, []).append((name, bool(some)))
    return found


def sentiments_of(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """What was last said of each conversation, by whomever."""
    place = (
        func.row_number()
        .over(partition_by=feedbacks.c.conversation, order_by=(items.c.timestamp.desc(), items.c.id.desc()))
        .label("place")
    )
    ranked = (
        select(feedbacks.c.conversation, feedbacks.c.sentiment, place)
        .join(items, items.c.id == feedbacks.c.item)
        .where(feedbacks.c.conversation.in_(numbers))
        .subquery()
    )
    query = select(ranked.c.conversation, ranked.c.sentiment).where(ranked.c.place == 1)
    return {row.conversation: row.sentiment for row in connection.execute(query)}


def first_events(connection: Connection, filters: Filters, numbers: Sequence[int]) -> dict[int, int]:
    """For each conversation the first line that is the event which `filters` look for.

    Example:
        >>> first_events(connection, Filters(event="tool", event_failed=True), [7])
        {7: 1234}
    """
    found = {}
    for number in numbers:
        query = events.event_lines(filters, number)
        item = None if query is None else connection.execute(query).scalar()
        if item is not None:
            found[number] = int(item)
    return found


def openings(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """What to call conversations in which no person has written anything: what they clicked or sent, else what the
    agent said or did."""
    kinds = (BUTTON, ATTACHMENTS, MESSAGE, ACTION)
    best: dict[int, tuple[int, int, str]] = {}
    for number in numbers:
        query = (
            select(items.c.id, items.c.kind, func.substr(items.c.content, 1, _LONGEST))
            .where(items.c.conversation == number)
            .order_by(items.c.timestamp, items.c.id)
            .limit(_FIRST)
        )
        rows = [(kinds.index(row[1]), *row) for row in connection.execute(query) if row[1] in kinds]
        if rows:
            rank, item, _, said = min(rows, key=lambda row: row[0])
            best[number] = rank, item, " ".join((said or "").split())
    chosen = {item: number for number, (_, item, _) in best.items()}
    found = {number: said for number, (_, _, said) in best.items() if said}
    clicked = select(buttons.c.item, buttons.c.label).where(buttons.c.item.in_(chosen))
    for item, label in connection.execute(clicked):
        found[chosen[item]] = f"Clicked “{label[:_LONGEST]}”"
    sent = select(attachments.c.item, func.min(attachments.c.filename)).where(attachments.c.item.in_(chosen))
    for item, name in connection.execute(sent.group_by(attachments.c.item)):
        if not best[chosen[item]][2]:
            found[chosen[item]] = f"Sent {name}"
    ran = select(actions.c.item, actions.c.action_name).where(actions.c.item.in_(chosen))
    for item, name in connection.execute(ran):
        found[chosen[item]] = f"Ran {name}"
    return found
