"""The whole store, out of it for a backup and back into one of either engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, LargeBinary, MetaData, Table, func, select

from agentsight_server.store import dialect
from agentsight_server.store.database import Database, StoreError, alembic_config
from agentsight_server.store.installation import forget_identity
from agentsight_server.store.schema import attachments, metadata

_ROWS_AT_ONCE = 500
_PAGES_AT_ONCE = 4_096


class DamagedStore(StoreError):
    """The database's file is damaged; the text is what the engine says of it."""


def schema_of(connection: Connection) -> str:
    """The migration that the store's tables are of; empty: it has none yet."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def knows(schema: str) -> bool:
    """Whether this program has the migration."""
    return schema in {
        each.revision for each in ScriptDirectory.from_config(alembic_config()).walk_revisions()
    }


def is_empty(database: Database) -> bool:
    """Whether nothing is in the store that a restore would overwrite."""
    with database.read() as connection:
        tables = tables_of(connection).tables
        there = [tables[name] for name in ("agents", "people", "conversations") if name in tables]
        return not any(connection.execute(select(table).limit(1)).first() for table in there)


def tables_of(connection: Connection) -> MetaData:
    """The tables that are there, whatever the schema's age."""
    found = MetaData()
    found.reflect(connection)
    return found


def count(connection: Connection, name: str) -> int:
    """How many rows one of this program's tables has."""
    return int(connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one())


def hashes(connection: Connection) -> list[str]:
    """The attachments that rows name, each once."""
    query = select(attachments.c.sha256).distinct().order_by(attachments.c.sha256)
    return list(connection.execute(query).scalars())


def rows(connection: Connection, table: Table) -> Iterator[Any]:
    """Every row of a table, in order of its key, without holding them all."""
    query = select(table).order_by(*table.primary_key.columns)
    with connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query) as result:
        yield from result


def insert(connection: Connection, table: Table, given: Sequence[Mapping[str, Any]]) -> None:
    """Add rows."""
    connection.execute(table.insert(), list(given))


def binary_columns(table: Table) -> set[str]:
    """The columns that hold bytes."""
    return {str(column.name) for column in table.columns if isinstance(column.type, LargeBinary)}


def copy_file(connection: Connection, target: Path, progress: Callable[[float], None]) -> list[str]:
    """Copy a SQLite store's file as it is at the connection's moment; writers go on beside it.

    Returns:
        The attachments that rows of the copy name, each once.

    Raises:
        DamagedStore: the copy is damaged, which says that the store is.
    """
    source = connection.connection.driver_connection
    assert isinstance(source, sqlite3.Connection)
    with closing(sqlite3.connect(target)) as copy:
        source.backup(
            copy,
            pages=_PAGES_AT_ONCE,
            sleep=0,
            progress=lambda _, left, total: progress(1 - left / max(total, 1)),
        )
        copy.execute("PRAGMA journal_mode = DELETE")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise DamagedStore(str(found))
        return [row[0] for row in copy.execute("SELECT DISTINCT sha256 FROM attachments ORDER BY sha256")]


def close_into_one_file(path: Path) -> None:
    """Bring a SQLite file's write-ahead log into it, so that it can be moved; the server begins a new log."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")


def refill(target: Database, schema: str, fill: Callable[[Connection, MetaData], None]) -> None:
    """Replace all that is in a store, in one transaction.

    Args:
        schema: the migration whose tables `fill` is given; afterwards they are brought up to date.

    Raises:
        StoreError: the store does not take it; it is as it was.
    """
    config = alembic_config()
    with target.write() as connection:
        if target.path is None:  # a database on a server is not replaced by another file
            tables_of(connection).drop_all(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
        tables = tables_of(connection)
        for table in reversed(filled(tables)):
            connection.execute(table.delete())
        fill(connection, tables)
        for table in filled(tables):
            if [column.name for column in table.primary_key.columns] == ["id"]:
                highest = connection.execute(select(func.max(table.c.id))).scalar()
                dialect.count_on(connection, str(table.name), highest or 0)
        command.upgrade(config, "head")
        dialect.seed(connection)
        forget_identity(connection)


def filled(tables: MetaData) -> list[Table]:
    """The tables that hold rows of ours, those first that others refer to."""
    return [table for table in tables.sorted_tables if table.name != "alembic_version"]
