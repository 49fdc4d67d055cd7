"""`agentsight demo`: a server with sample data that keeps growing."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentsight_server.cli.options import Trouble, load, open_database, setting_options
from agentsight_server.cli.serve import print_card, run_server
from agentsight_server.domain.causes import reason
from agentsight_server.settings import PREFIX

if TYPE_CHECKING:
    from agentsight_server.main import Started
    from agentsight_server.settings import Settings

_FOLDER = Path(".demo")
# Where the demo's data goes is never taken from the environment: it may name the real data.
_IGNORED = tuple(PREFIX + name for name in ("DATA_DIR", "DATABASE_URL", "ANALYTICS_URL", "FILES_URL"))


@click.command()
@setting_options("host", "port", "public_url", "log_level")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=_FOLDER,
    metavar="DIR",
    help="Folder of the demo's own; filled when it is empty.  [default .demo]",
)
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the demo account's password from standard input; needed when others can reach the server.",
)
@click.option(
    "--seed",
    type=int,
    default=7,
    metavar="NUMBER",
    help="Another number makes other conversations.  [default 7]",
)
@click.option(
    "--days",
    type=click.IntRange(1, 400),
    default=90,
    metavar="NUMBER",
    help="Days to fill up to now.  [default 90]",
)
@click.option("--still", is_flag=True, help="Add no new conversations while it runs.")
def demo(data_dir: Path, password_stdin: bool, seed: int, days: int, still: bool, **given: Any) -> None:
    """Run a server with sample data: four agents, ninety days up to now, and a new conversation now and then."""
    from agentsight_server.demo import fill

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    environ = {PREFIX + "LOG_LEVEL": "WARNING", **os.environ}
    environ = {name: value for name, value in environ.items() if name not in _IGNORED}
    settings = load({**given, "data_dir": data_dir}, environ)
    try:
        notes = fill.read_notes(data_dir)
    except fill.DemoError as error:
        raise Trouble(str(error)) from None
    own = notes.own_password if notes is not None else password is not None
    if not own and not is_loopback(settings.host):
        raise Trouble(
            "the demo's password is known to everybody: for an address that others can reach, give your own with "
            "--password-stdin" + ("" if notes is None else " and a fresh --data-dir")
        )
    if notes is None:
        _check_password(password)
        notes = fill.first_notes(seed, days, own_password=own)
    elif password is not None:
        click.echo("The demo account is there already and keeps its password.", err=True)
    numbers = _fill(settings, notes, password)
    shown = "(the one you chose)" if own else fill.KNOWN_PASSWORD
    background: list[asyncio.Task[None]] = []

    def announce(started: Started) -> None:
        print_card([
            ("Address", started.address),
            ("Sign in with", fill.EMAIL),
            ("Password", shown),
            ("Key", f"{notes.key}  (agent Hotel Adria)"),
            ("Data", str(data_dir.absolute())),
        ])  # fmt: skip
        if not still:
            from agentsight_server.demo.live import keep_adding

            rng = random.Random()  # noqa: S311
            # Held here: the loop itself keeps no hold of its tasks.
            background.append(asyncio.create_task(keep_adding(started.services, numbers, rng)))

    run_server(settings, announce)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a server that listens on the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_password(password: str | None) -> None:
    from agentsight_server.security import passwords

    problem = passwords.problem(password) if password is not None else None
    if problem:
        raise Trouble(f"the password {problem}")


def _fill(settings: Settings, notes: Any, password: str | None) -> dict[str, int]:
    from datetime import datetime, timezone

    from sqlalchemy.exc import DBAPIError

    from agentsight_server.attachments.blobs import FilesError, FileStore
    from agentsight_server.demo.fill import DemoError, fill
    from agentsight_server.reference.geo import Places

    with open_database(settings) as database:
        try:
            files = FileStore(settings.data_dir / "files")
            with _progress() as moved:
                return fill(
                    database,
                    files,
                    Places(settings.geo_database),
                    settings.data_dir,
                    notes,
                    password,
                    now=datetime.now(timezone.utc),
                    progress=moved,
                )
        except (DemoError, FilesError, OSError) as error:
            raise Trouble(str(error)) from None
        except DBAPIError as error:
            raise Trouble(f"the demo could not be filled: {reason(error)}") from None


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """Show how far the filling is, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Writing sample conversations", total=1.0)
        yield lambda share: progress.update(task, completed=share)
