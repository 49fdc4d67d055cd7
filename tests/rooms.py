"""Files and lines of each room, as docs/design/architecture.md tells them.

python -m tests.rooms        prints the table
python -m tests.rooms write  puts it into the page
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "design" / "architecture.md"
BEGIN, END = "<!-- rooms: made by `python -m tests.rooms write` -->\n", "<!-- /rooms -->\n"
LOOSE = "(loose)"


def counted() -> dict[str, tuple[int, int]]:
    """Python files and their lines by room: `sdk/client`, `server/store`, …"""
    rooms: dict[str, tuple[int, int]] = {}
    for part, package in (("sdk", "agentsight"), ("server", "agentsight_server")):
        source = ROOT / part / "src" / package
        for path in sorted(source.rglob("*.py")):
            inside = path.relative_to(source).parts
            room = f"{part}/{inside[0] if len(inside) > 1 else LOOSE}"
            files, lines = rooms.get(room, (0, 0))
            rooms[room] = files + 1, lines + len(path.read_text("utf-8").splitlines())
    return rooms


def table() -> str:
    """The table, as the page has it."""
    rows = [f"| `{room}` | {files} | {lines:,} |" for room, (files, lines) in counted().items()]
    return "\n".join(["| room | files | lines |", "|---|--:|--:|", *rows, ""])


def told() -> dict[str, tuple[int, int]]:
    """The same, read from the page."""
    block = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    cells = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in block.splitlines()[2:]]
    return {room: (int(files), int(lines.replace(",", ""))) for room, files, lines in cells}


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2], "utf-8")
    else:
        sys.stdout.write(table())
