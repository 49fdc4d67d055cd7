"""From what changed in the store to columns: the whole meaning of the facts, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from agentsight_server.analytics.engine import TABLES, Batch, Columns
from agentsight_server.store import changes
from agentsight_server.store.changes import ChangedRow
from agentsight_server.store.schema import END_USER

_SENTIMENTS = ("positive", "neutral", "negative")


class _State:
    """A conversation while its items are counted: where it stood, and where it stands now."""

    __slots__ = (
        "agent",
        "feedback",
        "from_user",
        "last_item",
        "messages",
        "out_of_order",
        "production",
        "said_at",
    )

    def __init__(self, agent: int, production: bool, known: tuple[Any, ...] | None) -> None:
        self.agent = agent
        self.production = production
        self.out_of_order = False
        if known is None:
            known = (0, None, None, 0, False, False, False)
        self.last_item, self.said_at, self.from_user, self.messages, *flags = known
        self.feedback = dict(zip(_SENTIMENTS, flags, strict=True))


def collect(
    connection: Connection,
    rows: Sequence[ChangedRow],
    known: Mapping[int, tuple[Any, ...]],
    since: int,
    upto: int,
    gone: Sequence[int] = (),
) -> Batch:
    """The batch that brings the engine from `since` up to `upto`.

    Args:
        connection: the moment of the store at which `rows` were read.
        rows: the conversations that changed (store.changes.since).
        known: what the engine has of them (engine.known).
        gone: conversations that were erased for good; the store may have no row of them any more.

    A conversation that the engine has and that only grew costs no more than its new items. One that got a message
    earlier than the ones it had is taken anew as a whole: its answer times may be others. So is one of whose items one
    has changed.
    """
    states = {
        row.id: _State(row.agent_id, bool(row.production), known.get(row.id))
        for row in rows
        if not row.is_deleted
    }
    items = changes.items_of(connection, {number: state.last_item for number, state in states.items()})
    anew = {
        item[1]
        for item in items.said
        if (said_at := states[item[1]].said_at) is not None and item[2] < said_at
    }
    anew.update(row.id for row in rows if row.rewritten > since and row.id in known and not row.is_deleted)
    emptied = [row.id for row in rows if row.id in known and (row.is_deleted or row.id in anew)]
    if anew:
        for number in anew:
            states[number] = _State(states[number].agent, states[number].production, None)
        again = changes.items_of(connection, dict.fromkeys(anew, 0))
        for name in changes.Items.__struct_fields__:
            kept = [item for item in getattr(items, name) if item[1] not in anew]
            setattr(items, name, kept + getattr(again, name))
    tables = {
        "messages": _messages(items, states),
        "actions": _facts("actions", items.actions, states),
        "clicks": _facts("clicks", items.clicks, states),
        "usage": _facts("usage", items.usage, states),
        "feedback": _feedback(items, states),
    }
    tables["conversations"] = _conversations(rows, states)
    lost = [number for number in gone if number in known]
    return Batch(
        revision=upto,
        replaced=[row.id for row in rows if row.id in known] + lost,
        emptied=emptied + lost,
        erases=bool(gone),
        tables={name: columns for name, columns in tables.items() if next(iter(columns.values()))},
    )


def _empty(table: str) -> Columns:
    return {name: [] for name in TABLES[table]}


def _messages(items: changes.Items, states: Mapping[int, _State]) -> Columns:
    columns = _empty("messages")
    conversations, agents, productions, moments, responses = columns.values()
    for number, conversation, moment, sender in items.said:
        state = states[conversation]
        from_user = sender == END_USER
        conversations.append(conversation)
        agents.append(state.agent)
        productions.append(state.production)
        moments.append(moment)
        responses.append(moment - state.said_at if state.from_user and not from_user else None)
        state.said_at = moment
        state.from_user = from_user
        state.messages += 1
        if number > state.last_item:
            state.last_item = number
    return columns


def _facts(table: str, items: Sequence[Sequence[Any]], states: Mapping[int, _State]) -> Columns:
    columns = _empty(table)
    if not items:
        return columns
    numbers, conversations, moments, *details = zip(*items, strict=True)
    for number, conversation in zip(numbers, conversations, strict=True):
        state = states[conversation]
        if number > state.last_item:
            state.last_item = number
    columns["conversation"] = list(conversations)
    columns["agent"] = [states[each].agent for each in conversations]
    columns["production"] = [states[each].production for each in conversations]
    columns["moment"] = list(moments)
    for name, values in zip(list(columns)[4:], details, strict=True):
        columns[name] = list(map(bool, values)) if name == "failed" else list(values)
    return columns


def _feedback(items: changes.Items, states: Mapping[int, _State]) -> Columns:
    """What customers said; what the team noted is not counted, but it has been seen."""
    for number, conversation, _, sentiment, source in items.feedback:
        state = states[conversation]
        if number > state.last_item:
            state.last_item = number
        if source == "customer" and sentiment in state.feedback:
            state.feedback[sentiment] = True
    return _facts("feedback", [item[:4] for item in items.feedback if item[4] == "customer"], states)


def _conversations(rows: Sequence[ChangedRow], states: Mapping[int, _State]) -> Columns:
    columns = _empty("conversations")
    append = [values.append for values in columns.values()]
    for row in rows:
        state = states.get(row.id)
        if state is None:
            continue
        values = (
            row.id,
            state.agent,
            state.production,
            bool(row.is_used),
            bool(row.is_offered),
            row.started_at,
            row.ended_at,
            row.customer_id or None,
            row.device or None,
            row.source or None,
            row.language or None,
            row.country or None,
            row.metadata,
            state.messages,
            *state.feedback.values(),
            state.said_at,
            state.from_user,
            state.last_item,
        )
        for add, value in zip(append, values, strict=True):
            add(value)
    return columns
