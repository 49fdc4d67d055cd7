"""`agentsight people`: who signs in to the dashboard."""

from __future__ import annotations

import sys
from typing import Any

import click

from agentsight_server.cli.options import STORE, Trouble, load, note, open_database, setting_options


@click.group()
def people() -> None:
    """Add people who sign in to the dashboard."""


@people.command()
@click.argument("email")
@click.option("--name", default="", metavar="TEXT", help="How the dashboard calls them.")
@click.option(
    "--role",
    type=click.Choice(["owner", "viewer"]),
    default="owner",
    show_default=True,
    help="owner: everything; viewer: looks at the agents named with --agent.",
)
@click.option(
    "--agent", "agents", multiple=True, metavar="NAME", help="An agent that a viewer may see; repeatable."
)
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)
@setting_options(*STORE)
def create(
    email: str, name: str, role: str, agents: tuple[str, ...], password_stdin: bool, **given: Any
) -> None:
    """Add a person, who signs in with EMAIL and a password."""
    from agentsight_server.domain.errors import Invalid
    from agentsight_server.security import sessions
    from agentsight_server.store import agents as agent_rows

    if role == "viewer" and not agents:
        raise Trouble("a viewer needs at least one --agent")
    if role == "owner" and agents:
        raise Trouble("--agent is for viewers; an owner sees every agent")
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise Trouble("there is no terminal to ask for the password on: use --password-stdin")
    with open_database(load(given)) as database:
        with database.read() as connection:
            found = {each: agent_rows.find(connection, each.strip()) for each in agents}
        missing = [each for each, number in found.items() if number is None]
        if missing:
            raise Trouble(f"there is no agent {missing[0]!r}")
        try:
            with database.write() as connection:
                sessions.create_person(
                    connection,
                    email=email,
                    name=name,
                    password=password,
                    role=role,
                    agent_ids=frozenset(number for number in found.values() if number is not None),
                )
            note(database, "person_created", person=email.strip().lower(), role=role)
        except Invalid as error:
            problems = [f"{field}: {' and '.join(what)}" for field, what in error.errors.items()]
            raise Trouble("; ".join(problems)) from None
    click.echo(f"{email.strip().lower()} can sign in now.", err=True)
