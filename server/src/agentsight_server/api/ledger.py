"""The ingest ledger: what each key sent, day by day, and what became of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import msgspec
from litestar import Response, get
from sqlalchemy import Connection

from agentsight_server.api.filters import integer, only
from agentsight_server.api.queries import parameters
from agentsight_server.contract.documentation import Doc, Query
from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.parameters import LONGEST_DAYS
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.answers import answer_json
from agentsight_server.http.app_state import actor_of, services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access
from agentsight_server.store import agents, ledger

_FIRST = date(1970, 1, 1)
_USUAL_DAYS = 30


class LedgerKey(msgspec.Struct):
    """The key, without its secret."""

    id: int
    name: str
    role: str
    hint: str
    is_revoked: bool


class LedgerReason(msgspec.Struct):
    """Why items were refused: the `field` (empty: the request as a whole), the `code` of the mistake (docs/errors.md),
    and one of them in words, without what was given."""

    field: str
    code: str
    count: int
    example: str


class LedgerAdjustment(msgspec.Struct):
    """What a lenient client changed before it sent: `code` is shortened, cleaned, replaced or left_out."""

    field: str
    code: str
    count: int


class LedgerFigures(msgspec.Struct):
    """received = accepted + duplicate + refused; `conversations` are new ones, `adjusted` is part of no sum."""

    requests: int
    conversations: int
    received: int
    accepted: int
    duplicate: int
    refused: int
    reasons: list[LedgerReason]
    adjusted: int
    adjustments: list[LedgerAdjustment]


class LedgerDay(LedgerFigures):
    """One key's day (UTC)."""

    day: str
    key: LedgerKey


class LedgerAnswer(msgspec.Struct):
    """Days with traffic, newest first, and their sum. `from` and `to` are both included."""

    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    totals: LedgerFigures
    days: list[LedgerDay]


_QUERIES = (
    Query("from", "First day (UTC); 30 days back unless given", {"type": "string", "format": "date"}),
    Query("to", "Last day (UTC); today unless given", {"type": "string", "format": "date"}),
    Query("agent", "The agent's number; needed by a signed-in person", {"type": "integer", "minimum": 1}),
)


@get(
    "/api/ingest/ledger",
    opt={"access": Access.READ, "doc": Doc("Was it sent?", "Reading", None, {200: LedgerAnswer}, _QUERIES)},
)
async def read_ledger(request: AnyRequest) -> Response[bytes]:
    """What the agent's keys sent, day by day: received, accepted, sent twice, refused and why, adjusted and how.

    Accepted items are counted in the transaction that stores them. A request that is refused as a whole counts as
    one item, within a second or so; one that is told to come again later (429, 503) does not count.
    """
    given = parameters(request)
    only(given, frozenset(each.name for each in _QUERIES))
    actor = actor_of(request)
    agent_id = integer(given, "agent", actor.agent_id or 0, least=1, most=2**63 - 1)
    if not agent_id:
        raise Invalid(Problem("agent", Code.REQUIRED, "the agent's number"))
    actor.require_agent(agent_id)
    last = _day(given, "to", _FIRST + timedelta(days=times.now() // times.DAY))
    first = _day(given, "from", max(_FIRST, last - timedelta(days=_USUAL_DAYS - 1)))
    if first > last:
        raise Invalid(Problem("from", Code.AFTER, "to"))
    if (last - first).days > LONGEST_DAYS:
        raise Invalid(Problem("from", Code.RANGE, f"a period of at most {LONGEST_DAYS:,} days"))

    def query(connection: Connection) -> tuple[list[ledger.Line], list[agents.KeyRow]]:
        lines = ledger.of_agent(connection, agent_id, (first - _FIRST).days, (last - _FIRST).days)
        return lines, agents.keys(connection, agent_id)

    lines, keys = await services_of(request).read(query)
    named = {
        row.id: LedgerKey(row.id, row.name, row.role, row.hint, row.revoked_at is not None) for row in keys
    }
    days = [
        LedgerDay(
            **_figures(line),
            day=(_FIRST + timedelta(days=line.day)).isoformat(),
            key=named[line.key_id],
        )
        for line in lines
    ]
    totals = LedgerFigures(**_figures(ledger.added_up(lines)))
    return answer_json(LedgerAnswer(first.isoformat(), last.isoformat(), totals, days))


def _figures(counts: ledger.Line | ledger.Counts) -> dict[str, Any]:
    figures: dict[str, Any] = {name: getattr(counts, name) for name in ledger.FIGURES}
    return figures | {
        "reasons": [
            LedgerReason(*cause, refusals.count, refusals.example)
            for cause, refusals in sorted(counts.refusals.items(), key=lambda each: (-each[1].count, each[0]))
        ],
        "adjusted": counts.adjusted,
        "adjustments": [
            LedgerAdjustment(*change, count)
            for change, count in sorted(counts.adjustments.items(), key=lambda each: (-each[1], each[0]))
        ],
    }


def _day(given: dict[str, str], name: str, otherwise: date) -> date:
    if not given.get(name):
        return otherwise
    try:
        found = date.fromisoformat(given[name])
    except ValueError:
        raise Invalid(Problem(name, Code.FORMAT, "a day such as 2026-01-31")) from None
    if not 1970 <= found.year < 2200:
        raise Invalid(Problem(name, Code.RANGE, "a day from 1970 to 2199"))
    return found


handlers: list[Any] = [read_ledger]
