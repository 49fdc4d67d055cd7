"""`agentsight agents`: whose conversations are here, and what is set for them."""

from __future__ import annotations

import re
from typing import Any

import click

from agentsight_server.cli.options import STORE, Trouble, load, note, open_database, setting_options
from agentsight_server.cli.terminal import write_table

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@click.group()
def agents() -> None:
    """List agents, and set what their attachments may take."""


@agents.command(name="list")
@setting_options(*STORE)
def list_(**given: Any) -> None:
    """List the agents: number, name, bytes of attachments, and their limit."""
    from agentsight_server.store import agents as rows
    from agentsight_server.store import transcripts

    with open_database(load(given), must_exist=True) as database, database.read() as connection:
        shown = [
            (
                str(row.id),
                row.name,
                str(transcripts.stored_bytes(connection, row.id)),
                str(rows.storage_limit(connection, row.id) or ""),
            )
            for row in rows.listing(connection)
        ]
    if not shown:
        click.echo("There are no agents yet: agentsight keys create --agent NAME", err=True)
        return
    write_table(("number", "name", "attachments", "limit"), shown)


@agents.command(name="set")
@click.argument("name")
@click.option(
    "--storage-limit",
    metavar="SIZE",
    help='What the agent\'s attachments may take, e.g. 10GB; "none" for any number of bytes.',
)
@click.option(
    "--pause",
    "lengths",
    multiple=True,
    metavar="SOURCE=TIME",
    help="After how long a silence another conversation begins, e.g. whatsapp=12h or email=3days; other=30min for "
    'every source without one of its own; "usual" for the usual one. May be given several times.',
)
@setting_options(*STORE)
def set_(name: str, storage_limit: str | None, lengths: tuple[str, ...], **given: Any) -> None:
    """Set something for the agent NAME. A running server follows within some seconds.

    Where pauses change, it counts the agent's past anew in the background; figures are as before until that is done.
    """
    from agentsight_server.domain import pauses
    from agentsight_server.store import agents as rows

    if storage_limit is None and not lengths:
        raise Trouble("there is nothing to set: use --storage-limit or --pause")
    limit = None if storage_limit in (None, "none") else _size(storage_limit)
    changes = dict(map(_pause, lengths))
    with open_database(load(given), must_exist=True) as database:
        with database.write() as connection:
            number = rows.find(connection, name.strip())
            if number is None:
                raise Trouble(f"there is no agent {name!r}")
            if storage_limit is not None:
                rows.set_storage_limit(connection, number, limit)
            if changes:
                kept = {
                    each: pauses.spelled(length)
                    for each, length in rows.pauses(connection).get(number, {}).items()
                }
                try:
                    chosen = pauses.chosen(kept | changes)
                except pauses.Wrong as error:
                    raise Trouble(
                        f"--pause {error.source}={changes.get(error.source, '')}: {error.says}"
                    ) from None
                rows.set_pauses(connection, number, chosen)
        if storage_limit is not None:
            note(database, "agent_changed", agent_id=number, setting="storage limit")
        if changes:
            note(database, "agent_changed", agent_id=number, setting="pauses between conversations")
    if storage_limit is not None:
        said = "any number of" if limit is None else f"{limit:,}"
        click.echo(f"The attachments of {name.strip()!r} may take {said} bytes.", err=True)
    if changes:
        told = (
            ", ".join(f"{each} {pauses.spelled(length)}" for each, length in chosen.items())
            or "the usual ones"
        )
        click.echo(f"Pauses between conversations of {name.strip()!r}: {told}.", err=True)


def _pause(text: str) -> tuple[str, str]:
    from agentsight_server.domain.pauses import normal

    source, equals, length = text.partition("=")
    if not equals or not source.strip() or not length.strip():
        raise Trouble(f"--pause takes SOURCE=TIME such as whatsapp=12h, not {text!r}")
    return normal(source), "" if length.strip().lower() == "usual" else length


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*([kmgt]?)b?", text.strip().lower().replace("_", ""))
    if found is None:
        raise Trouble(f"--storage-limit takes a size such as 10GB, or none, not {text!r}")
    return int(found[1]) * _UNITS[found[2]]
