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


# What an older server has counted: field and sentence in one text.
OLD_REASONS = {
    "sender: takes end_user, agent or system": (2, "sender", "choice"),
    "content: must not be blank": (1, "content", "blank"),
    "content: takes at most 1,048,576 characters": (3, "content", "too_long"),
    "metadata: takes at most 64 levels of nesting": (1, "metadata", "too_deep"),
    "field: is not known here": (4, "other", "unknown_field"),
    "name: takes text": (1, "name", "type"),
    "timestamp: takes an ISO 8601 time": (1, "timestamp", "time"),
    "conversation_token: is required": (1, "conversation_token", "no_token"),
    "message: there is no such message in this conversation": (5, "message", "no_such_message"),
    "malformed JSON": (7, "", "malformed_json"),
    "no such conversation": (1, "", "not_found"),
    "no such message in this conversation": (2, "", "not_found"),
    "name: was eaten by a goat": (6, "name", "other"),
    "a goat: was here": (8, "", "other"),
}


def test_refusals_told_in_prose_are_carried_over_by_field_and_code(database: Database) -> None:
    config = alembic_config()
    with database.writing.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
        for reason, (count, _, _) in OLD_REASONS.items():
            values = {"reason": reason, "count": count}
            connection.execute(text("INSERT INTO ingest_refusals VALUES (1, 20000, :reason, :count)"), values)
        connection.execute(text("INSERT INTO ingest_adjustments VALUES (1, 20000, 'name: shortened', 9)"))
    database.migrate()
    with database.read() as connection:
        found = {
            (row.field, row.code): (row.count, row.example)
            for row in connection.execute(schema.ingest_refusals.select())
        }
        (adjusted,) = connection.execute(schema.ingest_adjustments.select()).all()
    for reason, (count, field, code) in OLD_REASONS.items():
        if code != "not_found":  # two sentences, one code
            example = reason if field == "" else reason.partition(": ")[2]
            assert found[field, code] == (count, example), reason
    assert found["", "not_found"][0] == 3
    assert sum(count for count, _ in found.values()) == sum(count for count, _, _ in OLD_REASONS.values())
    assert tuple(adjusted) == (1, 20000, "name", "shortened", 9)

    with database.writing.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
        rows = connection.execute(text("SELECT reason, count FROM ingest_refusals"))
        kept = {row["reason"]: row["count"] for row in rows.mappings()}
    assert kept["name: was eaten by a goat"] == 6
    assert sum(kept.values()) == sum(count for count, _, _ in OLD_REASONS.values())
