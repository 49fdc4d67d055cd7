"""`agentsight backup`: everything in one file, while the server runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from agentsight_server.cli.options import STORE, Trouble, load, note, open_database, setting_options
from agentsight_server.cli.whole_files import whole_file
from agentsight_server.domain.causes import reason

_COMPRESSED = (".gz", ".tgz")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--no-files", is_flag=True, help="Leave the attachments out.")
@setting_options(*STORE, "files_url")
def backup(file: str, no_files: bool, **given: Any) -> None:
    """Copy the store and the attachments into FILE, as of one moment; `-` is standard output.

    It is a tar file, compressed when its name ends in .gz or .tgz. Nothing has to be stopped for it. The file holds
    everything, the accounts too: keep it as safe as the data itself. `agentsight restore` reads it.
    """
    from sqlalchemy.exc import DBAPIError

    from agentsight_server.attachments.blobs import FilesError, FileStore
    from agentsight_server.operations.backup import BackupError, make

    settings = load(given)
    with open_database(settings, must_exist=True) as database:
        try:
            files = None if no_files else FileStore(settings.files_url or settings.data_dir / "files")
            compressed = file.endswith(_COMPRESSED)
            with progress_bar() as moved:
                if file == "-":
                    made = make(database, files, sys.stdout.buffer, folder=settings.data_dir, progress=moved)
                    sys.stdout.buffer.flush()
                else:
                    target = Path(file)
                    if not target.absolute().parent.is_dir():
                        raise BackupError(f"the folder {target.absolute().parent} does not exist")
                    with whole_file(target) as draft, draft.open("wb") as raw:
                        made = make(
                            database, files, raw, folder=target.parent, compressed=compressed, progress=moved
                        )
            note(database, "backed_up")
        except (OSError, BackupError, FilesError, DBAPIError) as error:
            raise Trouble(f"the backup was not made: {reason(error)}") from None
    manifest = made.manifest
    shown = "standard output" if file == "-" else file
    click.echo(
        f"{shown}: {manifest.conversations:,} conversations, {manifest.items:,} items, "
        f"{manifest.files:,} attachments",
        err=True,
    )
    if made.missing:
        click.echo(
            f"The bytes of {len(made.missing):,} attachments are missing, here and in it: see `agentsight doctor`.",
            err=True,
        )
        raise SystemExit(1)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """Show what is being done and how far it is, on a terminal, on standard error."""
    if not sys.stderr.isatty():
        yield lambda what, share: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, share: progress.update(task, description=what, completed=share)
