"""Where three letters in a row occur in what was said: a file beside the store that makes searching fast.

It is derived, as the columns of the figures are: it follows the store a moment later, may be deleted at any time, and
whatever it finds is looked at in the store again. So it answers with candidates only, never with a text, and what it
does not have yet is looked for in the store itself.

It has a table for each block of numbers of items (SQLite's FTS5, trigrams of the folded text, without the text). What
is erased leaves with its block, which is made anew: the tables have no other way to let every byte go.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection

from agentsight_server.store import dialect, installation
from agentsight_server.store.database import Database
from agentsight_server.store.messages import WRITTEN
from agentsight_server.store.searching import Candidates, Named

__all__ = ["SearchIndex", "forget_erased", "note_erased"]

log = logging.getLogger(__name__)

BLOCK = 2**18
"""Numbers of items that one table holds: made anew in some ten seconds."""
MOST_CANDIDATES = 20_000
"""What more messages have is found soon by looking at the newest conversations."""
MOST_BEHIND = 20_000
"""Items that the index may lack and that a search looks through itself."""
FILE = "search.db"
_FORMAT = 2
_SHORTEST = 3
_MOST_PARTS = 48  # of three letters; more of them narrow nothing down
_ITEMS_AT_ONCE = 4_000
_LETTERS_AT_ONCE = 2_000_000
_ERASED = "search-erased"
_REVISION = "SELECT value FROM counters WHERE name = 'revision'"
# Each of these is one step of the driver, whatever the number of rows: see dialect.fetch().
_NEXT = f"""
    SELECT id, text FROM (
        SELECT id, text, length(text) AS letters, sum(length(text)) OVER (ORDER BY id) AS running FROM (
            SELECT id, CASE WHEN kind IN {WRITTEN} THEN coalesce(content, '') ELSE '' END AS text
            FROM items WHERE id > ? AND id <= ? ORDER BY id LIMIT ?))
    WHERE running - letters <= ? ORDER BY id"""  # noqa: S608 - numbers
_ANY = "SELECT 1 FROM items WHERE id > ? AND id <= ? LIMIT 1"
_INSERT = """INSERT INTO texts_{} (rowid, text)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"""
_FIND = """SELECT json_group_array(number) FROM (
    SELECT rowid AS number FROM texts_{block} WHERE texts_{block} MATCH ? LIMIT ?)"""
_STATE = """CREATE TABLE state (format INTEGER, store TEXT, mark INTEGER, revision INTEGER,
    named_revision INTEGER, named_id INTEGER)"""
# What conversations are called, folded: few letters, which are read in no time where nothing else has to be.
_NAMES = "CREATE TABLE IF NOT EXISTS names_{} (conversation INTEGER PRIMARY KEY, text TEXT)"
_CHANGED = """SELECT id, revision, conversation_id, name, customer_id FROM conversations
    WHERE revision >= ? AND (revision > ? OR id > ?) ORDER BY revision, id LIMIT ?"""
_IN_BLOCK = """SELECT id, revision, conversation_id, name, customer_id FROM conversations
    WHERE id >= ? AND id < ? AND erasure IS NULL"""
_CALL = """INSERT OR REPLACE INTO names_{} (conversation, text)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"""
_FIND_NAMED = """SELECT json_group_array(conversation) FROM (
    SELECT conversation FROM names_{block} WHERE instr(text, ?) > 0 LIMIT ?)"""
_BETWEEN = "\n"
# Folded by us, since the tokenizer folds less than Python does; no positions, since the text itself is looked at.
_TABLE = """CREATE VIRTUAL TABLE IF NOT EXISTS texts_{} USING fts5(
    text, content='', columnsize=0, detail='none', tokenize='trigram case_sensitive 1')"""


class SearchIndex:
    """The index of one store on SQLite.

    Args:
        path: its file; made when it is absent, made anew when it is damaged or another store's.
        store: what tells the store from any other.

    One thread calls step() and clean(), any number candidates().

    Example:
        >>> index = SearchIndex(folder / "search.db", "6b1f")
        >>> while index.step(database): ...
        >>> index.candidates("refund").items
        [17, 4]
    """

    def __init__(self, path: Path, store: str) -> None:
        self.path = path
        self.store = store
        self.is_ready = False
        # Whether nothing of what conversations are called is left to be taken.
        self.knows_names = False
        # The revision up to which nothing is missing.
        self._taken: int | None = None
        # How many numbers the store was ahead when it was last looked at.
        self.behind = 0
        self._own = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._generation = 0
        # What is read from the store is in the file before anything else is read.
        self._turn = threading.Lock()
        self._renewed: dict[str, int] = {}

    def candidates(self, needle: str) -> Candidates | None:
        """Items that may contain `needle`, whatever the case; None where looking at the store itself is better: the
        index is not there yet, the needle is shorter than three letters, or very many have it."""
        folded = needle.casefold()
        if not self.is_ready or self.behind > MOST_BEHIND or len(folded) < _SHORTEST or "\0" in folded:
            return None
        parts = dict.fromkeys(folded[at : at + _SHORTEST] for at in range(len(folded) - _SHORTEST + 1))
        wanted = " AND ".join('"' + part.replace('"', '""') + '"' for part in list(parts)[:_MOST_PARTS])
        try:
            return self._ask(wanted)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            log.warning("the search index does not answer: %s", error)
            return None

    def _ask(self, wanted: str) -> Candidates | None:
        reader = self._reader()
        found: list[int] = []
        reader.execute("BEGIN")
        try:
            (mark,) = reader.execute("SELECT mark FROM state").fetchone()
            for block in range(mark // BLOCK, -1, -1):
                if not _find(reader, _FIND.format(block=block), wanted, found):
                    return None
            return Candidates(found, mark)
        finally:
            reader.execute("ROLLBACK")

    def named(self, needle: str) -> Named | None:
        """Conversations with `needle` in their id, name or customer, whatever the case; None as for candidates()."""
        folded = needle.casefold()
        if not self.is_ready or not self.knows_names or _BETWEEN in folded or "\0" in folded:
            return None
        try:
            return self._ask_names(folded)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            log.warning("the search index does not answer: %s", error)
            return None

    def _ask_names(self, folded: str) -> Named | None:
        reader = self._reader()
        found: list[int] = []
        reader.execute("BEGIN")
        try:
            (revision,) = reader.execute("SELECT named_revision FROM state").fetchone()
            for (name,) in reader.execute(_NAME_TABLES).fetchall():
                if not _find(reader, _FIND_NAMED.format(block=name.rpartition("_")[2]), folded, found):
                    return None
            # Of that revision itself some may be missing.
            return Named(found, revision - 1)
        finally:
            reader.execute("ROLLBACK")

    def _reader(self) -> sqlite3.Connection:
        if getattr(self._own, "generation", -1) != self._generation:
            with self._lock:
                address = f"{self.path.absolute().as_uri()}?mode=ro"
                reader = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
                self._opened.append(reader)
                self._own.reader, self._own.generation = reader, self._generation
        found: sqlite3.Connection = self._own.reader
        return found

    # Following

    def step(self, database: Database) -> bool:
        """Take the next items of the store.

        Returns:
            Whether there are more.

        Raises:
            sqlite3.Error: the file does not take them.
        """
        if self.is_ready and self._taken is not None:
            with database.read() as connection:
                if connection.exec_driver_sql(_REVISION).scalar() == self._taken:
                    return False  # and nothing is written, second by second, into a store that rests
        with self._turn, self._writing() as own, database.read() as connection:
            mark, revision = own.execute("SELECT mark, revision FROM state").fetchone()
            latest = int(connection.exec_driver_sql(_REVISION).scalar() or 0)
            if latest < revision:
                log.warning("the store is older than the search index: it is built anew")
                self._discard(own)
                return True
            last, more = self._take(own, connection, mark, None)
            own.execute("UPDATE state SET mark = ?, revision = ?", (last, latest))
            unnamed = _call(own, connection)
            newest = connection.exec_driver_sql("SELECT max(id) FROM items").scalar() or 0
        self.behind = max(0, newest - last)
        self.knows_names = not unnamed
        self.is_ready = True
        self._taken = None if more or unnamed else latest
        return more or unnamed

    def _take(
        self, own: sqlite3.Connection, connection: Connection, mark: int, end: int | None
    ) -> tuple[int, bool]:
        """Put the items above `mark`, up to `end`, in, as many as one transaction should: the last number, and whether
        there are more."""
        rows = dialect.fetch(
            connection,
            ("id", "text"),
            _NEXT,
            (mark, 2**62 if end is None else end, _ITEMS_AT_ONCE, _LETTERS_AT_ONCE),
        )
        begun, last = mark, rows[-1][0] if rows else mark
        texts: dict[int, list[tuple[int, str]]] = {}
        for number, text in rows:
            if text:
                texts.setdefault(number // BLOCK, []).append((number, text.casefold().replace("\0", " ")))
        for block in range(max(begun, 0) // BLOCK, last // BLOCK + 1):
            own.execute(_TABLE.format(block))
        for block, some in texts.items():
            own.execute(_INSERT.format(block), (msgspec.json.encode(some).decode(),))
        # One row more would have been too much, or there is none.
        more = connection.exec_driver_sql(_ANY, (last, 2**62 if end is None else end)).first() is not None
        return last, more

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the file; made anew where it is no index, or none of this store."""
        for again in (True, False):
            own = sqlite3.connect(self.path, isolation_level=None, timeout=15)
            with closing(own):
                try:
                    self._prepare(own)
                except sqlite3.DatabaseError as error:
                    if isinstance(error, sqlite3.OperationalError) or not again:
                        raise
                    own.close()
                    log.warning("the search index cannot be read (%s): it is built anew", error)
                    self.remove()
                    continue
                own.execute("BEGIN IMMEDIATE")
                try:
                    yield own
                except BaseException:
                    own.execute("ROLLBACK")
                    raise
                own.execute("COMMIT")
                return

    def _prepare(self, own: sqlite3.Connection) -> None:
        own.execute("PRAGMA journal_mode = WAL")
        own.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes is read from the store again
        own.execute("PRAGMA secure_delete = ON")
        own.execute("PRAGMA journal_size_limit = 16777216")
        own.execute("PRAGMA cache_size = -16384")
        own.execute("BEGIN IMMEDIATE")
        try:
            if not own.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
                own.execute(_STATE)
            if own.execute("SELECT format, store FROM state").fetchall() != [(_FORMAT, self.store)]:
                self._discard(own)
        except BaseException:
            own.execute("ROLLBACK")
            raise
        own.execute("COMMIT")

    def _discard(self, own: sqlite3.Connection) -> None:
        self.is_ready = False
        self._generation += 1  # whoever reads may hold a file that somebody deleted
        for (name,) in own.execute(_TABLES).fetchall() + own.execute(_NAME_TABLES).fetchall():
            own.execute(f"DROP TABLE {name}")
        own.execute("DROP TABLE state")
        own.execute(_STATE)
        own.execute("INSERT INTO state VALUES (?, ?, 0, 0, 0, 0)", (_FORMAT, self.store))
        own.execute(_TABLE.format(0))

    # Erasing

    def clean(self, database: Database) -> dict[str, int] | None:
        """Make the blocks anew from which something was erased, to the last byte.

        Returns:
            What forget_erased() is to be told; None while a reader is in the way: call again.
        """
        with self._turn:
            with database.read() as connection:
                found = _erased(connection)
            for block, times in found.items():
                if self._renewed.get(block) != times:
                    if block.startswith(_OF_NAMES):
                        self._rename(database, int(block.removeprefix(_OF_NAMES)))
                    else:
                        self._renew(database, int(block))
                    self._renewed[block] = times
            with closing(sqlite3.connect(self.path, isolation_level=None)) as own:
                own.execute("PRAGMA busy_timeout = 200")
                busy, _, _ = own.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                return None
            self._renewed.clear()
            return found

    def _renew(self, database: Database, block: int) -> None:
        with self._writing() as own:
            (mark,) = own.execute("SELECT mark FROM state").fetchone()
            if block > mark // BLOCK:
                return
            own.execute(f"DROP TABLE IF EXISTS texts_{block}")
            own.execute(_TABLE.format(block))
            at, end, more = block * BLOCK - 1, min(mark, (block + 1) * BLOCK - 1), True
            while more:
                with database.read() as connection:
                    at, more = self._take(own, connection, at, end)

    def _rename(self, database: Database, block: int) -> None:
        with self._writing() as own, database.read() as connection:
            own.execute(f"DROP TABLE IF EXISTS names_{block}")
            _put_names(
                own, dialect.fetch(connection, _CALLED, _IN_BLOCK, (block * BLOCK, (block + 1) * BLOCK))
            )

    def remove(self) -> None:
        """Let the file go; the next step begins anew."""
        self.close()
        for ending in ("", "-wal", "-shm"):
            Path(f"{self.path}{ending}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        self.is_ready = False
        with self._lock:
            self._generation += 1
            for each in self._opened:
                with suppress(sqlite3.Error):
                    each.close()
            self._opened.clear()


def _find(reader: sqlite3.Connection, query: str, wanted: str, found: list[int]) -> bool:
    """Add what is found; False where it is too much."""
    (rows,) = reader.execute(query, (wanted, MOST_CANDIDATES + 1 - len(found))).fetchone()
    found.extend(msgspec.json.decode(rows, type=list[int]))
    return len(found) <= MOST_CANDIDATES


def _call(own: sqlite3.Connection, connection: Connection) -> bool:
    """Take what changed conversations are called; whether there are more."""
    revision, number = own.execute("SELECT named_revision, named_id FROM state").fetchone()
    rows = dialect.fetch(connection, _CALLED, _CHANGED, (revision, revision, number, _ITEMS_AT_ONCE))
    if rows:
        _put_names(own, rows)
        own.execute("UPDATE state SET named_revision = ?, named_id = ?", (rows[-1][1], rows[-1][0]))
    return len(rows) == _ITEMS_AT_ONCE


def _put_names(own: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> None:
    blocks: dict[int, list[tuple[int, str]]] = {}
    for number, _, *names in rows:
        text = _BETWEEN.join(each for each in names if each).casefold()
        blocks.setdefault(number // BLOCK, []).append((number, text))
    for block, some in blocks.items():
        own.execute(_NAMES.format(block))
        own.execute(_CALL.format(block), (msgspec.json.encode(some).decode(),))


_CALLED = ("id", "revision", "conversation_id", "name", "customer_id")
_OF_NAMES = "names "
_NAME_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'names_*'"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'"


def note_erased(
    connection: Connection, *, items: Sequence[int] = (), conversations: Sequence[int] = ()
) -> None:
    """What has these numbers is going: in the same transaction note which blocks of an index have to follow."""
    if dialect.path_of(connection.engine.url) is None or not (items or conversations):
        return
    found = _erased(connection)
    blocks = {str(number // BLOCK) for number in items}
    for block in blocks | {f"{_OF_NAMES}{number // BLOCK}" for number in conversations}:
        found[block] = found.get(block, 0) + 1
    installation.keep_value(connection, _ERASED, msgspec.json.encode(found).decode())


def forget_erased(connection: Connection, done: dict[str, int]) -> None:
    """Note that these blocks were made anew, unless more was erased from them meanwhile."""
    left = {block: times for block, times in _erased(connection).items() if done.get(block) != times}
    installation.keep_value(connection, _ERASED, msgspec.json.encode(left).decode())


def _erased(connection: Connection) -> dict[str, int]:
    value = installation.value_of(connection, _ERASED)
    return msgspec.json.decode(value, type=dict[str, int]) if value else {}
