"""`agentsight import`: conversations from files, one JSON object a line."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from agentsight_server.cli.options import STORE, Trouble, agent_id, load, note, open_database, setting_options
from agentsight_server.domain.causes import reason

_GZIP = b"\x1f\x8b"
# A record carries its conversation's attachments as base64; reading one takes some five times its size in memory.
LONGEST_LINE = 256 * 1024 * 1024
_PIECE = 1024 * 1024


@click.command(name="import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
)
@click.option(
    "--agent", required=True, metavar="NAME", help="Whose conversations they are; made when there is none."
)
@setting_options(*STORE, "files_url", "geo_database")
def import_(files: tuple[str, ...], agent: str, **given: Any) -> None:
    """Read conversations from FILE..., one JSON object a line, also gzipped; `-` is standard input.

    The form is the one that `agentsight export` writes. A file that is imported twice is stored once. Lines that
    cannot be taken are named with their number and what is wrong, and the others are imported; the exit code is
    then 1.
    """
    from agentsight_server.attachments.blobs import FilesError, FileStore
    from agentsight_server.reference.geo import Places

    settings = load(given)
    failed = False
    with open_database(settings) as database:
        try:
            store = FileStore(settings.files_url or settings.data_dir / "files")
        except FilesError as error:
            raise Trouble(str(error)) from None
        owner = agent_id(database, agent)
        places = Places(settings.geo_database)
        for name in files:
            failed |= not _import_one(name, database, store, places, owner)
        note(database, "imported", agent_id=owner, files=len(files))
    if failed:
        raise SystemExit(1)


def _import_one(name: str, database: Any, store: Any, places: Any, owner: int) -> bool:
    """Import one file and say what became of it; False when part of it could not be taken."""
    from sqlalchemy.exc import DBAPIError

    from agentsight_server.attachments.blobs import FilesError
    from agentsight_server.records.importer import Report, import_lines

    shown = "standard input" if name == "-" else name
    cut_off: list[str] = []
    too_long: list[str] = []
    try:
        with _opened(name) as (raw, size), _progress(shown, size) as moved:
            report: Report = import_lines(
                database,
                store,
                places,
                owner,
                _lines(raw, cut_off, too_long),
                after=lambda _: moved(_position(raw)),
            )
    except (OSError, DBAPIError, FilesError) as error:
        raise Trouble(
            f"the import of {shown} stopped ({reason(error)}); "
            "run it again when that is mended, nothing is stored twice"
        ) from None
    for line, problem in report.problems:
        click.echo(f"{shown}:{line}: {problem}", err=True)
    for problem in cut_off:
        click.echo(f"{shown}: {problem}; what came before it is imported", err=True)
    for problem in too_long:
        click.echo(f"{shown}: {problem}", err=True)
    refused = len(report.problems) + len(too_long)
    parts = [
        f"{report.conversations:,} conversations ({report.new_conversations:,} new)",
        f"{report.items:,} new items",
    ]
    if report.duplicates:
        parts.append(f"{report.duplicates:,} were there already")
    if refused:
        parts.append(f"{refused:,} {'problem' if refused == 1 else 'problems'}")
    click.echo(f"{shown}: {', '.join(parts)}")
    return not (refused or cut_off)


@contextmanager
def _opened(name: str) -> Iterator[tuple[IO[bytes], int | None]]:
    if name == "-":
        yield sys.stdin.buffer, None
        return
    try:
        raw = Path(name).open("rb")  # noqa: SIM115
    except OSError as error:
        raise Trouble(f"cannot read {name}: {error.strerror or error}") from None
    with raw:
        yield raw, os.fstat(raw.fileno()).st_size


def _lines(raw: IO[bytes], cut_off: list[str], too_long: list[str]) -> Iterator[bytes]:
    """Yield the lines of a file that may be gzipped; a damaged end is noted, not raised."""
    buffered: Any = raw if hasattr(raw, "peek") else io.BufferedReader(raw)
    source: Any = gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == _GZIP else buffered
    first = True
    try:
        while line := source.readline(LONGEST_LINE + 1):
            if len(line) > LONGEST_LINE:
                too_long.append(f"a line of more than {LONGEST_LINE >> 20} MiB is left out")
                while line and not line.endswith(b"\n"):
                    line = source.readline(_PIECE)
                line = b"\n"  # keeps its number
            yield line.removeprefix(b"\xef\xbb\xbf") if first else line
            first = False
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        cut_off.append(f"the gzip data is damaged ({error})")


def _position(raw: IO[bytes]) -> int | None:
    try:
        return raw.tell()
    except (OSError, ValueError):
        return None  # a pipe


@contextmanager
def _progress(name: str, size: int | None) -> Iterator[Callable[[int | None], None]]:
    """Show a bar of the bytes read on the terminal, on standard error; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda position: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(Path(name).name, total=size)
        yield lambda position: progress.update(task, completed=position)
