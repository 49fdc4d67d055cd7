"""Small drawings that need no script: lines beside a figure, and classes of a colour ramp."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import msgspec

from agentsight_server.dashboard.formats import number

WIDTH, HEIGHT = 100, 28
CLASSES = 6


class Spark(msgspec.Struct):
    """A line without axes: SVG `points` of the line, and of the area below it."""

    line: str
    area: str


def spark(values: Sequence[float | None]) -> Spark | None:
    """A sparkline from zero, drawn through the values that there are; None where there are fewer than two.

    Example:
        >>> spark([0, 2, 1]).line
        '0,26 50,2 100,14'
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return None
    top = max(value for _, value in known) or 1
    step = WIDTH / (len(values) - 1)
    points = [(place * step, HEIGHT - 2 - value / top * (HEIGHT - 4)) for place, value in known]
    line = " ".join(f"{round(x, 2):g},{round(y, 2):g}" for x, y in points)
    return Spark(line, f"{points[0][0]:g},{HEIGHT} {line} {round(points[-1][0], 2):g},{HEIGHT}")


def thresholds(counts: Sequence[int], classes: int = CLASSES) -> list[int]:
    """Where the classes of a ramp begin, so that each holds about as many of the counts: one spike does not
    wash out the rest. Equal counts are of one class; there are fewer classes where there are few different counts.

    Example:
        >>> thresholds([1, 1, 1, 1, 2, 3, 500], 4)
        [1, 2, 3, 500]
    """
    some = sorted(count for count in counts if count > 0)
    begins: list[int] = []
    at = 0
    while at < len(some) and len(begins) < classes:
        begins.append(some[at])
        share = math.ceil((len(some) - at) / (classes - len(begins) + 1))
        # What is equal to the last of a class belongs to it.
        at = bisect.bisect_right(some, some[min(at + share, len(some)) - 1])
    return begins


def colour_of(count: int, begins: Sequence[int]) -> int:
    """The step of the ramp for a count, 1 to CLASSES; 0 for none. The highest class has the strongest colour.

    Example:
        >>> [colour_of(count, [1, 2, 9]) for count in (0, 1, 5, 12)]
        [0, 1, 4, 6]
    """
    place = bisect.bisect_right(begins, count)
    return _step(place, len(begins)) if place else 0


def legend(begins: Sequence[int], most: int) -> list[tuple[int, str]]:
    """The classes in words: (step of the ramp, 3–5)."""
    found = []
    for place, begin in enumerate(begins):
        last = begins[place + 1] - 1 if place + 1 < len(begins) else most
        step = _step(place + 1, len(begins))
        found.append((step, number(begin) if last <= begin else f"{number(begin)}–{number(last)}"))
    return found


def _step(place: int, of: int) -> int:
    return CLASSES if of == 1 else 1 + math.floor((place - 1) * (CLASSES - 1) / (of - 1) + 0.5)
