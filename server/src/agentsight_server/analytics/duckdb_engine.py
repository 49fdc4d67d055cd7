"""The embedded engine: one DuckDB file beside the store."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from agentsight_server.analytics import duckdb_tables
from agentsight_server.analytics.duckdb_errors import is_damage, is_held_elsewhere
from agentsight_server.analytics.duckdb_tables import BESIDE, ORDER, UNCLEAN
from agentsight_server.analytics.engine import (
    LAYOUT,
    TABLES,
    AnalyticsError,
    Batch,
    Broken,
    Columns,
    Execute,
)
from agentsight_server.domain.causes import reason
from agentsight_server.store.cutoff import CURRENT, CutOff

logger = logging.getLogger(__name__)

# A program that is just ending may hold the file for a moment.
LOCK_PATIENCE = 5.0
_WAL = ".wal"


class DuckFunctions:
    """DuckDB's spelling."""

    def parameter(self, number: int, value: Any) -> str:
        """See Functions."""
        return f"${number}"

    def divide(self, number: str, by: int) -> str:
        """See Functions."""
        return f"({number}) // {by}"

    def quantile(self, value: str, share: float) -> str:
        """See Functions."""
        return f"quantile_cont({value}, {share})"

    def json_text(self, document: str, path: Sequence[str]) -> str:
        """See Functions."""
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
        return f"json_extract_string({document}, '{pointer.replace(chr(39), chr(39) * 2)}')"


class DuckEngine:
    """The engine on a DuckDB file.

    One process at a time can have the file open. A file that is broken is moved aside and begun anew; while
    another program holds it, a second file beside it is used.

    Example:
        >>> engine = DuckEngine(Path("analytics.duckdb"))
        >>> engine.open("installation")
        >>> with engine.reading() as execute:
        ...     execute("SELECT count(*) FROM conversations", ())
        [(0,)]
        >>> engine.close()
    """

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        self.path = path
        self.functions = DuckFunctions()
        self._threads = threads
        self._store = ""
        self._used = path
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._writing = threading.Lock()
        # Readers in flight: the file is only closed when there are none.
        self._gate = threading.Condition()
        self._readers = 0

    # Opening and closing

    @property
    def next_path(self) -> Path:
        """Where a file that was rebuilt elsewhere waits to be taken over."""
        return self.path.with_name(self.path.name + ".next")

    def open(self, store: str) -> None:
        """See Engine."""
        self._store = store
        self._used = self.path
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AnalyticsError(f"cannot write {self.path.parent}: {error.strerror}") from None
        self._open_patiently()

    def _open_patiently(self) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE
        was_held = True
        while True:
            try:
                self.adopt_next()
                self._start()
                self._tidy()
                return
            except duckdb.Error as error:
                if not is_held_elsewhere(self._used):
                    if not was_held:
                        self._begin_anew(f"cannot be read ({reason(error)})")
                        return
                    was_held = (
                        False  # perhaps it was let go since: nothing is moved aside before a second try
                    )
                    continue
                was_held = True
                if time.monotonic() > deadline:
                    self._use_second_file(error)
                    return
                time.sleep(0.1)

    def close(self) -> None:
        """See Engine."""
        with self._gate:
            self._gate.wait_for(lambda: self._readers == 0, timeout=30)
            connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(duckdb.Error):
                connection.close()
        if self._used != self.path:
            remove(self._used)

    def _start(self) -> None:
        """Open the file in use and see that it is of this layout and this store."""
        connection = _connect(self._used, self._threads)
        try:
            self._prepare(connection)
        except duckdb.Error:
            connection.close()
            raise
        self._connection = connection

    def _prepare(self, connection: duckdb.DuckDBPyConnection) -> None:
        tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if "state" in tables:
            state = connection.execute("SELECT layout, store FROM state").fetchone()
            if state == (LAYOUT, self._store) and tables >= {*TABLES, *BESIDE}:
                for table in TABLES:  # a damaged file often opens well and fails at the first look
                    connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchall()  # noqa: S608
                duckdb_tables.unstage(connection)
                return
            logger.warning("%s is of another version or database; the figures are built anew", self._used)
        connection.execute("BEGIN")
        for table in tables:
            connection.execute(f'DROP TABLE "{table}"')
        duckdb_tables.create(connection, self._store)
        if tables:
            connection.execute(UNCLEAN)
        connection.execute("COMMIT")

    def _begin_anew(self, reason: str) -> None:
        if self._used != self.path:  # the file itself is another program's
            remove(self._used)
            logger.warning("%s %s: the figures are built anew", self._used, reason)
            self._begin()
            return
        aside = self.path.with_name(f"{self.path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            self.path.rename(aside)
        except OSError as error:
            raise AnalyticsError(f"{self.path} {reason} and cannot be moved: {error.strerror}") from None
        _remove_log(self.path)
        logger.warning("%s %s: moved to %s, the figures are built anew", self.path, reason, aside.name)
        self._begin()

    def _begin(self) -> None:
        try:
            self._start()
        except duckdb.Error as error:
            raise AnalyticsError(f"cannot open {self._used}: {reason(error)}") from None

    def _use_second_file(self, error: duckdb.Error) -> None:
        self._used = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        remove(self._used)
        logger.warning(
            "%s is in use by another program: the figures are built anew in %s until the next start",
            self.path,
            self._used.name,
        )
        try:
            self._start()
        except duckdb.Error:
            raise AnalyticsError(f"cannot open {self.path}: {reason(error)}") from None

    def _tidy(self) -> None:
        """Remove files beside this one whose programs have ended."""
        for left in self.path.parent.glob(self.path.name + ".*"):
            if left.suffix[1:].isdigit() or left.suffix.startswith((".taken-", ".building-")):
                with contextlib.suppress(duckdb.Error):
                    _connect(left, 1).close()
                    remove(left)

    def adopt_next(self) -> None:
        """Put the file that was rebuilt in place of this one, if one is waiting.

        Raises:
            duckdb.Error: this one is open somewhere.
        """
        taken = self.next_path.with_suffix(f".taken-{os.getpid()}")
        try:
            self.next_path.rename(taken)  # of several that try, one has it
        except OSError:
            return
        try:
            if self.path.exists():
                _connect(self.path, 1).close()  # nobody else has it open, or this raises
        except duckdb.Error:
            if is_held_elsewhere(self.path):
                taken.replace(self.next_path)
                raise
        _remove_log(self.path)
        taken.replace(self.path)

    def take_over(self) -> bool:
        """See Engine; readers wait for a moment."""
        if self._used != self.path or not self.next_path.exists():
            return False
        with self._writing, self._gate:
            if not self._gate.wait_for(lambda: self._readers == 0, timeout=30):
                return False
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._open_patiently()
        return True

    def recover(self, reason: str) -> None:
        """See Engine."""
        with self._writing, self._gate:
            self._gate.wait_for(lambda: self._readers == 0, timeout=30)
            if self._connection is not None:
                with contextlib.suppress(duckdb.Error):
                    self._connection.close()
                self._connection = None
            self._begin_anew(reason)

    # Use

    @contextmanager
    def reading(self) -> Iterator[Execute]:
        """See Engine."""
        cutoff = CURRENT.get()
        with self._gate:
            if self._connection is None:
                raise AnalyticsError("the figures are not ready yet; try again in a moment")
            try:
                cursor = self._connection.cursor()
            except duckdb.Error as error:
                raise AnalyticsError(reason(error)) from None
            self._readers += 1
        try:

            def execute(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
                if cutoff is not None:
                    cutoff.check()
                return cursor.execute(sql, list(parameters)).fetchall()

            cursor.execute("BEGIN TRANSACTION READ ONLY")
            with cutoff.interrupting(cursor.interrupt) if cutoff else contextlib.nullcontext():
                yield execute
        except duckdb.InterruptException:
            raise CutOff from None
        except duckdb.Error as error:
            raise _said(error) from error
        finally:
            # Closing ends its transaction.
            with contextlib.suppress(duckdb.Error):
                cursor.close()
            with self._gate:
                self._readers -= 1
                self._gate.notify_all()

    def last_revision(self) -> int:
        """See Engine."""
        with self.reading() as execute:
            return int(execute("SELECT revision FROM state", ())[0][0])

    def apply(self, batch: Batch) -> None:
        """See Engine."""
        with self._writing, self._transaction() as connection:
            duckdb_tables.take_out(connection, batch)
            duckdb_tables.insert(connection, batch.tables)
            duckdb_tables.keep_pauses(connection, batch.pauses)
            if batch.erases:
                connection.execute(UNCLEAN)
            connection.execute("UPDATE state SET revision = $1", [batch.revision])

    def stage(self, tables: dict[str, Columns], replaced: list[int]) -> None:
        """See Engine."""
        with self._writing, self._transaction() as connection:
            duckdb_tables.stage(connection, tables, replaced)

    def exchange(self, agent: int, pauses: dict[str, int]) -> None:
        """See Engine."""
        with self._writing, self._transaction() as connection:
            duckdb_tables.exchange(connection, agent)
            duckdb_tables.keep_pauses(connection, {agent: pauses})

    def unstage(self) -> None:
        """See Engine."""
        with self._writing, self._transaction() as connection:
            duckdb_tables.unstage(connection)

    def is_unclean(self) -> bool:
        """See Engine."""
        with self.reading() as execute:
            return bool(execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'unclean'", ()))

    def scrub(self) -> bool:
        """See Engine. What is deleted stays in a file's free blocks until they are used again; so another file takes
        its place. Files that were moved aside go, too: they can hold anything."""
        fresh = self.path.with_name(f"{self.path.name}.building-{os.getpid()}-scrubbed")
        with self._writing:
            self._export(fresh)
            with self._gate:
                if not self._gate.wait_for(lambda: self._readers == 0, timeout=30):
                    remove(fresh)
                    return False
                self._writer().close()
                self._connection = None
                _remove_log(self._used)
                fresh.replace(self._used)
                self._begin()
        for aside in self.path.parent.glob(self.path.name + ".broken-*"):
            with contextlib.suppress(OSError):
                aside.unlink()
        return True

    def reset(self) -> None:
        """See Engine."""
        with self._writing, self._transaction() as connection:
            for table in (*TABLES, *BESIDE):
                connection.execute(f"DROP TABLE {table}")
            duckdb_tables.unstage(connection)
            duckdb_tables.create(connection, self._store)
            connection.execute(UNCLEAN)

    def compact(self) -> None:
        """See Engine."""
        with self._writing:
            for table, order in ORDER.items():
                with self._transaction() as connection:
                    connection.execute(f"CREATE TABLE ordered AS SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
                    connection.execute(f"DROP TABLE {table}")
                    connection.execute(f"ALTER TABLE ordered RENAME TO {table}")
            with contextlib.suppress(duckdb.Error):  # readers may be in the way; a later one will do
                self._writer().execute("CHECKPOINT")

    def export(self, target: Path) -> None:
        """Write an ordered copy without gaps; the target is complete on disk when this returns."""
        with self._writing:
            self._export(target)

    def _export(self, target: Path) -> None:
        remove(target)
        connection = self._writer()
        quoted = str(target).replace("'", "''")
        try:
            connection.execute(f"ATTACH '{quoted}' AS target")
            for table, order in (ORDER | BESIDE).items():
                connection.execute(f"CREATE TABLE target.{table} AS SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
            connection.execute("CHECKPOINT target")
            connection.execute("DETACH target")
        except duckdb.Error as error:
            with contextlib.suppress(duckdb.Error):
                connection.execute("DETACH target")
            remove(target)
            raise _said(error) from error

    def size(self) -> int:
        """See Engine."""
        files = (self._used, Path(f"{self._used}{_WAL}"))
        return sum(each.stat().st_size for each in files if each.exists())

    def _writer(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise AnalyticsError("the analytics file is closed")
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._writer()
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except duckdb.Error as error:
            with contextlib.suppress(duckdb.Error):
                connection.execute("ROLLBACK")
            raise _said(error) from error


def _connect(path: Path, threads: int | None) -> duckdb.DuckDBPyConnection:
    settings: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    if threads:
        settings["threads"] = threads
    return duckdb.connect(str(path), config=settings)


def remove(path: Path) -> None:
    """Delete an analytics file, if it is there, with the log beside it."""
    with contextlib.suppress(OSError):
        path.unlink()
    _remove_log(path)


def _remove_log(path: Path) -> None:
    with contextlib.suppress(OSError):
        Path(f"{path}{_WAL}").unlink()


def _said(error: duckdb.Error) -> AnalyticsError:
    """The error in our words: Broken when nothing but a new file helps."""
    if is_damage(error):
        return Broken(f"is damaged ({reason(error)})")
    return AnalyticsError(reason(error))
