"""From what changed in the store to columns: the whole meaning of the facts, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from agentsight_server.analytics.engine import (
    TABLES,
    Batch,
    Columns,
    Execute,
    Known,
    known,
    session_id,
    sessions_where,
)
from agentsight_server.analytics.sessions import (
    Session,
    Thread,
    copied,
    is_cut_otherwise,
    values_of,
)
from agentsight_server.analytics.texts import asks, fingerprint
from agentsight_server.domain import pauses
from agentsight_server.store import changes
from agentsight_server.store.changes import ChangedRow, Items
from agentsight_server.store.messages import PARTIES, WRITTEN
from agentsight_server.store.schema import BUTTON, END_USER

# {agent: {source: microseconds}}, see domain/pauses.py.
Pauses = Mapping[int, Mapping[str, int]]
_COMMON = len(("item", "session", "agent", "production", "counted", "moment"))


def collect(
    connection: Connection,
    execute: Execute,
    rows: Sequence[ChangedRow],
    pauses_of: Pauses,
    since: int,
    upto: int,
    gone: Sequence[int] = (),
) -> Batch:
    """The batch that brings the engine from `since` up to `upto`.

    Args:
        connection: the moment of the store at which `rows` were read.
        execute: asks the engine what it has.
        rows: the conversations that changed (store.changes.since).
        pauses_of: the pauses by which the engine's sessions are cut.
        gone: conversations that were erased for good; the store may have no row of them any more.

    A conversation that the engine has and that only grew costs its new items and the row of its last session. Where
    an item comes late, the sessions from the one it touches on are taken anew; where one of its items has changed,
    or what cuts it, the whole conversation is.
    """
    there = known(execute, [*(row.id for row in rows), *gone])
    live = [row for row in rows if not row.is_deleted]
    threads = {row.id: _thread(row, pauses_of, there.get(row.id)) for row in live}
    anew = {
        row.id
        for row in live
        if (has := there.get(row.id)) is not None
        and (
            row.rewritten > since
            or (
                threads[row.id].fields != has.fields
                and is_cut_otherwise(row, threads[row.id].pause, has, pauses_of.get(row.agent_id, {}))
            )
        )
    }
    items = changes.items_of(
        connection, {number: thread.last_item for number, thread in threads.items() if number not in anew}
    )
    touched = _touched(execute, items, threads, there)
    anew |= {number for number, from_here in touched.items() if from_here is None}
    if anew or touched:
        items = _again(connection, items, threads, anew, touched)
    batch = Batch(upto, erases=bool(gone), tables=_tables(items, threads))
    _replace(execute, batch, live, threads, there)
    for number in [*(row.id for row in rows if row.is_deleted), *gone]:
        if number in there:
            batch.replaced.append(number)
            batch.sessions_from[number] = batch.facts_from[number] = 0
    for number in anew:
        if number in there:
            batch.facts_from[number] = 0
    for number, from_here in touched.items():
        if from_here is not None and number not in anew:
            batch.facts_from[number] = threads[number].first_written
    return batch


def fresh(connection: Connection, rows: Sequence[ChangedRow], pauses_of: Pauses) -> dict[str, Columns]:
    """The columns of conversations as if the engine had nothing of them."""
    threads = {row.id: _thread(row, pauses_of, None) for row in rows if not row.is_deleted}
    items = changes.items_of(connection, dict.fromkeys(threads, 0))
    tables = _tables(items, threads)
    _add_rows(tables, [row for row in rows if not row.is_deleted], threads, {})
    return tables


def _thread(row: ChangedRow, pauses_of: Pauses, has: Known | None) -> Thread:
    pause = pauses.pause(row.source, pauses_of.get(row.agent_id, {}))
    thread = Thread(row, pause, has.last_item if has else 0)
    if has:
        thread.go_on(has.last)
    return thread


class Touched(NamedTuple):
    """From where a conversation is taken anew: a session's beginning, and the row of the session before it."""

    since: int
    before: dict[str, Any]


def _touched(
    execute: Execute, items: Items, threads: Mapping[int, Thread], there: Mapping[int, Known]
) -> dict[int, Touched | None]:
    """Conversations in which sessions that were written are not what they were; None: from the first one on."""
    late: dict[int, int] = {}
    for _, number, moment, kind, sender, _ in items.made:
        if number not in there:
            continue
        thread = threads[number]
        last = thread.current
        if last.last_at is not None and (
            moment < last.last_at
            # What it may begin would take usage and feedback along.
            or (
                last.loose_at is not None and moment <= last.loose_at and moment - last.last_at > thread.pause
            )
            # Somebody answers: what is there counts from now on.
            or (not last.counted and (kind == BUTTON or sender == END_USER))
        ):
            late[number] = min(moment, late.get(number, last.last_at))
    for _, number, moment, *_ in (*items.usage, *items.feedback):
        if (
            number in there
            and moment < threads[number].current.started_at
            and threads[number].current.ordinal > 1
        ):
            late[number] = min(moment, late.get(number, moment))
    found: dict[int, Touched | None] = {}
    for number, moment in late.items():
        last = threads[number].current
        ordinal, since = last.ordinal, last.started_at
        if ordinal > 1 and moment < since:
            ordinal, since = _running(execute, number, moment)
        if ordinal == 1:
            found[number] = None
        else:
            (before,) = sessions_where(execute, f"id = {session_id(number, ordinal - 1)}")
            found[number] = Touched(since, before)
    return found


def _running(execute: Execute, conversation: int, moment: int) -> tuple[int, int]:
    """The ordinal and the beginning of the session that runs at a moment."""
    rows = execute(
        f"SELECT ordinal, started_at FROM sessions WHERE conversation = {conversation} "  # noqa: S608
        f"AND (started_at <= {moment} OR ordinal = 1) ORDER BY ordinal DESC LIMIT 1",
        (),
    )
    return rows[0][0], rows[0][1]


def _again(
    connection: Connection,
    items: Items,
    threads: dict[int, Thread],
    anew: set[int],
    touched: Mapping[int, Touched | None],
) -> Items:
    """Read once more what has to be taken anew, in place of what is new of it."""
    for number in anew:
        threads[number] = Thread(threads[number].row, threads[number].pause)
    since = {}
    for number, from_here in touched.items():
        if from_here is not None and number not in anew:
            threads[number].go_on_after(from_here.before)
            since[number] = from_here.since
    parts = [
        changes.items_of(connection, dict.fromkeys(anew, 0)),
        changes.items_of(connection, since, by_time=True),
    ]
    read = anew | since.keys()
    merged = Items()
    for name in Items.__struct_fields__:
        kept = [item for item in getattr(items, name) if item[1] not in read]
        setattr(merged, name, kept + [item for part in parts for item in getattr(part, name)])
    return merged


def _tables(items: Items, threads: Mapping[int, Thread]) -> dict[str, Columns]:
    """The facts; afterwards the threads have their sessions."""
    messages, placed = _made(items, threads)
    tables = {
        "messages": messages,
        "actions": _facts("actions", items.actions, threads, placed),
        "clicks": _facts("clicks", items.clicks, threads, placed),
        "usage": _facts("usage", items.usage, threads, _loose(items.usage, threads)),
        "feedback": _feedback(items.feedback, threads),
    }
    return {name: columns for name, columns in tables.items() if columns["item"]}


def _made(items: Items, threads: Mapping[int, Thread]) -> tuple[Columns, dict[int, Session]]:
    """Cut conversations into sessions; the facts of messages, and in which session the other items are."""
    columns: Columns = {name: [] for name in TABLES["messages"]}
    numbers, _, _, _, _, moments, from_users, responses, texts, questions = columns.values()
    owners: list[Session] = []
    of: list[Thread] = []
    placed: dict[int, Session] = {}
    for number, conversation, moment, kind, sender, text in items.made:
        thread = threads[conversation]
        session = thread.current
        written = kind in WRITTEN and sender in PARTIES
        asked = written and sender == END_USER
        by_user = asked or kind == BUTTON
        last_at = session.last_at
        if session is thread.untouched or (last_at is not None and moment - last_at > thread.pause):
            pause = moment - (last_at or 0)
            if by_user or not session.last_asked or pause > pauses.LATE_ANSWER or session is thread.untouched:
                session = thread.begin(moment, outreach=not by_user)
        session.last_at = moment
        session.last_asked = asked
        if by_user:
            session.taken_up = True
        if moment > session.ended_at:
            session.ended_at = moment
        if number > thread.last_item:
            thread.last_item = number
        if not written:
            placed[number] = session
            continue
        owners.append(session)
        of.append(thread)
        numbers.append(number)
        moments.append(moment)
        from_users.append(asked)
        responses.append(moment - session.last_said_at if session.last_from_user and not asked else None)
        session.last_said_at = moment
        session.last_from_user = asked
        session.last_message = number
        session.last_text = fingerprint(text)
        session.last_asks = asks(text)
        texts.append(session.last_text)
        questions.append(session.last_asks)
        session.messages += 1
        session.user_messages += asked
    _whose(columns, owners, of)
    return columns, placed


def _whose(columns: Columns, owners: Sequence[Session], threads: Sequence[Thread]) -> None:
    """Fill in whose facts they are, once all of their sessions are known."""
    columns["session"] = [each.id for each in owners]
    columns["counted"] = [each.counted for each in owners]
    columns["agent"] = [each.row.agent_id for each in threads]
    columns["production"] = [bool(each.row.production) for each in threads]


def _loose(found: Sequence[Sequence[Any]], threads: Mapping[int, Thread]) -> dict[int, Session]:
    """In which session usage and feedback are: the one that runs at their time."""
    placed = {}
    for number, conversation, moment, *_ in found:
        thread = threads[conversation]
        session = placed[number] = thread.running(moment)
        if session.loose_at is None or moment > session.loose_at:
            session.loose_at = moment
        if number > thread.last_item:
            thread.last_item = number
    return placed


def _facts(
    table: str, found: Sequence[Sequence[Any]], threads: Mapping[int, Thread], placed: Mapping[int, Session]
) -> Columns:
    columns: Columns = {name: [] for name in TABLES[table]}
    if not found:
        return columns
    numbers, conversations, moments, *details = zip(*found, strict=True)
    columns["item"] = list(numbers)
    columns["moment"] = list(moments)
    _whose(columns, [placed[each] for each in numbers], [threads[each] for each in conversations])
    for name, values in zip(list(columns)[_COMMON:], details, strict=True):
        columns[name] = list(map(bool, values)) if name == "failed" else list(values)
    if table == "usage":
        for number, moment in zip(numbers, moments, strict=True):
            session = placed[number]
            session.ended_at = max(session.ended_at, moment)
    return columns


def _feedback(found: Sequence[Sequence[Any]], threads: Mapping[int, Thread]) -> Columns:
    """What customers said; what the team noted is not counted, but it has been seen."""
    placed = _loose(found, threads)
    customers = [item for item in found if item[4] == "customer"]
    for number, _, moment, sentiment, _ in customers:
        placed[number].judge(sentiment, moment)
    return _facts("feedback", [item[:4] for item in customers], threads, placed)


def _replace(
    execute: Execute,
    batch: Batch,
    live: Sequence[ChangedRow],
    threads: Mapping[int, Thread],
    there: Mapping[int, Known],
) -> None:
    """Say which rows make way, and add those that come."""
    respelled = []
    for row in live:
        has = there.get(row.id)
        if has is None:
            continue
        batch.replaced.append(row.id)
        batch.sessions_from[row.id] = threads[row.id].first_written
        if has.sessions > 1 and threads[row.id].fields != has.fields:
            respelled.append(row.id)
    earlier: dict[int, list[dict[str, Any]]] = {}
    if respelled:
        listed = ", ".join(map(str, respelled))
        for session in sessions_where(execute, f"conversation IN ({listed})"):
            number = session["conversation"]
            if session["id"] < threads[number].first_written:
                earlier.setdefault(number, []).append(session)
    batch.sessions_from |= dict.fromkeys(respelled, 0)
    _add_rows(batch.tables, live, threads, earlier)


def _add_rows(
    tables: dict[str, Columns],
    rows: Sequence[ChangedRow],
    threads: Mapping[int, Thread],
    earlier: Mapping[int, Sequence[dict[str, Any]]],
) -> None:
    """Add the rows of conversations and of their sessions; `earlier`: such as only their fields have changed of."""
    conversations: Columns = {name: [] for name in TABLES["conversations"]}
    sessions: Columns = {name: [] for name in TABLES["sessions"]}
    add = [(name, values.append) for name, values in sessions.items()]
    for row in rows:
        thread = threads[row.id]
        fields = (
            row.id,
            row.agent_id,
            thread.fields,
            row.started_at,
            thread.current.ordinal,
            thread.last_item,
        )
        for values, value in zip(conversations.values(), fields, strict=True):
            values.append(value)
        written = [values_of(each, row) for each in thread.sessions]
        for old in earlier.get(row.id, ()):
            changed = copied(row)
            if old["ordinal"] == 1:
                changed |= {"engaged": bool(row.is_used), "offered": bool(row.is_offered)}
            written.append(old | changed)
        for session in written:
            for name, append in add:
                append(session[name])
    if rows:
        tables["conversations"], tables["sessions"] = conversations, sessions
