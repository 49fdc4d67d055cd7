"""How long conversations are kept: days for each agent and environment, off unless somebody says so."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, select, update

from agentsight_server.domain import times
from agentsight_server.store import erasing
from agentsight_server.store.erasing import Amount, Criterion
from agentsight_server.store.schema import agents, erasures

ENVIRONMENTS = ("production", "development")
LEAST_DAYS, MOST_DAYS = 1, 36_500
BY = "retention"
Days = dict[str, int]


class _Settings(msgspec.Struct):
    retention: Days = {}


def of_agent(connection: Connection, agent_id: int) -> Days:
    """The days by environment; an environment that is not there keeps everything.

    Example:
        >>> of_agent(connection, 1)
        {'production': 365}
    """
    text = connection.execute(select(agents.c.settings).where(agents.c.id == agent_id)).scalar_one()
    return msgspec.json.decode(text, type=_Settings).retention


def set_days(connection: Connection, agent_id: int, days: Mapping[str, int | None]) -> Days:
    """Choose the days of the environments given; None keeps everything. Those not given stay as they are."""
    text = connection.execute(select(agents.c.settings).where(agents.c.id == agent_id)).scalar_one()
    chosen = msgspec.json.decode(text, type=dict[str, object])
    both = {**of_agent(connection, agent_id), **days}
    kept = {name: both[name] for name in ENVIRONMENTS if both.get(name) is not None}
    chosen.pop("retention", None)
    if kept:
        chosen["retention"] = kept
    values = {"settings": msgspec.json.encode(chosen).decode()}
    connection.execute(update(agents).where(agents.c.id == agent_id), values)
    return of_agent(connection, agent_id)


def criterion(environment: str, days: int, *, now: int | None = None) -> Criterion:
    """What is older than so many days: nothing was said in it since."""
    moment = times.now() if now is None else now
    return Criterion(environment=environment, ended_before=max(0, moment - days * times.DAY))


def due(connection: Connection, agent_id: int, environment: str, days: int) -> Amount:
    """How much would go if so many days were kept."""
    return erasing.amount(connection, agent_id, criterion(environment, days))


def begin_all(connection: Connection) -> list[int]:
    """Begin an erasure for each agent and environment that has something too old, and none of that kind under way."""
    begun = []
    for agent_id in list(connection.execute(select(agents.c.id).order_by(agents.c.id)).scalars()):
        for environment, days in of_agent(connection, agent_id).items():
            under_way = select(erasures.c.id).where(
                erasures.c.agent_id == agent_id,
                erasures.c.kind == "retention",
                erasures.c.environment == environment,
                erasures.c.gone_at.is_(None),
            )
            which = criterion(environment, days)
            if connection.execute(under_way.limit(1)).first() is None and erasing.any_of(
                connection, agent_id, which
            ):
                begun.append(erasing.begin(connection, agent_id, which, BY))
    return begun
