"""`agentsight analytics`: the columns behind the figures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from agentsight_server.cli.options import STORE, Trouble, load, open_database, setting_options


@click.group()
def analytics() -> None:
    """The columns behind the figures: derived from the database, so they can be rebuilt at any time."""


@analytics.command()
@setting_options(*STORE, "analytics_url")
def rebuild(**given: Any) -> None:
    """Rebuild the figures from the database.

    Also while a server runs: it shows the old ones until the new ones are complete, and changes over by itself.
    """
    from agentsight_server.analytics.engine import AnalyticsError
    from agentsight_server.analytics.rebuild import rebuild as build
    from agentsight_server.analytics.service import file_of
    from agentsight_server.settings import SettingsError
    from agentsight_server.store.installation import identity

    settings = load(given)
    try:
        file = file_of(settings)
    except SettingsError as error:
        raise Trouble(str(error)) from None
    with open_database(settings, must_exist=True) as database:
        with database.write() as connection:
            store = identity(connection)
        try:
            with _progress() as moved:
                done = build(database, file, store, moved)
        except (AnalyticsError, OSError) as error:
            raise Trouble(f"the figures cannot be built: {error}") from None
    rate = done.rows / done.seconds if done.seconds else 0
    click.echo(
        f"{done.conversations:,} conversations, {done.rows:,} rows in {done.seconds:,.1f} s ({rate:,.0f} rows/s)"
    )
    if not done.in_use:
        click.echo(
            f"Another program holds {file}: the new figures are used as soon as it lets go.",
            err=True,
        )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on the terminal, on standard error; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Conversations"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
