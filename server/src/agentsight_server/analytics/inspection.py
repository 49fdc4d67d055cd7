"""A file of columns, looked at from outside while no server has it open."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import msgspec

from agentsight_server.analytics.duckdb_errors import is_held_elsewhere
from agentsight_server.analytics.engine import AnalyticsError
from agentsight_server.domain.causes import reason


class HeldElsewhere(AnalyticsError):
    """Another process has the file open."""


class Contents(msgspec.Struct, frozen=True):
    """Of which store the columns are, up to which revision, and how many rows each agent has in them."""

    store: str
    revision: int
    conversations: dict[int, int]
    messages: dict[int, int]


def inspect(file: Path) -> Contents:
    """Read what a file of columns says of itself.

    Raises:
        HeldElsewhere: a server runs.
        AnalyticsError: the file cannot be read.
    """
    try:
        with closing(duckdb.connect(str(file), read_only=True)) as columns:
            found = columns.execute("SELECT store, revision FROM state").fetchone()
            if found is None:
                raise AnalyticsError("it says nothing of itself")
            store, revision = found
            return Contents(
                store, revision, _by_agent(columns, "conversations"), _by_agent(columns, "messages")
            )
    except duckdb.Error as error:
        said = reason(error)
        raise (HeldElsewhere if is_held_elsewhere(file) else AnalyticsError)(said) from None


def _by_agent(columns: duckdb.DuckDBPyConnection, table: str) -> dict[int, int]:
    return dict(columns.execute(f"SELECT agent, count(*) FROM {table} GROUP BY agent").fetchall())  # noqa: S608
