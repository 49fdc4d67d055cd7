"""`agentsight erasures`: what was erased, kept beside backups, so that a restore does not bring it back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentsight_server.cli.options import STORE, Trouble, load, note, open_database, setting_options
from agentsight_server.cli.whole_files import whole_file

if TYPE_CHECKING:
    from agentsight_server.store.database import Database
    from agentsight_server.store.replaying import Record


@click.group()
def erasures() -> None:
    """Keep what was erased beside backups, and erase it again where a backup brought it back."""


@erasures.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@setting_options(*STORE)
def export(file: str, **given: Any) -> None:
    """Write the list of what was erased to FILE; `-` is standard output.

    It holds keyed hashes and times, no id and no content. Write it as often as you make backups, and keep it longer.
    """
    from agentsight_server.store import replaying

    # A key may have to be made, hence a connection that writes.
    with open_database(load(given), must_exist=True) as database, database.write() as connection:
        found = replaying.record(connection)
    if file == "-":
        sys.stdout.buffer.writelines(replaying.lines(found))
        sys.stdout.buffer.flush()
        return
    try:
        with whole_file(Path(file)) as draft, draft.open("wb") as target:
            target.writelines(replaying.lines(found))
    except OSError as error:
        raise Trouble(f"{file} was not written: {error.strerror or error}") from None
    click.echo(f"{file}: {len(found.stones):,} erased conversations and agents", err=True)


@erasures.command("replay")
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@setting_options(*STORE)
def replay_(file: str, **given: Any) -> None:
    """Erase again what FILE lists and a restored backup brought back.

    A running server does the work within a second or two, otherwise the next one that starts.
    """
    with open_database(load(given), must_exist=True) as database:
        replay(database, record_in(file))


def record_in(file: str) -> Record:
    """The list in a file."""
    from agentsight_server.store import replaying

    try:
        return replaying.read(Path(file).read_bytes().splitlines())
    except (OSError, ValueError) as error:
        raise Trouble(f"{file} was not read: {getattr(error, 'strerror', None) or error}") from None


def replay(database: Database, record: Record) -> None:
    """Have it erased again, and say how much that is."""
    from agentsight_server.store import replaying

    with database.write() as connection:
        done = replaying.replay(connection, record, "replayed after a restore")
    if done.conversations or done.agents:
        note(database, "erased", what="replay", conversations=done.conversations, agents=done.agents)
        click.echo(
            f"Erased before, and back with the backup: {done.conversations:,} conversations, {done.agents:,} whole "
            "agents. The server erases them again when it runs",
            err=True,
        )
    elif record.stones:
        click.echo("Nothing that was erased has come back.", err=True)
