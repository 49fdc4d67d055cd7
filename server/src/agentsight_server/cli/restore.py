"""`agentsight restore`: a backup becomes the data again."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from agentsight_server.cli.backup import progress_bar
from agentsight_server.cli.erasures import record_in, replay
from agentsight_server.cli.options import STORE, Trouble, load, note, open_database, setting_options
from agentsight_server.domain.causes import reason

if TYPE_CHECKING:
    from agentsight_server.operations.backup import Manifest
    from agentsight_server.settings import Settings
    from agentsight_server.store.replaying import Record


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--force", is_flag=True, help="Replace what is there; a SQLite database is set aside, not deleted."
)
@click.option(
    "--erasures",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="What was erased since the backup was made (`agentsight erasures export`): it goes again.",
)
@setting_options(*STORE, "files_url")
def restore(file: str, force: bool, erasures: str | None, **given: Any) -> None:
    """Restore the backup FILE into an empty data folder or database; `-` is standard input.

    All of it is checked before anything takes its place. A backup of SQLite can be restored into PostgreSQL, and the
    other way round. No server may run on the data. What was erased after the backup was made is erased again when the
    server starts: it is known from the data that is replaced, and from --erasures.
    """
    from sqlalchemy.exc import DBAPIError

    from agentsight_server.attachments.blobs import FilesError
    from agentsight_server.operations.backup import BackupError
    from agentsight_server.operations.folder_lock import FolderInUse, FolderLock
    from agentsight_server.store.database import StoreError

    settings = load(given)
    kept = [record_in(erasures)] if erasures is not None else []
    try:
        lock = FolderLock(settings.data_dir)
    except FolderInUse as error:
        raise Trouble(str(error)) from None
    try:
        kept += _erased_here(settings)
        with progress_bar() as moved:
            if file == "-":
                manifest = _restore(sys.stdin.buffer, settings, force, moved)
            else:
                with Path(file).open("rb") as source:
                    manifest = _restore(source, settings, force, moved)
    except BackupError as error:
        raise Trouble(f"{file} was not restored: {error}") from None
    except (OSError, FilesError, StoreError, DBAPIError) as error:
        raise Trouble(f"{file} was not restored, and the store is as it was: {reason(error)}") from None
    finally:
        lock.release()
    with open_database(settings) as database:
        note(database, "restored", conversations=manifest.conversations)
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(manifest.made_at))
    click.echo(
        f"Restored the backup of {made}: {manifest.conversations:,} conversations, {manifest.items:,} items, "
        f"{manifest.files:,} attachments",
        err=True,
    )
    with open_database(settings) as database:
        for record in kept:
            replay(database, record)


def _erased_here(settings: Settings) -> list[Record]:
    """What the data that is about to be replaced knows; damaged data knows nothing."""
    from sqlalchemy.exc import DBAPIError

    from agentsight_server.store.database import Database, StoreError
    from agentsight_server.store.replaying import record

    database = Database(settings.sqlalchemy_url)
    try:
        if database.path is not None and not database.path.exists():
            return []
        with database.write() as connection:
            return [record(connection)]
    except (DBAPIError, StoreError):
        return []
    finally:
        database.close()


def _restore(
    source: IO[bytes], settings: Settings, force: bool, moved: Callable[[str, float], None]
) -> Manifest:
    from agentsight_server.attachments.blobs import FileStore
    from agentsight_server.operations import backup
    from agentsight_server.store import copies
    from agentsight_server.store.database import Database
    from agentsight_server.store.search_index import FILE

    target = Database(settings.sqlalchemy_url)
    try:
        there = target.path.exists() if target.path is not None else not copies.is_empty(target)
        if there and not force:
            raise backup.BackupError(
                "there is data already: choose an empty --data-dir or database, or replace it with --force"
            )
        files = FileStore(settings.files_url or settings.data_dir / "files")
        folder = settings.data_dir if target.path is None else target.path.parent
        with tempfile.TemporaryDirectory(prefix=".agentsight-restore-", dir=folder) as scratch:
            work = Path(scratch)
            manifest = backup.take_apart(source, files, work, progress=moved)
            if target.path is None:
                backup.load(work, manifest, target, progress=moved)
                return manifest
            fresh = backup.database_file(work)
            if manifest.tables:
                made = Database(f"sqlite:///{fresh}")
                backup.load(work, manifest, made, progress=moved)
                made.close()
            _bring_up_to_date(fresh)
            _set_aside(target.path)
            fresh.replace(target.path)
            for left in settings.data_dir.glob(f"{FILE}*"):  # what it knows is of the other data
                left.unlink()
        return manifest
    finally:
        target.close()


def _bring_up_to_date(path: Path) -> None:
    from agentsight_server.store.copies import close_into_one_file
    from agentsight_server.store.database import Database
    from agentsight_server.store.installation import forget_identity

    database = Database(f"sqlite:///{path}")
    database.migrate()
    with database.write() as connection:
        forget_identity(connection)
    database.close()
    close_into_one_file(path)
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _set_aside(database: Path) -> None:
    """Move a database out of the way; nothing is deleted that somebody might want back."""
    there = [
        path
        for ending in ("", "-wal", "-shm")
        if (path := database.with_name(database.name + ending)).exists()
    ]
    if not there:
        return
    aside = database.parent / time.strftime("replaced-%Y%m%d-%H%M%S", time.gmtime())
    aside.mkdir(mode=0o700, exist_ok=True)
    for path in there:
        path.replace(aside / path.name)
    click.echo(f"What was there is in {aside}; delete it when all is well.", err=True)
