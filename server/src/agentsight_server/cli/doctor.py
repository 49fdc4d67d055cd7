"""`agentsight doctor`: is everything there, does it agree, and what to do when not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from agentsight_server.cli.options import STORE, load, setting_options

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("wrong", "red")}


@click.command()
@click.option("--thorough", is_flag=True, help="Also read every attachment and compare it with its hash.")
@setting_options(*STORE, "analytics_url", "files_url")
def doctor(thorough: bool, **given: Any) -> None:
    """Look the installation over: folder, database, attachments, figures, clock. Nothing is changed.

    The exit code is 1 when something is wrong; each such line says what to do. Also while a server runs.
    """
    from agentsight_server.operations.doctor import examine

    settings = load(given)
    wrong = 0
    with _status() as step:
        for finding in examine(settings, thorough=thorough, step=step):
            wrong += finding.level == "wrong"
            _say(finding)
    if wrong:
        click.echo(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong.")
        raise SystemExit(1)
    click.echo("All is well.")


def _say(finding: Any) -> None:
    mark, colour = _MARKS[finding.level]
    click.echo(f"{click.style(f'{mark:<6}', fg=colour)}{finding.about:<14}{finding.text}")
    if finding.advice:
        click.echo(f"{'':<20}→ {finding.advice}")


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Say on a terminal, on standard error, what is being looked at."""
    if not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield lambda what: status.update(f"Looking at the {what}")
