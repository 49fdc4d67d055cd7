"""The store's life: made, brought up to date, refused when it is newer, read without writing."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from agentsight_server.store import schema
from agentsight_server.store.database import Database, StoreError, alembic_config


def test_migrations_give_the_schema_that_the_statements_expect(database: Database) -> None:
    found = inspect(database.writing)
    for table in schema.metadata.sorted_tables:
        columns = {column["name"] for column in found.get_columns(table.name)}
        assert columns == {column.name for column in table.columns}, table.name
        unique = {tuple(each["column_names"]) for each in found.get_unique_constraints(table.name)}
        for constraint in table.constraints:
            if type(constraint).__name__ == "UniqueConstraint":
                assert tuple(column.name for column in constraint.columns) in unique
        indexes = {each["name"] for each in found.get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= indexes, table.name


def test_migrations_go_down_and_up_again(database: Database) -> None:
    with database.writing.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(database.writing).get_table_names()) <= {"alembic_version"}
    database.migrate()
    database.check_current()


def test_a_newer_database_is_refused_in_one_line(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer AgentSight: update"):
        database.migrate()
    with pytest.raises(StoreError, match="newer AgentSight: update"):
        database.check_current()


def test_an_older_database_is_refused_without_migrations(store_url: str) -> None:
    database = Database(store_url.replace("postgresql://", "postgresql+psycopg://"))
    with pytest.raises(StoreError, match="--no-migrate"):
        database.check_current()
    database.close()


def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)readonly|read-only"), database.read() as connection:
        connection.execute(text("DELETE FROM counters"))
