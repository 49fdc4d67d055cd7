"""`agentsight export`: an agent's conversations into a file."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from agentsight_server.cli.options import STORE, Trouble, load, note, open_database, setting_options
from agentsight_server.cli.whole_files import whole_file
from agentsight_server.domain.causes import reason

_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_NAMED_MISSING = 10


@click.command(name="export")
@click.option("--agent", required=True, metavar="NAME", help="Whose conversations.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Where to; `-` is standard output, a name that ends in .gz is compressed.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    default=None,
    help="jsonl: whole, for `agentsight import`; csv, parquet: a table.  [default: by the file's name, or jsonl]",
)
@click.option(
    "--what",
    type=click.Choice(["conversations", "messages"]),
    default="conversations",
    show_default=True,
    help="The rows of a table.",
)
@setting_options(*STORE, "files_url")
def export(agent: str, output: str, kind: str | None, what: Any, **given: Any) -> None:
    """Write an agent's conversations to a file, oldest first, deleted ones too.

    JSON lines hold everything, attachments included: `agentsight import` reads them back to the same content.
    Nothing has to be stopped for it, and the file appears under its name when it is complete.
    """
    from agentsight_server.attachments.blobs import FilesError, FileStore
    from agentsight_server.records.export import Export
    from agentsight_server.store import agents

    settings = load(given)
    kind = kind or _format_of(output)
    if kind == "parquet" and output == "-":
        raise Trouble("Parquet cannot be streamed: name a file with -o")
    with open_database(settings, must_exist=True) as database:
        with database.read() as connection:
            owner = agents.find(connection, agent.strip())
        if owner is None:
            raise Trouble(f"there is no agent {agent!r}")
        try:
            run = Export(database, FileStore(settings.files_url or settings.data_dir / "files"), owner)
            _write(run, kind, what, output)
            note(database, "exported", agent_id=owner, format=kind, what=what)
        except FilesError as error:
            raise Trouble(str(error)) from None
    _report(run, output)


def _format_of(output: str) -> str:
    return _FORMATS.get(Path(output.removesuffix(".gz")).suffix.lower(), "jsonl")


def _write(run: Any, kind: str, what: Any, output: str) -> None:
    from sqlalchemy.exc import DBAPIError

    from agentsight_server.records import tabular

    try:
        with _progress(run) as moved:
            if output == "-":
                _stream(tabular.lines(run, kind, what), sys.stdout.buffer, moved)
                return
            with whole_file(Path(output)) as draft:
                if kind == "parquet":
                    tabular.write_parquet(run, what, draft, after=moved)
                    return
                with draft.open("wb") as raw:
                    if output.endswith(".gz"):
                        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as target:
                            _stream(tabular.lines(run, kind, what), target, moved)
                    else:
                        _stream(tabular.lines(run, kind, what), raw, moved)
    except BrokenPipeError:
        # Whoever read has enough, as with `| head`; the interpreter is not to complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (OSError, DBAPIError) as error:
        raise Trouble(f"the export stopped, and {output} was not written ({reason(error)})") from None


def _stream(pieces: Iterator[bytes], target: IO[bytes] | gzip.GzipFile, moved: Callable[[], None]) -> None:
    from agentsight_server.records.tabular import in_chunks

    for piece in in_chunks(pieces):
        target.write(piece)
        moved()
    target.flush()


def _report(run: Any, output: str) -> None:
    shown = "standard output" if output == "-" else output
    click.echo(f"{shown}: {run.conversations:,} conversations, {run.items:,} items", err=True)
    if run.missing:
        for conversation, filename in run.missing[:_NAMED_MISSING]:
            click.echo(f"  conversation {conversation}: the bytes of {filename} are missing", err=True)
        more = len(run.missing) - _NAMED_MISSING
        click.echo(
            (f"  and {more:,} more. " if more > 0 else "  ")
            + "What was said is exported without them; `agentsight doctor` looks into it.",
            err=True,
        )
        raise SystemExit(1)


@contextmanager
def _progress(run: Any) -> Iterator[Callable[[], None]]:
    """Show a bar of the conversations written on the terminal, on standard error; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Exporting conversations", total=run.total())
        yield lambda: progress.update(task, completed=run.conversations)
