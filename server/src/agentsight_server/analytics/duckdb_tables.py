"""What is said to DuckDB about the tables: making, filling, ordering them, and taking out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import duckdb
import msgspec

from agentsight_server.analytics.engine import (
    FACTS,
    LAYOUT,
    MOST_SESSIONS,
    TABLES,
    Batch,
    Columns,
    conversation_of,
    session_id,
)

# The order in which rows are read: one agent, one period.
ORDER = dict.fromkeys(FACTS, "agent, moment") | {"conversations": "id", "sessions": "agent, started_at"}
# What stands beside the tables: the revision, and the pauses by which agents' sessions are cut.
BESIDE = {"state": "revision", "pauses": "agent"}
# A table that says that something was erased since the file was written.
UNCLEAN = "CREATE TABLE IF NOT EXISTS unclean (since BIGINT)"
STAGED = "staged_"


def create(connection: duckdb.DuckDBPyConnection, store: str) -> None:
    """Make the empty tables."""
    for table, columns in TABLES.items():
        listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        connection.execute(f"CREATE TABLE {table} ({listed})")
    connection.execute("CREATE TABLE pauses (agent INTEGER, chosen VARCHAR)")
    connection.execute("CREATE TABLE state (layout INTEGER, store VARCHAR, revision BIGINT)")
    connection.execute("INSERT INTO state VALUES ($1, $2, 0)", [LAYOUT, store])


def take_out(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    """Delete what a batch replaces."""
    if batch.replaced:
        connection.execute(f"DELETE FROM conversations WHERE id IN ({_listed(batch.replaced)})")  # noqa: S608
    for tables, cut in ((("sessions",), batch.sessions_from), (FACTS, batch.facts_from)):
        if not cut:
            continue
        # Constants let the engine skip what cannot be meant.
        first, last = session_id(min(cut), 0), session_id(max(cut), MOST_SESSIONS)
        given = [list(cut), list(cut.values())]
        for table in tables:
            number = _session_of(table)
            connection.execute(
                f"DELETE FROM {table} USING "  # noqa: S608
                "(SELECT unnest($1::BIGINT[]) AS conversation, unnest($2::BIGINT[]) AS session) AS cut "
                f"WHERE {number} BETWEEN {first} AND {last} AND {conversation_of(number)} = cut.conversation "
                f"AND {number} >= cut.session",
                given,
            )


def _session_of(table: str) -> str:
    return f"{table}.id" if table == "sessions" else f"{table}.session"


def insert(connection: duckdb.DuckDBPyConnection, tables: dict[str, Columns], prefix: str = "") -> None:
    """Insert columns into the tables, or into those of the same names behind a prefix."""
    for table, columns in tables.items():
        connection.execute(_insert(table, prefix), [msgspec.json.encode(columns).decode()])


@cache
def _insert(table: str, prefix: str) -> str:
    """One JSON text of columns becomes rows: far faster than binding values, and needs no further library."""
    columns = TABLES[table]
    shape = ", ".join(f'"{name}": ["{kind}"]' for name, kind in columns.items())
    unnested = ", ".join(f"unnest(j.{name})" for name in columns)
    return (
        f"INSERT INTO {prefix}{table} ({', '.join(columns)}) "  # noqa: S608
        f"SELECT {unnested} FROM (SELECT json_transform_strict($1::JSON, '{{{shape}}}') AS j)"
    )


def keep_pauses(connection: duckdb.DuckDBPyConnection, pauses: dict[int, dict[str, int]]) -> None:
    """Remember by which pauses agents' sessions are cut; those without any of their own have no row."""
    for agent, chosen in pauses.items():
        connection.execute("DELETE FROM pauses WHERE agent = $1", [agent])
        if chosen:
            connection.execute(
                "INSERT INTO pauses VALUES ($1, $2)", [agent, msgspec.json.encode(chosen).decode()]
            )


# What is made beside the tables until it takes their place


def stage(connection: duckdb.DuckDBPyConnection, tables: dict[str, Columns], replaced: list[int]) -> None:
    """Add to the staged tables, in place of what they have of the conversations `replaced`."""
    for table in TABLES:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {STAGED}{table} AS SELECT * FROM {table} LIMIT 0"  # noqa: S608
        )
        if replaced:
            number = {"conversations": "id", "sessions": "conversation"}.get(
                table, conversation_of("session")
            )
            connection.execute(f"DELETE FROM {STAGED}{table} WHERE {number} IN ({_listed(replaced)})")  # noqa: S608
    insert(connection, tables, STAGED)


def exchange(connection: duckdb.DuckDBPyConnection, agent: int) -> None:
    """Put what is staged in place of what an agent has."""
    for table in TABLES:
        connection.execute(f"DELETE FROM {table} WHERE agent = {int(agent)}")  # noqa: S608
        connection.execute(f"INSERT INTO {table} SELECT * FROM {STAGED}{table}")  # noqa: S608
    unstage(connection)


def unstage(connection: duckdb.DuckDBPyConnection) -> None:
    """Forget what is staged, if anything is."""
    for table in TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {STAGED}{table}")


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
