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
    required=True,
    metavar="SIZE",
    help='What the agent\'s attachments may take, e.g. 10GB; "none" for any number of bytes.',
)
@setting_options(*STORE)
def set_(name: str, storage_limit: str, **given: Any) -> None:
    """Set what the attachments of the agent NAME may take. A running server follows within some seconds."""
    from agentsight_server.store import agents as rows

    limit = None if storage_limit == "none" else _size(storage_limit)
    with open_database(load(given), must_exist=True) as database:
        with database.write() as connection:
            number = rows.find(connection, name.strip())
            if number is None:
                raise Trouble(f"there is no agent {name!r}")
            rows.set_storage_limit(connection, number, limit)
        note(database, "agent_changed", agent_id=number, setting="storage limit")
    said = "any number of" if limit is None else f"{limit:,}"
    click.echo(f"The attachments of {name.strip()!r} may take {said} bytes.", err=True)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*([kmgt]?)b?", text.strip().lower().replace("_", ""))
    if found is None:
        raise Trouble(f"--storage-limit takes a size such as 10GB, or none, not {text!r}")
    return int(found[1]) * _UNITS[found[2]]
