"""`agentsight keys`: what programs show to be let in."""

from __future__ import annotations

from typing import Any

import click

from agentsight.cli.options import STORE, Trouble, agent_id, load, note, open_database, setting_options
from agentsight.cli.tables import write_table


@click.group()
def keys() -> None:
    """Make, list and revoke API keys. A key belongs to one agent; only its hash is stored."""


@keys.command()
@click.option(
    "--agent", required=True, metavar="NAME", help="The agent; made when there is none by that name."
)
@click.option(
    "--role",
    type=click.Choice(["write", "read", "ingest"]),
    default="write",
    show_default=True,
    help="write: everything; read: look only; ingest: write items, read nothing (fit for a widget).",
)
@click.option("--label", default="", metavar="TEXT", help="What the key is for, shown in lists.")
@setting_options(*STORE)
def create(agent: str, role: str, label: str, **given: Any) -> None:
    """Make a key and print it, and nothing else, on standard output. It is shown only this once."""
    from agentsight.server.security import keys as security
    from agentsight.server.store import agents

    if len(label) > 255:
        raise Trouble("--label takes at most 255 characters")
    with open_database(load(given)) as database:
        owner = agent_id(database, agent)
        key = security.new_key()
        with database.write() as connection:
            agents.add_key(
                connection,
                agent_id=owner,
                role=role,
                hint=security.hint(key),
                hashed=security.hash_key(key),
                name=label,
            )
        note(database, "key_created", agent_id=owner, role=role, key=security.hint(key))
    click.echo(key)


@keys.command(name="list")
@click.option("--agent", metavar="NAME", help="Only this agent's keys.")
@click.option("--all", "revoked", is_flag=True, help="Revoked keys too.")
@setting_options(*STORE)
def list_(agent: str | None, revoked: bool, **given: Any) -> None:
    """List the keys: number, agent, role, label, the ends of the key, when it was made."""
    from agentsight.server.store import agents, times

    with open_database(load(given), must_exist=True) as database, database.read() as connection:
        owner = agents.find(connection, agent) if agent is not None else None
        if agent is not None and owner is None:
            raise Trouble(f"there is no agent {agent!r}")
        rows = agents.keys(connection, owner)
    shown = [row for row in rows if revoked or row.revoked_at is None]
    if not shown:
        click.echo("There are no keys yet: agentsight keys create --agent NAME", err=True)
        return
    write_table(
        ("number", "agent", "role", "label", "key", "made", "revoked")[: 7 if revoked else 6],
        [
            (
                str(row.id),
                row.agent_name,
                row.role,
                row.name,
                row.hint,
                times.to_text(row.created_at)[:10],
                times.to_text(row.revoked_at)[:10] if row.revoked_at else "",
            )[: 7 if revoked else 6]
            for row in shown
        ],
    )


@keys.command()
@click.argument("key", metavar="NUMBER|KEY")
@setting_options(*STORE)
def revoke(key: str, **given: Any) -> None:
    """Take a key out of use for good, by its number from `keys list` or by the key itself.

    A running server refuses it within a second or two.
    """
    from agentsight.server.security import keys as security
    from agentsight.server.store import agents

    with open_database(load(given), must_exist=True) as database:
        with database.write() as connection:
            if key.isascii() and key.isdigit() and len(key) < 19:
                number: int | None = int(key)
            else:
                found = agents.key_by_hash(connection, security.hash_key(key.strip()))
                number = found.id if found else None
            done = number is not None and agents.revoke_key(connection, number)
        if done and number is not None:
            note(database, "key_revoked", number=number)
    if not done:
        click.echo("agentsight: there is no such key in use; see `agentsight keys list`", err=True)
        raise SystemExit(1)
    click.echo(f"Revoked key {number}.", err=True)
