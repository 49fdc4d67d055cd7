"""One file with everything: a consistent copy of the store, and the attachments that it names.

A backup of SQLite holds the database's own file, one of PostgreSQL its rows as JSON lines; either is restored into
either engine. The attachments are read after the store: they never change, and each row's bytes were there before it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
from sqlalchemy import Connection, MetaData

from agentsight_server._version import __version__
from agentsight_server.domain.versions import MADE_BY_A_NEWER_ONE
from agentsight_server.store import copies
from agentsight_server.store.database import Database
from agentsight_server.store.schema import metadata

FORMAT = 1
_MANIFEST = "manifest.json"
_DATABASE = "agentsight.db"
_COPYING, _RESTORING = "Copying the database", "Restoring the database"
_ROWS_AT_ONCE = 500
_CHUNK = 1024 * 1024
# What a backup from elsewhere may make us hold in memory.
_LARGEST_MANIFEST = 16 * 1024 * 1024
LARGEST_ATTACHMENT = 256 * 1024 * 1024

Progress = Callable[[str, float], None]  # what is being done, and the share that is done


class BackupError(Exception):
    """The backup cannot be made or used; the text says in one line why."""


class Files(Protocol):
    """Where the bytes of attachments lie."""

    def put(self, data: bytes) -> str: ...
    def exists(self, sha: str) -> bool: ...
    def size(self, sha: str) -> int: ...
    def stream(self, sha: str) -> Iterator[bytes]: ...


class TablePart(msgspec.Struct):
    """A table's rows, as a member of the backup: one JSON list a line."""

    name: str
    columns: list[str]
    rows: int
    sha256: str


class Manifest(msgspec.Struct):
    """What a backup holds; the first member of the file."""

    format: int
    version: str
    made_at: float  # seconds since 1970
    engine: str
    schema: str
    conversations: int
    items: int
    files: int
    database_sha256: str | None = None
    tables: list[TablePart] = []


class Made(msgspec.Struct):
    """What a backup came to hold. `missing` are attachments whose bytes were not in the files store."""

    manifest: Manifest
    missing: list[str]


def make(
    database: Database,
    files: Files | None,
    target: IO[bytes],
    *,
    folder: Path,
    compressed: bool = False,
    progress: Progress = lambda what, share: None,
) -> Made:
    """Write a backup; a server may run meanwhile.

    Args:
        files: None leaves the attachments out.
        target: where to; written from front to back, so it may be a pipe.
        folder: for the copy of the store, for as long as it takes.
        compressed: gzip the whole.

    Raises:
        BackupError: the copy is damaged, which says that the store is.
        OSError: no space, or the target does not take it.
    """
    with tempfile.TemporaryDirectory(prefix=".agentsight-backup-", dir=folder) as scratch:
        work = Path(scratch)
        copy = _dump if database.path is None else _copy_file
        manifest, members, wanted = copy(database, work, progress)
        present: list[str] = []
        missing: list[str] = []
        if files is not None:
            for sha in wanted:
                (present if files.exists(sha) else missing).append(sha)
        manifest.files = len(present)
        # Level 3 is three times faster than the usual one, for files that are a tenth larger.
        packed = gzip.GzipFile("", "wb", 3, target, mtime=0) if compressed else target
        with tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            _add_bytes(tar, _MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            for name, path in members:
                with path.open("rb") as file:
                    _add(tar, name, path.stat().st_size, file)
                path.unlink()  # gives its space back as soon as it can
            for number, sha in enumerate(present):
                assert files is not None
                _add(tar, f"files/{sha}", files.size(sha), _Pieces(files.stream(sha)))
                progress("Copying attachments", (number + 1) / len(present))
        if packed is not target:
            packed.close()
    return Made(manifest, missing)


def _add(tar: tarfile.TarFile, name: str, size: int, source: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(time.time())
    tar.addfile(info, source)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    _add(tar, name, len(data), io.BytesIO(data))


class _Pieces(io.RawIOBase):
    """Pieces of bytes, read like a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += bytes(piece)
        size = len(self._rest) if size < 0 else size
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


Members = list[tuple[str, Path]]


def _copy_file(database: Database, work: Path, progress: Progress) -> tuple[Manifest, Members, list[str]]:
    copy = work / _DATABASE
    with database.read() as connection:
        # The first read fixes the moment that is copied.
        manifest = _manifest(connection, database)
        try:
            wanted = copies.copy_file(connection, copy, lambda share: progress(_COPYING, share))
        except copies.DamagedStore as error:
            raise BackupError(f"the database is damaged ({error}): run `agentsight doctor`") from None
    manifest.database_sha256 = _sha256(copy)
    return manifest, [(_DATABASE, copy)], wanted


def _dump(database: Database, work: Path, progress: Progress) -> tuple[Manifest, Members, list[str]]:
    members: Members = []
    with database.read() as connection:
        manifest = _manifest(connection, database)
        tables = metadata.sorted_tables
        for number, table in enumerate(tables):
            path = work / f"{table.name}.jsonl"
            digest, count = hashlib.sha256(), 0
            with path.open("wb") as file:
                for row in copies.rows(connection, table):
                    line = msgspec.json.encode(list(row)) + b"\n"
                    digest.update(line)
                    file.write(line)
                    count += 1
            columns = [str(column.name) for column in table.columns]
            manifest.tables.append(TablePart(str(table.name), columns, count, digest.hexdigest()))
            members.append((f"tables/{table.name}.jsonl", path))
            progress(_COPYING, (number + 1) / len(tables))
        wanted = copies.hashes(connection)
    return manifest, members, wanted


def _manifest(connection: Connection, database: Database) -> Manifest:
    return Manifest(
        FORMAT,
        __version__,
        time.time(),
        database.dialect.value,
        copies.schema_of(connection),
        copies.count(connection, "conversations"),
        copies.count(connection, "items"),
        0,
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def take_apart(
    source: IO[bytes], files: Files | None, work: Path, *, progress: Progress = lambda what, share: None
) -> Manifest:
    """Read a backup: the store's part into `work`, the attachments into the files store. All of it is checked.

    Raises:
        BackupError: it is no backup, is cut off or damaged, or was made by a newer program.
    """
    manifest: Manifest | None = None
    seen: dict[str, str] = {}
    count = 0
    try:
        with tarfile.open(fileobj=source, mode="r|*") as tar:
            for member in tar:
                data = tar.extractfile(member)
                if data is None:
                    raise BackupError(f"{member.name[:100]!r} has no place in a backup")
                if manifest is None:
                    manifest = _read_manifest(member.name, data)
                elif member.name == _DATABASE or member.name in {
                    f"tables/{t.name}.jsonl" for t in manifest.tables
                }:
                    # Only names that are ours become names of files.
                    path = work / member.name.rpartition("/")[2]
                    with path.open("wb") as file:
                        shutil.copyfileobj(data, file, _CHUNK)
                    seen[path.name] = _sha256(path)
                elif member.name.startswith("files/"):
                    if member.size > LARGEST_ATTACHMENT:
                        raise BackupError(
                            f"the attachment {member.name[6:18]}… is larger than any that is taken"
                        )
                    content = data.read()
                    sha = hashlib.sha256(content).hexdigest()
                    if member.name != f"files/{sha}" or len(content) != member.size:
                        raise BackupError(f"the attachment {member.name[6:18]}… is damaged")
                    if files is not None:
                        files.put(content)
                    count += 1
                    progress("Restoring attachments", count / max(manifest.files, 1))
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BackupError(f"it is cut off, damaged, or no backup ({error})") from None
    if manifest is None:
        raise BackupError("it is empty")
    expected = {f"{table.name}.jsonl": table.sha256 for table in manifest.tables}
    if manifest.database_sha256 is not None:
        expected[_DATABASE] = manifest.database_sha256
    if seen != expected:
        raise BackupError("the database in it is missing or damaged")
    if count != manifest.files:
        raise BackupError(f"it is cut off: {count:,} of {manifest.files:,} attachments are there")
    return manifest


def _read_manifest(name: str, data: IO[bytes]) -> Manifest:
    if name != _MANIFEST:
        raise BackupError("it is no backup of AgentSight")
    try:
        raw = data.read(_LARGEST_MANIFEST + 1)
        if len(raw) > _LARGEST_MANIFEST:
            raise BackupError("its manifest is larger than any that was ever written")
        if msgspec.json.decode(raw, type=dict[str, Any]).get("format") != FORMAT:
            raise BackupError(f"it {MADE_BY_A_NEWER_ONE}")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupError(f"its manifest cannot be read ({error})") from None
    if not copies.knows(manifest.schema):
        raise BackupError(f"it {MADE_BY_A_NEWER_ONE}")
    for table in manifest.tables:
        if table.name not in metadata.tables:
            raise BackupError(f"it holds a table that is not known: {table.name[:100]!r}")
    return manifest


def load(
    work: Path, manifest: Manifest, target: Database, *, progress: Progress = lambda what, share: None
) -> None:
    """Fill a store with what `take_apart` left in `work`, in one transaction; what was there before is gone then.

    Raises:
        StoreError: the store does not take it; it is as it was.
    """
    if manifest.tables:
        fill = partial(_load_lines, work, manifest, progress)
    else:
        fill = partial(_load_file, work / _DATABASE, progress)
    copies.refill(target, manifest.schema, fill)


def _load_lines(
    work: Path, manifest: Manifest, progress: Progress, connection: Connection, tables: MetaData
) -> None:
    total = sum(part.rows for part in manifest.tables) or 1
    done = 0
    for part in manifest.tables:
        table = tables.tables[part.name]
        binary = [part.columns.index(name) for name in copies.binary_columns(table)]
        path = work / f"{part.name}.jsonl"
        with path.open("rb") as file:
            for rows in _groups(msgspec.json.decode(line, type=list[Any]) for line in file):
                for row in rows:
                    for place in binary:
                        row[place] = None if row[place] is None else base64.b64decode(row[place])
                copies.insert(connection, table, [dict(zip(part.columns, row, strict=True)) for row in rows])
                done += len(rows)
                progress(_RESTORING, done / total)


def _load_file(path: Path, progress: Progress, connection: Connection, tables: MetaData) -> None:
    source = Database(f"sqlite:///{path}")
    filled = copies.filled(tables)
    try:
        with source.read() as reading:
            there = copies.tables_of(reading).tables
            for number, table in enumerate(filled):
                for rows in _groups(copies.rows(reading, there[table.name])):
                    copies.insert(connection, table, [dict(row._mapping) for row in rows])
                progress(_RESTORING, (number + 1) / len(filled))
    finally:
        source.close()


def _groups(rows: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for row in rows:
        group.append(row)
        if len(group) == _ROWS_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def database_file(work: Path) -> Path:
    """Where `take_apart` puts the database of a backup of SQLite."""
    return work / _DATABASE
