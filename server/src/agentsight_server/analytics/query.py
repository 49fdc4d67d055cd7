"""Asking an engine about a scope: the conditions that every figure shares, and local time as arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from agentsight_server.analytics.engine import Execute, Functions, Rows
from agentsight_server.analytics.scope import AppliedFilter, Scope
from agentsight_server.domain import zones
from agentsight_server.domain.filters import BY_SPELLING, SENTIMENTS


class MetricContext:
    """One moment of an engine, seen through a scope; makes queries, and remembers what was found."""

    def __init__(self, execute: Execute, functions: Functions, scope: Scope) -> None:
        self._execute = execute
        self._functions = functions
        self.scope = scope
        self._found: dict[Callable[[MetricContext], dict[str, Any]], dict[str, Any]] = {}

    def query(self) -> Query:
        """A new query."""
        return Query(self._execute, self._functions, self.scope)

    def once(self, find: Callable[[MetricContext], dict[str, Any]]) -> dict[str, Any]:
        """What `find` finds, asked of the engine only the first time; several figures rest on it. Not to be changed."""
        if find not in self._found:
            self._found[find] = find(self)
        return self._found[find]


class Query:
    """One query: its conditions are SQL text, its values are bound in the order in which they are named.

    Example:
        >>> q = context.query()
        >>> q.rows(f"SELECT count(*) FROM sessions WHERE {q.begun} AND engaged")
    """

    def __init__(self, execute: Execute, functions: Functions, scope: Scope) -> None:
        self._execute = execute
        self._parameters: list[Any] = []
        self.functions = functions
        self.scope = scope

    def rows(self, sql: str) -> Rows:
        """The answer's rows."""
        return self._execute(sql, self._parameters)

    def row(self, sql: str) -> tuple[Any, ...]:
        """The one row of an answer that has one."""
        return self.rows(sql)[0]

    def bind(self, value: Any) -> str:
        """Where a value stands in the text."""
        self._parameters.append(value)
        return self.functions.parameter(len(self._parameters), value)

    # Conditions

    @property
    def whose(self) -> str:
        """Rows of the scope's agents and environment."""
        numbers = ", ".join(str(int(each)) for each in self.scope.agents)
        production = "TRUE" if self.scope.environment == "production" else "FALSE"
        return f"agent IN ({numbers}) AND production = {production}"

    @property
    def begun(self) -> str:
        """Sessions that began in the period and pass the filters."""
        return self._joined(self.whose, self._within("started_at"), *map(self._condition, self.scope.filters))

    @property
    def happened(self) -> str:
        """Facts whose own time lies in the period, of sessions that pass the filters."""
        parts = [self.whose, "counted", self._within("moment")]
        if self.scope.filters:
            passing = self._joined(self.whose, *map(self._condition, self.scope.filters))
            parts.append(f"session IN (SELECT id FROM sessions WHERE {passing})")  # noqa: S608
        return self._joined(*parts)

    def escalated(self) -> str:
        """Sessions with an action of their agent's escalation set, at any time."""
        sets = []
        for agent, names in self.scope.escalations:
            if names:
                listed = ", ".join(self.bind(name) for name in names)
                sets.append(f"(agent = {int(agent)} AND name IN ({listed}))")
        if not sets:
            return "FALSE"
        return f"id IN (SELECT session FROM actions WHERE {self.whose} AND ({' OR '.join(sets)}))"  # noqa: S608

    def _within(self, column: str) -> str:
        return f"{column} >= {self.scope.start} AND {column} < {self.scope.end}"

    @staticmethod
    def _joined(*conditions: str) -> str:
        return " AND ".join(conditions)

    def _condition(self, one: AppliedFilter) -> str:
        value = one.value
        facts = BY_SPELLING[one.name].facts
        if facts == "sentiment":
            some = "(positive OR neutral OR negative)"
            if isinstance(value, str):
                return SENTIMENTS[SENTIMENTS.index(value)]
            return some if value else f"NOT {some}"
        if facts == "action":
            named = self.bind(value)
            return f"id IN (SELECT session FROM actions WHERE {self.whose} AND name = {named})"  # noqa: S608
        if facts == "metadata":
            return self._metadata(one.key, value)
        # The column is called as figures call the filter.
        column = BY_SPELLING[one.name].figure
        if not isinstance(value, str):
            return f"{column} IS NOT NULL" if value else f"{column} IS NULL"
        if facts == "language":
            spoken = f"lower(replace({column}, '_', '-'))"
            under = value + "-"
            within = f"substring({spoken}, 1, {len(under)}) = {self.bind(under)}"
            return f"({spoken} = {self.bind(value)} OR {within})"
        return f"{column} = {self.bind(value)}"

    def _metadata(self, key: str, value: Any) -> str:
        """A key with dots in it is a way inside, or just a key with dots."""
        found = [self.functions.json_text("metadata", key.split("."))]
        if "." in key:
            found.append(self.functions.json_text("metadata", [key]))
        return "(" + " OR ".join(f"{each} = {self.bind(value)}" for each in found) + ")"

    # Time

    def offset(self, column: str, zone: ZoneInfo | None = None) -> str:
        """What the zone's clock is ahead of UTC at that time, in microseconds; the scope's zone, or another."""
        parts = zones.offsets(
            zone or self.scope.zone, self.scope.start, max(self.scope.end, self.scope.start + 1)
        )
        if len(parts) == 1:
            return str(parts[0][1])
        until = [moment for moment, _ in parts[1:]]
        cases = " ".join(
            f"WHEN {column} < {moment} THEN {offset}"
            for moment, (_, offset) in zip(until, parts[:-1], strict=True)
        )
        return f"CASE {cases} ELSE {parts[-1][1]} END"

    def hours(self, column: str) -> str:
        """Hours since 1970 on the local clock."""
        return self.functions.divide(f"{column} + {self.offset(column)}", zones.HOUR)

    def day(self, column: str) -> str:
        """Days since 1970 on the local calendar."""
        return self.functions.divide(f"{column} + {self.offset(column)}", zones.DAY)

    # Aggregates

    def mean_and_quantiles(self, value: str, shares: Sequence[float] = (0.5, 0.95)) -> str:
        """Mean and quantiles of a column, as so many columns; absent over no values."""
        return ", ".join([f"avg({value})", *(self.functions.quantile(value, share) for share in shares)])
