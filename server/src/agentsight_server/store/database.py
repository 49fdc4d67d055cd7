"""Connections: one way to write, many to read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from agentsight_server.domain.causes import reason
from agentsight_server.domain.versions import MADE_BY_A_NEWER_ONE
from agentsight_server.store import dialect
from agentsight_server.store.cutoff import CURRENT, CutOff
from agentsight_server.store.searching import INDEX, Index

MIGRATIONS = Path(__file__).parent / "migrations"


class StoreError(Exception):
    """The store cannot be used; the text is one line that says what to do."""


class OlderStore(StoreError):
    """Its tables are those of an older program."""


class NewerStore(StoreError):
    """Its tables are those of a newer program."""


class Database:
    """The store's connections. SQLite: one writing process at a time, readers never wait for it.

    Example:
        >>> database = Database("sqlite:///agentsight.db")
        >>> database.migrate()
        >>> with database.read() as connection:
        ...     connection.exec_driver_sql("SELECT count(*) FROM agents").scalar_one()
        0
        >>> database.close()
    """

    def __init__(self, url: str, *, readers: int = 8) -> None:
        self.url: URL = make_url(url)
        self.dialect = dialect.Dialect(self.url.get_backend_name())
        self.path = dialect.path_of(self.url)
        self.writing = self._engine(read_only=False, size=2)
        self.reading = self._engine(read_only=True, size=readers)
        # Where there is one, searches ask it first.
        self.index: Index | None = None

    def _engine(self, *, read_only: bool, size: int) -> Engine:
        options: dict[str, Any] = {
            "poolclass": QueuePool,
            "pool_size": size,
            "max_overflow": 32,
            "hide_parameters": True,  # errors reach the log, what customers wrote does not
        }
        options |= dialect.engine_options(self.dialect, self.url, read_only=read_only)
        engine = create_engine(self.url, **options)
        first = dialect.begin(self.dialect, read_only=read_only)

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _: Any) -> None:
            if isinstance(connection, sqlite3.Connection):
                dialect.prepare_sqlite(connection, read_only=read_only)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            if first is not None:
                connection.exec_driver_sql(first)

        return engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that cannot write and sees one moment of the data.

        Raises:
            CutOff: what the running work may take is used up, see cutoff.py.
        """
        cutoff, other = CURRENT.get(), INDEX.get()
        INDEX.set(self.index)
        try:
            with self.reading.connect() as connection, connection.begin():
                if cutoff is None:
                    yield connection
                    return
                try:
                    with dialect.bounded(connection, cutoff):
                        yield connection
                except DBAPIError:
                    if cutoff.is_over:
                        raise CutOff from None
                    raise
        finally:
            INDEX.set(other)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed when the block ends, undone when it raises."""
        with self.writing.begin() as connection:
            yield connection

    def migrate(self) -> None:
        """Create the schema, or bring it up to date.

        Raises:
            StoreError: the folder cannot be written, or the database is newer than this program.
        """
        if self.path is not None:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # customers' words lie there
            except OSError as error:
                raise StoreError(
                    f"cannot create the data folder {self.path.parent}: {error.strerror}"
                ) from None
            if not os.access(self.path.parent, os.W_OK | os.X_OK):
                raise StoreError(
                    f"the data folder {self.path.parent} cannot be written: change its owner or --data-dir"
                )
        try:
            with self.writing.begin() as connection:
                config = alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                dialect.seed(connection)
        except CommandError:
            raise NewerStore(f"the database {MADE_BY_A_NEWER_ONE}") from None
        except (OperationalError, DBAPIError) as error:
            raise StoreError(f"cannot open the database: {reason(error)}") from None

    def check_current(self) -> None:
        """Refuse to run on a schema that is not this program's.

        Raises:
            OlderStore, NewerStore: the database is another program's.
        """
        script = ScriptDirectory.from_config(alembic_config())
        with self.read() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        if found != script.get_current_head():
            known = {revision.revision for revision in script.walk_revisions()}
            if found is None or found in known:
                raise OlderStore("the database is older than this program: start without --no-migrate")
            raise NewerStore(f"the database {MADE_BY_A_NEWER_ONE}")

    def close(self) -> None:
        """Close every connection."""
        self.reading.dispose()
        self.writing.dispose()


def alembic_config() -> Config:
    """Alembic's settings, without a file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
