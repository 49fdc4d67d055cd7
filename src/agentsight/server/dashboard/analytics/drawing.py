"""Small drawings that need no script: lines beside a figure, and classes of a colour ramp."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WIDTH, HEIGHT = 100, 28
CLASSES = 6


class Spark(msgspec.Struct):
    """A line without axes: runs of points, each an SVG `points` list; gaps where there is no value."""

    lines: list[str]
    areas: list[str]
    # The last point, where there is one: as x and y.
    end: tuple[float, float] | None


def spark(values: Sequence[float | None]) -> Spark | None:
    """A sparkline from zero; None where there is nothing to draw.

    Example:
        >>> spark([0, 2, 1]).lines
        ['0,26 50,2 100,14']
    """
    known = [value for value in values if value is not None]
    if not known or len(values) < 2:
        return None
    top = max(known) or 1
    step = WIDTH / (len(values) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            if runs[-1]:
                runs.append([])
            continue
        y = HEIGHT - 2 - value / top * (HEIGHT - 4)
        runs[-1].append((round(place * step, 2), round(y, 2)))
    runs = [run for run in runs if run]
    # One value between two gaps is a short dash, not nothing.
    runs = [
        run if len(run) > 1 else [(run[0][0] - 0.8, run[0][1]), (run[0][0] + 0.8, run[0][1])] for run in runs
    ]
    lines = [" ".join(f"{x:g},{y:g}" for x, y in run) for run in runs]
    areas = [
        f"{run[0][0]:g},{HEIGHT} {line} {run[-1][0]:g},{HEIGHT}"
        for run, line in zip(runs, lines, strict=True)
    ]
    return Spark(lines, areas, runs[-1][-1] if values[-1] is not None else None)


def thresholds(counts: Sequence[int], classes: int = CLASSES) -> list[int]:
    """Where the classes of a ramp begin, so that each holds about as many of the counts: one spike does not
    wash out the rest. At most so many; fewer where there are not as many different counts.

    Example:
        >>> thresholds([1, 1, 2, 3, 500], 3)
        [1, 2, 3]
    """
    some = sorted(count for count in counts if count > 0)
    if not some:
        return []
    # Different counts take different colours, as far as the colours reach.
    different = sorted(set(some))
    if len(different) <= classes:
        return different
    found = [some[len(some) * place // classes] for place in range(classes)]
    return sorted({some[0], *found})


def class_of(count: int, begins: Sequence[int]) -> int:
    """The class of a count, from 1; 0 for none."""
    return sum(count >= begin for begin in begins)


def legend(begins: Sequence[int], most: int) -> list[tuple[int, str]]:
    """The classes in words: (class, 3–5)."""
    found = []
    for place, begin in enumerate(begins):
        last = begins[place + 1] - 1 if place + 1 < len(begins) else most
        found.append((place + 1, f"{begin:,}" if last <= begin else f"{begin:,}–{last:,}"))
    return found
