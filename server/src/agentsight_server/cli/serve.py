"""`agentsight serve`: API and dashboard in one process."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from agentsight_server._version import __version__
from agentsight_server.cli.options import Trouble, load, setting_options
from agentsight_server.settings import Settings

if TYPE_CHECKING:
    from agentsight_server.main import Started


@click.command()
@setting_options(*(item.name for item in fields(Settings)))
def serve(**given: Any) -> None:
    """Run the server: API and dashboard, until Ctrl+C or SIGTERM."""
    settings = load(given)
    run_server(settings, lambda started: announce(settings, started))


def run_server(settings: Settings, announce: Callable[[Started], None]) -> None:
    """Run the server until it is stopped.

    Raises:
        Trouble: it cannot start.
    """
    from agentsight_server.main import StartError, run

    try:
        run(settings, announce)
    except StartError as error:
        raise Trouble(str(error)) from None
    except KeyboardInterrupt:
        click.echo("\nStopped.", err=True)


def announce(settings: Settings, started: Started) -> None:
    """Print what a person needs to go on."""
    lines = [("Address", started.address)]
    if started.listening != started.address:
        lines.append(("Listening on", started.listening))
    lines.append(("Data", where(settings)))
    if started.first_account_link:
        lines.append(("First account", f"{started.first_account_link}  (works once, for 7 days)"))
    given = (
        ""
        if str(settings.data_dir) == "agentsight-data"
        else f" --data-dir {shlex.quote(str(settings.data_dir))}"
    )
    lines.append(("Make a key", f"agentsight keys create --agent NAME{given}"))
    print_card(lines)
    problem = started.services.places.problem()
    if problem:
        click.echo(f"Note: {problem}; conversations are stored without a place.", err=True)


def where(settings: Settings) -> str:
    """Say where the data lies; never a password."""
    folder = str(settings.data_dir.absolute())
    if settings.database_url is None:
        return folder
    from sqlalchemy.engine import make_url

    return f"{make_url(settings.sqlalchemy_url).render_as_string(hide_password=True)}, files in {folder}"


def print_card(lines: list[tuple[str, str]]) -> None:
    """Print labelled lines under the program's name."""
    width = max(len(label) for label, _ in lines)
    click.echo(click.style(f"AgentSight {__version__}", bold=True))
    for label, text in lines:
        click.echo(f"  {label:<{width}}  {text}")
    click.echo(f"  {'Stop':<{width}}  Ctrl+C")
    sys.stdout.flush()
