"""Looks an installation over: is all there, does it agree, will it go on; and says what to do when not."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from agentsight_server.analytics.engine import AnalyticsError
from agentsight_server.analytics.inspection import Contents, HeldElsewhere, inspect
from agentsight_server.analytics.service import file_of
from agentsight_server.attachments.blobs import FileMissing, FilesError, FileStore
from agentsight_server.domain import times
from agentsight_server.domain.causes import first_line
from agentsight_server.domain.versions import UPDATE
from agentsight_server.operations.folder_lock import is_held
from agentsight_server.security.file_rights import open_to_others
from agentsight_server.settings import Settings
from agentsight_server.store import changes, checks, dialect
from agentsight_server.store.conversations import latest_revision
from agentsight_server.store.database import Database, NewerStore, OlderStore
from agentsight_server.store.installation import known_identity

Level = Literal["ok", "note", "wrong"]
_NAMED = 5
_LEAST_FREE = 200 * 1024 * 1024
_FREE_ENOUGH = 2 * 1024 * 1024 * 1024
_CLOCK_SECONDS = 5
_AHEAD = 5 * 60 * 1_000_000
_REBUILD = "`agentsight analytics rebuild` rebuilds them from the database; nothing is lost"


class Finding(msgspec.Struct):
    """One thing that was looked at. `advice` says what to do when it is not in order."""

    level: Level
    about: str
    text: str
    advice: str = ""


Step = Callable[[str], None]


def examine(
    settings: Settings, *, thorough: bool = False, step: Step = lambda what: None
) -> Iterator[Finding]:
    """Look at everything, from the ground up; what cannot be looked at because of an earlier finding is left out.

    Nothing is changed by it, and a server may run meanwhile.

    Args:
        thorough: also read every attachment and compare it with its hash.
        step: called with what is looked at next.
    """
    step("data folder")
    yield from _folder(settings)
    database = Database(settings.sqlalchemy_url)
    try:
        step("database")
        found = list(_opens(database, settings))
        yield from found
        if any(each.level == "wrong" for each in found):
            return
        with database.read() as connection:
            step("database: integrity")
            yield from _integrity(connection)
            step("database: numbers and summaries")
            yield from _numbers(connection)
            yield from _summaries(connection)
            step("attachments")
            yield from _attachments(connection, settings, thorough, step)
            step("figures")
            yield from _figures(connection, settings)
            yield from _clock(connection)
    except Exception as error:
        yield Finding(
            "wrong",
            "database",
            f"reading stopped: {first_line(error)}",
            "a damaged file is replaced with `agentsight restore BACKUP --force`",
        )
    finally:
        database.close()


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.exists():
        yield Finding("wrong", "data folder", f"{folder} does not exist", "name it with --data-dir")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("wrong", "data folder", f"{folder} cannot be written", "change its owner or rights")
    else:
        state = "a server runs on it" if is_held(folder) else "no server runs on it"
        yield Finding("ok", "data folder", f"{folder.absolute()}; {state}")
    opened = list(open_to_others(folder))
    if opened:
        yield Finding(
            "note",
            "rights",
            f"other accounts of this machine may read {', '.join(path.name for path in opened[:_NAMED])}",
            f"start the server, or: chmod -R go= {folder}",
        )
    free = shutil.disk_usage(folder).free
    text = f"{_size(free)} free"
    if free < _LEAST_FREE:
        yield Finding("wrong", "disk", text, "make room: a full disk refuses every write")
    elif free < _FREE_ENOUGH:
        yield Finding("note", "disk", text, "make room before it is full")
    else:
        yield Finding("ok", "disk", text)


def _opens(database: Database, settings: Settings) -> Iterator[Finding]:
    if database.path is not None and not database.path.exists():
        yield Finding(
            "wrong",
            "database",
            f"{database.path} is not there",
            "start the server once, or `agentsight restore BACKUP`",
        )
        return
    try:
        database.check_current()
    except OlderStore:
        advice = "start the server, which brings it up to date"
        yield Finding("wrong", "schema", "the database is older than this program", advice)
        return
    except NewerStore:
        yield Finding("wrong", "schema", "the database was made by a newer AgentSight", UPDATE)
        return
    except Exception as error:
        yield Finding(
            "wrong",
            "database",
            f"cannot be opened: {first_line(error)}",
            "check --database-url" if settings.database_url else "restore a backup: `agentsight restore`",
        )
        return
    yield Finding("ok", "schema", "the database is of this program's version")


def _integrity(connection: Connection) -> Iterator[Finding]:
    broken = dialect.damage(connection)
    if broken is None:
        yield Finding("ok", "integrity", "every page and every reference is whole")
    else:
        advice = broken.remedy or "restore the last good backup: `agentsight restore BACKUP --force`"
        yield Finding("wrong", "integrity", broken.text, advice)


def _numbers(connection: Connection) -> Iterator[Finding]:
    lagging = checks.lagging_numbers(connection)
    if lagging:
        yield Finding(
            "wrong",
            "numbers",
            f"the running numbers are behind what is stored: {', '.join(lagging)}",
            "somebody wrote into the database by hand: restore a backup",
        )
    else:
        yield Finding("ok", "numbers", "running numbers are ahead of what is stored")


def _summaries(connection: Connection) -> Iterator[Finding]:
    wrong = checks.miscounted(connection)
    if wrong:
        yield Finding(
            "wrong",
            "conversations",
            f"{len(wrong):,} conversations say another number of messages than they have: {_some(wrong)}",
            "please report it, with the version",
        )
    else:
        total = changes.total(connection)
        yield Finding("ok", "conversations", f"{total:,}, each with the messages that it says it has")


def _attachments(connection: Connection, settings: Settings, thorough: bool, step: Step) -> Iterator[Finding]:
    named = checks.named_files(connection)
    try:
        files = FileStore(settings.files_url or settings.data_dir / "files")
        stored = dict(files.list())
    except (FilesError, OSError) as error:
        yield Finding("wrong", "attachments", str(error), "check --files-url and its credentials")
        return
    missing = [sha for sha in named if sha not in stored]
    short = [sha for sha, (size, _) in named.items() if sha in stored and stored[sha] != size]
    if thorough:
        step("attachments: reading each")
        short += [sha for sha in named if sha in stored and sha not in short and not _is_itself(files, sha)]
    advice = "put them back from a backup: `agentsight restore` into another folder has them under files/"
    if missing:
        names = _some([named[sha][1] for sha in missing])
        yield Finding("wrong", "attachments", f"the bytes of {len(missing):,} are missing: {names}", advice)
    if short:
        names = _some([named[sha][1] for sha in short])
        yield Finding("wrong", "attachments", f"{len(short):,} are damaged: {names}", advice)
    if not missing and not short:
        how = "each read and whole" if thorough else "each there, of the right size"
        yield Finding("ok", "attachments", f"{len(named):,}, {how}")
    unnamed = [size for sha, size in stored.items() if sha not in named]
    if unnamed:
        yield Finding(
            "note",
            "attachments",
            f"{len(unnamed):,} files ({_size(sum(unnamed))}) belong to nothing",
            "they are left from requests that were cut off; they do no harm",
        )


def _is_itself(files: FileStore, sha: str) -> bool:
    digest = hashlib.sha256()
    try:
        for piece in files.stream(sha):
            digest.update(piece)
    except FileMissing:
        return False
    return digest.hexdigest() == sha


def _figures(connection: Connection, settings: Settings) -> Iterator[Finding]:
    file = file_of(settings)
    if not file.exists():
        yield Finding("ok", "figures", "none yet: they are built when the server starts")
        return
    try:
        yield _compared(connection, inspect(file))
    except HeldElsewhere:
        yield Finding(
            "note", "figures", "a server has them open: not compared", "look again when it is stopped"
        )
    except AnalyticsError as error:
        yield Finding("wrong", "figures", f"{file.name} cannot be read ({error})", _REBUILD)


def _compared(connection: Connection, columns: Contents) -> Finding:
    if columns.store != known_identity(connection):
        return Finding(
            "note", "figures", "they are of another database", "they are rebuilt when the server starts"
        )
    latest = latest_revision(connection)
    if columns.revision > latest:
        return Finding("wrong", "figures", "they are ahead of the database", _REBUILD)
    if columns.revision < latest:
        return Finding(
            "note", "figures", f"{latest - columns.revision:,} changes behind", "a running server catches up"
        )
    counted = {"conversations": columns.conversations, "messages": columns.messages}
    for table, there in checks.counts_by_agent(connection).items():
        here = counted[table]
        if there != here:
            wrong = sorted(agent for agent in {*there, *here} if there.get(agent) != here.get(agent))
            return Finding(
                "wrong",
                "figures",
                f"they count other {table} than the database, for agents {_some(wrong)}",
                _REBUILD,
            )
    return Finding("ok", "figures", "they agree with the database")


def _clock(connection: Connection) -> Iterator[Finding]:
    now = times.now()
    theirs = dialect.clock(connection)
    apart = 0.0 if theirs is None else abs(theirs - time.time())
    if apart > _CLOCK_SECONDS:
        yield Finding(
            "wrong", "clock", f"{apart:,.0f} s apart from the database server's", "set both with NTP"
        )
        return
    # What the server itself stamped cannot lie ahead, unless its clock has gone back.
    latest = checks.latest_stamp(connection)
    if latest > now + _AHEAD:
        yield Finding(
            "wrong",
            "clock",
            f"the database knows of {times.to_text(latest)[:16]}, which is still to come: the clock went back",
            "set it with NTP",
        )
        return
    ahead = checks.ending_after(connection, now + _AHEAD)
    if ahead:
        yield Finding(
            "note", "clock", f"{ahead:,} conversations end in the future", "a client's clock is ahead, or was"
        )
    else:
        yield Finding("ok", "clock", "nothing is stamped with a time that is still to come")


def _some(names: list[Any]) -> str:
    listed = ", ".join(map(str, names[:_NAMED]))
    return listed + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


def _size(count: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
