"""What was erased, written down to be kept beside backups: a restored backup would bring it back.

A record holds keyed hashes, never ids or content. The key is in it, too: who holds the file can try whether an id
that they know was erased, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar

import msgspec
from sqlalchemy import Connection, inspect, select

from agentsight_server.domain import times
from agentsight_server.store import erasing, tombstones
from agentsight_server.store.conversations import latest_revision
from agentsight_server.store.erasing import Criterion
from agentsight_server.store.schema import agents, conversations, erased, erasures

_AT_ONCE = 500
T = TypeVar("T")


class Stone(msgspec.Struct, frozen=True):
    """One conversation, or one agent with all that it had. `hash` is in hex, `erased_at` in microseconds."""

    agent: int
    kind: Literal["conversation", "agent"]
    hash: str
    erased_at: int


class Record(msgspec.Struct):
    """Everything that was erased in an installation; `key` is what the hashes were made with, in hex."""

    key: str
    stones: list[Stone]


class Replayed(msgspec.Struct):
    """What came back and goes again."""

    conversations: int = 0
    agents: int = 0


def record(connection: Connection) -> Record:
    """What was erased here; an installation that is too old to know erasing has erased nothing."""
    if not inspect(connection).has_table("erased"):
        return Record("", [])
    found = [
        Stone(agent_id, "conversation", bytes(hashed).hex(), moment)
        for agent_id, hashed, moment in connection.execute(
            select(erased.c.agent_id, erased.c.hash, erased.c.erased_at).order_by(erased.c.erased_at)
        )
    ]
    found += [
        Stone(agent_id, "agent", bytes(subject).hex(), moment)
        for agent_id, subject, moment in connection.execute(
            select(erasures.c.agent_id, erasures.c.subject, erasures.c.requested_at).where(
                erasures.c.kind == "agent", erasures.c.subject.is_not(None)
            )
        )
    ]
    return Record(tombstones.secret_of(connection).hex() if found else "", found)


def replay(connection: Connection, known: Record, requested_by: str) -> Replayed:
    """Erase again what is in the record and there nevertheless; a server, or `agentsight erase`, carries it out.

    What bears an erased name but began after the erasure is somebody else's, and stays. What was erased and is not
    there is remembered, so that an old batch does not bring it back.
    """
    done = Replayed()
    if not known.stones:
        return done
    key = bytes.fromhex(known.key)
    tombstones.adopt(connection, key)
    gone = {(each.agent, each.hash): each.erased_at for each in known.stones if each.kind == "agent"}
    whole: set[int] = set()
    for agent_id, name, created_at in connection.execute(
        select(agents.c.id, agents.c.name, agents.c.created_at)
    ).all():
        moment = gone.get((agent_id, tombstones.hash_of(key, agent_id, "agent", name).hex()))
        if moment is not None and created_at <= moment:
            erasing.begin(connection, agent_id, Criterion(whole_agent=True), requested_by)
            done.agents += 1
            whole.add(agent_id)
    of_agents: dict[int, dict[str, int]] = {}
    for each in known.stones:
        if each.kind == "conversation":
            of_agents.setdefault(each.agent, {})[each.hash] = each.erased_at
    for agent_id, moments in of_agents.items():
        back = [] if agent_id in whole else list(_returned(connection, key, agent_id, moments))
        for some in _pieces(back):
            erasing.begin(connection, agent_id, Criterion(returned=tuple(some)), requested_by)
        done.conversations += len(back)
        if key == tombstones.secret_of(connection):
            _remember(connection, agent_id, moments)
    return done


def _pieces(some: list[T]) -> Iterator[list[T]]:
    return (some[start : start + _AT_ONCE] for start in range(0, len(some), _AT_ONCE))


def _returned(connection: Connection, key: bytes, agent_id: int, moments: dict[str, int]) -> Iterator[int]:
    table = conversations.c
    for number, name, began in connection.execute(
        select(table.id, table.conversation_id, table.started_at).where(
            table.agent_id == agent_id, table.erasure.is_(None)
        )
    ):
        moment = moments.get(tombstones.hash_of(key, agent_id, "conversation", name).hex())
        if moment is not None and began <= moment:
            yield number


def _remember(connection: Connection, agent_id: int, moments: dict[str, int]) -> None:
    """Stones without a number: nobody who follows the store has anything of them."""
    known = {
        bytes(hashed).hex(): moment
        for hashed, moment in connection.execute(
            select(erased.c.hash, erased.c.erased_at).where(erased.c.agent_id == agent_id)
        )
    }
    missing = [each for each, moment in moments.items() if known.get(each, -1) < moment]
    revision = latest_revision(connection)
    for some in _pieces(missing):
        erasing.put_stones(connection, [_row(agent_id, each, moments[each], revision) for each in some])


def _row(agent_id: int, hashed: str, moment: int, revision: int) -> dict[str, object]:
    return {
        "agent_id": agent_id,
        "hash": bytes.fromhex(hashed),
        "erasure": 0,
        "erased_at": moment,
        "revision": revision,
        "number": None,
    }


def lines(known: Record) -> Iterator[bytes]:
    """The record as JSON lines: a head, then a line for each stone."""
    head = {"agentsight": "erasures", "key": known.key, "made_at": times.to_text(times.now())}
    yield msgspec.json.encode(head) + b"\n"
    for each in known.stones:
        yield msgspec.json.encode(each) + b"\n"


def read(text: Sequence[bytes]) -> Record:
    """The record in such lines.

    Raises:
        ValueError: it is none, or is cut off in the middle of a line.
    """
    try:
        head = msgspec.json.decode(text[0], type=dict[str, str]) if text else {}
        if head.get("agentsight") != "erasures":
            raise ValueError("its first line is not that of a list of erasures")
        bytes.fromhex(head["key"])
        return Record(head["key"], [msgspec.json.decode(line, type=Stone) for line in text[1:]])
    except (msgspec.DecodeError, KeyError) as error:
        raise ValueError(f"it is not a list of erasures, or was cut: {error}") from None
