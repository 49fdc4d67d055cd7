"""Tables on the screen, JSON in benchmarks/results/."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; all columns but the first two are numbers."""
    shown = Table(title=title)
    for number, column in enumerate(columns):
        shown.add_column(column, justify="left" if number < 2 else "right")
    for row in rows:
        shown.add_row(*row)
    Console(width=110).print(shown)


def write(name: str, results: dict[str, Any]) -> Path:
    """Write results with the machine's facts beside them and return the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = {"python": sys.version.split()[0], "machine": platform.platform()}
    facts = {"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **machine}
    path.write_text(json.dumps({"facts": facts, **results}, indent=1) + "\n")
    return path
