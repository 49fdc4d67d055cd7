"""Fills a folder with the demo's data, once, and tops it up when time has passed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec

from agentsight_server.attachments.blobs import FileStore
from agentsight_server.demo.generate import AGENT_NAMES, Record, generate
from agentsight_server.records.importer import import_lines
from agentsight_server.reference.geo import Places
from agentsight_server.security import keys, sessions
from agentsight_server.store import agents, people
from agentsight_server.store.database import Database

__all__ = ["EMAIL", "KNOWN_PASSWORD", "DemoError", "Notes", "fill", "read_notes"]

EMAIL = "demo@agentsight.local"
# Known to everybody who reads this: only for a server that nobody else can reach.
KNOWN_PASSWORD = "sample-data"  # noqa: S105
_NOTES = "demo.json"
_GAP = timedelta(hours=2)


class DemoError(Exception):
    """The folder cannot be used for the demo; the text says in one line why."""


class Notes(msgspec.Struct):
    """What the demo remembers of itself, in ``demo.json`` beside the database.

    ``begun``: the moment up to which the first filling goes, so that one that was cut off goes on where it was.
    ``filled``: up to when there is data. ``own_password``: the account has a password chosen by the person.
    """

    seed: int
    days: int
    begun: datetime
    filled: datetime | None = None
    own_password: bool = False
    key: str = ""


def read_notes(folder: Path) -> Notes | None:
    """Return the notes of a demo folder; None when the demo was never there.

    Raises:
        DemoError: the folder holds data that is not the demo's.
    """
    try:
        return msgspec.json.decode((folder / _NOTES).read_bytes(), type=Notes)
    except FileNotFoundError:
        if (folder / "agentsight.db").exists():
            raise DemoError(
                f"{folder} holds data that is not the demo's: choose another --data-dir"
            ) from None
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise DemoError(f"{folder / _NOTES} cannot be read: {error}") from None


def fill(
    database: Database,
    files: FileStore,
    places: Places,
    folder: Path,
    notes: Notes,
    password: str | None,
    *,
    now: datetime,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, int]:
    """Make the agents, the account and the key where they are missing, and the conversations up to now.

    Args:
        folder: where the notes are kept.
        password: of the account, when it has to be made; None stands for the well-known one.
        progress: called with the share that is done, 0 to 1.

    Raises:
        DemoError: the account is to have a password of its own, and none is given.

    Returns:
        The agents' numbers by name.
    """
    _write_notes(folder, notes)
    with database.write() as connection:
        numbers = {
            name: agents.find(connection, name) or agents.create(connection, name) for name in AGENT_NAMES
        }
        if people.credentials(connection, EMAIL) is None:
            if password is None and notes.own_password:
                raise DemoError(
                    "the demo's account is not made yet: give its password once more, with --password-stdin"
                )
            sessions.create_person(connection, email=EMAIL, name="Demo", password=password or KNOWN_PASSWORD)
        known = agents.key_by_hash(connection, keys.hash_key(notes.key)) if notes.key else None
        if known is None or known.revoked_at is not None:
            notes.key = keys.new_key()
            agents.add_key(
                connection,
                agent_id=numbers[AGENT_NAMES[0]],
                role="write",
                hint=keys.hint(notes.key),
                hashed=keys.hash_key(notes.key),
                name="demo",
            )
    _write_notes(folder, notes)
    if notes.filled is None:
        _import(
            database, files, places, numbers, list(generate(notes.seed, notes.begun, notes.days)), progress
        )
        notes.filled = notes.begun
        _write_notes(folder, notes)
    if now - notes.filled > _GAP:
        # Another seed, or the new conversations would bear the names of the first ones.
        days = min((now - notes.filled).days + 1, notes.days)
        fresh = generate(notes.seed + int(now.timestamp()), now, days)
        since = notes.filled.isoformat()
        missing = [each for each in fresh if each[1]["started_at"] > since]
        _import(database, files, places, numbers, missing, progress)
        notes.filled = now
        _write_notes(folder, notes)
    return numbers


def _import(
    database: Database,
    files: FileStore,
    places: Places,
    numbers: dict[str, int],
    records: list[tuple[str, Record]],
    progress: Callable[[float], None],
) -> None:
    done = 0

    def lines(name: str) -> Iterator[bytes]:
        nonlocal done
        for owner, record in records:
            if owner == name:
                done += 1
                yield msgspec.json.encode(record)

    for name in AGENT_NAMES:
        import_lines(
            database, files, places, numbers[name], lines(name), after=lambda _: progress(done / len(records))
        )


def _write_notes(folder: Path, notes: Notes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{_NOTES}.new"
    # The notes hold a key: for the owner's eyes only.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(msgspec.to_builtins(notes), indent=2) + "\n")
    draft.replace(folder / _NOTES)


def first_notes(seed: int, days: int, *, own_password: bool) -> Notes:
    """Return the notes of a demo that is about to be made."""
    return Notes(seed=seed, days=days, begun=datetime.now(timezone.utc), own_password=own_password)
