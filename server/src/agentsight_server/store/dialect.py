"""The few places where SQLite and PostgreSQL differ.

A new engine is a new member of `Dialect`; the type checker then names every function below that must learn it.
"""

from __future__ import annotations

import enum
import operator
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, LargeBinary, case, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL, Engine
from sqlalchemy.sql.elements import SQLColumnExpression
from sqlalchemy.types import BigInteger, Text
from typing_extensions import assert_never

from agentsight_server.store.cutoff import Cutoff

# A revision, and running numbers of conversations and of items.
Numbers = tuple[int, Iterator[int], Iterator[int]]
LARGEST = 2**53 - 1
_WRITERS_LOCK = 0x4147_5349_4748_5401  # any number that is ours alone in the database


class Dialect(enum.Enum):
    """The database engines that the store runs on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class Damage(msgspec.Struct, frozen=True):
    """What an engine finds broken in itself. `remedy` is its own; empty: only a backup helps."""

    text: str
    remedy: str = ""


def of(bind: Connection | Engine) -> Dialect:
    """Return the dialect of a connection or engine."""
    return Dialect(bind.dialect.name)


def prepare_sqlite(connection: sqlite3.Connection, *, read_only: bool) -> None:
    """Set up a new SQLite connection: durable, patient, and with functions that fold any script's case."""
    _bind_plainly()
    connection.isolation_level = None  # transactions are begun explicitly, see database.py
    connection.create_function("fold", 1, _fold, deterministic=True)
    connection.create_function("json_at", 2, _json_at, deterministic=True)
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 15000")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA temp_store = MEMORY")
    # In KiB, for each connection. There are many that read, and behind them the system's own cache.
    cursor.execute(f"PRAGMA cache_size = -{4_096 if read_only else 65_536}")
    if read_only:
        cursor.execute("PRAGMA query_only = ON")
    else:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA journal_size_limit = 67108864")
        cursor.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten, not only let go
    cursor.close()


def _bind_plainly() -> None:
    """Tell the driver what becomes of empty values, bytes and truth values when they are bound: nothing. Left to
    itself it asks each value for an adapter of its own, in vain, for longer than the insert of the row takes."""
    nothing: dict[None, None] = {}
    sqlite3.register_adapter(type(None), nothing.get)  # calls in C that give back what they are given
    sqlite3.register_adapter(bytes, bytes)
    sqlite3.register_adapter(bool, operator.pos)


def _fold(value: str | None) -> str | None:
    return None if value is None else value.casefold()


def _json_at(document: str, path: str) -> str | None:
    value = msgspec.json.decode(document)
    for part in msgspec.json.decode(path, type=list[str]):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def path_of(url: URL) -> Path | None:
    """The file that the store is; None: it lies on a server."""
    dialect = Dialect(url.get_backend_name())
    match dialect:
        case Dialect.SQLITE:
            return Path(url.database or "")
        case Dialect.POSTGRESQL:
            return None
        case _:
            assert_never(dialect)


def engine_options(dialect: Dialect, url: URL, *, read_only: bool) -> dict[str, Any]:
    """What create_engine() needs for this engine alone."""
    match dialect:
        case Dialect.SQLITE:
            return {}
        case Dialect.POSTGRESQL:
            # A server that has vanished from the network is given up after seconds, not after hours.
            waits = {
                "connect_timeout": 5,
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "tcp_user_timeout": 20_000,
            }
            options: dict[str, Any] = {
                "paramstyle": "format",
                "pool_pre_ping": True,
                "connect_args": {name: value for name, value in waits.items() if name not in url.query},
            }
            if read_only:
                options["execution_options"] = {
                    "postgresql_readonly": True,
                    "isolation_level": "REPEATABLE READ",
                }
            return options
        case _:
            assert_never(dialect)


def begin(dialect: Dialect, *, read_only: bool) -> str | None:
    """The statement that opens a transaction, or runs first in it.

    Writers take turns on both engines: the revision's row would make them wait for each other anyway, and
    in turn they cannot run into each other's locks.
    """
    match dialect:
        case Dialect.SQLITE:
            return "BEGIN" if read_only else "BEGIN IMMEDIATE"
        case Dialect.POSTGRESQL:
            return None if read_only else f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})"
        case _:
            assert_never(dialect)


@contextmanager
def bounded(connection: Connection, cutoff: Cutoff) -> Iterator[None]:
    """What the connection runs in the block ends when `cutoff` says so.

    Raises:
        CutOff: it has said so already.
    """
    driver: Any = connection.connection.driver_connection
    match of(connection):
        case Dialect.SQLITE:
            with cutoff.interrupting(driver.interrupt):
                yield
        case Dialect.POSTGRESQL:
            # The server's own clock, should this program be too busy to look at its own; each statement by itself.
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(cutoff.seconds * 1000)}")
            with cutoff.interrupting(lambda: driver.cancel_safe(timeout=2), is_slow=True):
                yield
        case unknown:
            assert_never(unknown)


def contains(
    dialect: Dialect, column: SQLColumnExpression[Any], needle: str, *, indexed: bool = False
) -> ColumnElement[bool]:
    """A condition: the column has `needle` somewhere, whatever the case, in any language.

    `indexed`: in a form that PostgreSQL's index of trigrams knows; it takes longer where there is none.
    """
    match dialect:
        case Dialect.SQLITE:
            # A call of Python's for each row is what takes longest: texts in ASCII do without.
            has_more = func.length(column) < func.length(cast(column, LargeBinary))
            folded = case((has_more, func.fold(column)), else_=func.lower(column))
            return func.instr(folded, needle.casefold()) > 0
        case Dialect.POSTGRESQL if indexed:
            # Folding leaves the marks of a pattern alone.
            plain = re.sub(r"([\\%_])", r"\\\1", needle)
            return func.agentsight_fold(column).like(func.agentsight_fold(f"%{plain}%"))
        case Dialect.POSTGRESQL:
            return func.strpos(func.agentsight_fold(column), func.agentsight_fold(needle)) > 0
        case _:
            assert_never(dialect)


def among(
    dialect: Dialect, column: SQLColumnExpression[Any], numbers: Collection[int]
) -> ColumnElement[bool]:
    """A condition: the column is one of these numbers, however many there are."""
    listed = msgspec.json.encode(list(numbers)).decode()
    match dialect:
        case Dialect.SQLITE:
            return column.in_(select(func.json_each(listed).table_valued("value").c.value))
        case Dialect.POSTGRESQL:
            each = func.jsonb_array_elements_text(cast(literal(listed, Text), JSONB)).column_valued()
            return column.in_(select(cast(each, BigInteger)))
        case _:
            assert_never(dialect)


def total(dialect: Dialect, column: SQLColumnExpression[Any]) -> ColumnElement[Any]:
    """The sum of whole numbers, which never overflows: older rows may hold anything up to 2^53. See whole()."""
    match dialect:
        case Dialect.SQLITE:
            return func.total(column)  # a float, exact up to where whole() ends
        case Dialect.POSTGRESQL:
            return func.coalesce(func.sum(column), 0)
        case _:
            assert_never(dialect)


def whole(value: Any) -> int:
    """A sum as a whole number that every reader of JSON can keep, and every table; there is nothing larger.

    Example:
        >>> whole(2.0), whole(2**70)
        (2, 9007199254740991)
    """
    return min(int(value), LARGEST)


def fold_function(server_version: int) -> str:
    """PostgreSQL's twin of Python's casefold(); the database's own collation may be "C" and know only ASCII."""
    folded = (
        'casefold($1 COLLATE "pg_unicode_fast")'
        if server_version >= 180000
        else 'lower($1 COLLATE "und-x-icu")'
    )
    return (
        "CREATE OR REPLACE FUNCTION agentsight_fold(text) RETURNS text "
        f"LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fold$ SELECT {folded} $fold$"
    )


def json_text(dialect: Dialect, column: SQLColumnExpression[Any], path: Sequence[str]) -> ColumnElement[str]:
    """The value at `path` inside a JSON text column, as text; strings without quotes, booleans as true/false."""
    match dialect:
        case Dialect.SQLITE if any('"' in part for part in path):
            # SQLite's paths cannot name a key with a quotation mark in it.
            return func.json_at(column, msgspec.json.encode(path).decode())
        case Dialect.SQLITE:
            where = "$" + "".join(f'."{part}"' for part in path)
            kind = func.json_type(column, where)
            plain = cast(func.json_extract(column, where), Text)
            return func.iif(kind.in_(["true", "false"]), kind, plain)
        case Dialect.POSTGRESQL:
            return func.jsonb_extract_path_text(cast(column, JSONB), *path)
        case _:
            assert_never(dialect)


def take_numbers(driver: Any, dialect: Dialect, conversations: int, items: int) -> Numbers:
    """The transaction's revision, and so many new row numbers of conversations and items, all by one statement.

    Args:
        driver: a cursor in a writing transaction; writers take turns, so that numbers come without gaps.
    """
    match dialect:
        case Dialect.SQLITE:
            driver.execute(
                "UPDATE counters SET value = value + "
                "CASE name WHEN 'revision' THEN 1 WHEN 'conversations' THEN ? ELSE ? END "
                "WHERE name IN ('revision', 'conversations', 'items') RETURNING name, value",
                (conversations, items),
            )
            last = dict(driver.fetchall())
        case Dialect.POSTGRESQL:
            taken = "CASE WHEN %s > 0 THEN setval('{0}_id_seq', nextval('{0}_id_seq') + %s - 1) END"
            driver.execute(
                "WITH counted AS (UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value) "  # noqa: S608
                f"SELECT value, {taken.format('conversations')}, {taken.format('items')} FROM counted",
                (conversations, conversations, items, items),
            )
            last = dict(zip(("revision", "conversations", "items"), driver.fetchone(), strict=True))
        case _:
            assert_never(dialect)
    ends = [(last[name] or 0, count) for name, count in (("conversations", conversations), ("items", items))]
    made, added = (iter(range(end - count + 1, end + 1)) for end, count in ends)
    return last["revision"], made, added


def reuses_numbers(dialect: Dialect) -> bool:
    """Whether a new row may get the number of one that is gone, where the table has no counter."""
    match dialect:
        case Dialect.SQLITE:
            return True
        case Dialect.POSTGRESQL:
            return False
        case _:
            assert_never(dialect)


def mark(dialect: Dialect) -> str:
    """How the driver spells a bound value."""
    match dialect:
        case Dialect.SQLITE:
            return "?"
        case Dialect.POSTGRESQL:
            return "%s"
        case _:
            assert_never(dialect)


def pairs(connection: Connection, values: Mapping[int, int]) -> tuple[str, tuple[Any, ...]]:
    """A query for the driver that gives (key, value) rows, and what it binds."""
    match of(connection):
        case Dialect.SQLITE:
            query = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
            return query, (msgspec.json.encode(list(values.items())).decode(),)
        case Dialect.POSTGRESQL:
            return "SELECT * FROM unnest(%s::bigint[], %s::bigint[])", (list(values), list(values.values()))
        case unknown:
            assert_never(unknown)


def fetch(
    connection: Connection, columns: Sequence[str], query: str, values: Sequence[Any] = ()
) -> list[Sequence[Any]]:
    """All rows of a query in the driver's spelling, with one call.

    SQLite's driver gives the interpreter away for each row and, beside busy threads, waits for it each time:
    a hundred times what the query takes. As one JSON text the rows come in one step.

    Args:
        columns: the names of the query's columns; whole numbers, texts and truth values (1 or 0 on SQLite).
    """
    driver = connection.connection.cursor()
    try:
        match of(connection):
            case Dialect.SQLITE:
                listed = ", ".join(columns)
                driver.execute(
                    f"SELECT json_group_array(json_array({listed})) FROM ({query})",  # noqa: S608
                    values,
                )
                return msgspec.json.decode(driver.fetchone()[0], type=list[Sequence[Any]])  # type: ignore[index]
            case Dialect.POSTGRESQL:
                driver.execute(query, values)
                return list(driver.fetchall())
            case unknown:
                assert_never(unknown)
    finally:
        driver.close()


def seed(connection: Connection) -> None:
    """Make sure that the running numbers exist."""
    for name in ("revision", "items", "conversations"):
        connection.execute(
            text("INSERT INTO counters (name, value) VALUES (:name, 0) ON CONFLICT DO NOTHING"),
            {"name": name},
        )


def last_number(connection: Connection, table: str, stored: int) -> int:
    """The number that a row of the table got last; `stored` is the highest that is there."""
    match of(connection):
        case Dialect.SQLITE:
            query = text("SELECT value FROM counters WHERE name = :name")
            return int(connection.execute(query, {"name": table}).scalar() or 0)
        case Dialect.POSTGRESQL:
            return stored  # a sequence counts by itself
        case unknown:
            assert_never(unknown)


def count_on(connection: Connection, table: str, highest: int) -> None:
    """Give the table's next row a number above `highest`."""
    match of(connection):
        case Dialect.SQLITE:
            query = text("UPDATE counters SET value = max(value, :highest) WHERE name = :name")
        case Dialect.POSTGRESQL if highest:
            query = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :highest)")
        case Dialect.POSTGRESQL:
            return  # a sequence begins at 1, and takes nothing below
        case unknown:
            assert_never(unknown)
    connection.execute(query, {"highest": highest, "name": table})


def damage(connection: Connection) -> Damage | None:
    """What is broken in the database itself; None: nothing is. It reads all of it."""
    match of(connection):
        case Dialect.SQLITE:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(10)")]
            if found != ["ok"]:
                first = " ".join(found[0].split())[:200]  # SQLite says it in several lines
                more = f" and {len(found) - 1} more" if found[1:] else ""
                return Damage(f"the file is damaged: {first}{more}")
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                tables = ", ".join(sorted({str(row[0]) for row in broken}))
                return Damage(f"{len(broken):,} rows lead nowhere, in {tables}")
        case Dialect.POSTGRESQL:
            invalid = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid::regclass::text = 'items'"
            ).scalar_one()
            if invalid:
                return Damage(f"{invalid} indexes are not valid", "REINDEX DATABASE")
        case unknown:
            assert_never(unknown)
    return None


def clock(connection: Connection) -> float | None:
    """The database server's clock, in seconds since 1970; None: it is this machine's."""
    match of(connection):
        case Dialect.SQLITE:
            return None
        case Dialect.POSTGRESQL:
            query = "SELECT extract(epoch FROM clock_timestamp())"
            return float(connection.exec_driver_sql(query).scalar_one())
        case unknown:
            assert_never(unknown)
