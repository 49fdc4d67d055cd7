"""Lists on the terminal; tab-separated when the output goes to another program."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write rows under a head to standard output."""
    if not sys.stdout.isatty():
        for row in (head, *rows):
            click.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
