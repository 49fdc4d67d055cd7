"""Values that nobody means to track, and that come all the same."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import math
import uuid
from collections.abc import Callable
from typing import Any

from sdk.tests.test_validation import nested

HALF = "\ud800"


class Broken:
    """Whatever is asked of it, it fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __bool__ = __len__ = __iter__ = __eq__ = __index__ = __float__ = __str__  # type: ignore[assignment]
    __hash__ = __call__ = __str__  # type: ignore[assignment]


class BrokenDict(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items")

    def copy(self) -> Any:
        raise RuntimeError("no copy")


class BrokenError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class BrokenFile(io.BytesIO):
    def read(self, *args: Any) -> bytes:
        raise PermissionError("not yours")


class Endless:
    def model_dump(self, mode: str) -> Endless:
        return Endless()


circle: dict[str, Any] = {"a": [1]}
circle["self"] = circle
closed = io.BytesIO(b"closed")
closed.close()
NASTY: list[Callable[[], Any]] = [
    Broken,
    lambda: Broken,
    lambda: BrokenDict(a=1),
    lambda: BrokenError("x"),
    lambda: BrokenFile(b"x"),
    Endless,
    lambda: circle,
    lambda: closed,
    lambda: 10**5000,
    lambda: -(2**70),
    lambda: math.nan,
    lambda: math.inf,
    lambda: decimal.Decimal("NaN"),
    lambda: HALF,
    lambda: "nul \0 inside",
    lambda: "\0",
    lambda: "x" * 1_048_600,
    lambda: "č" * 700,
    lambda: b"\xff\x00bytes",
    lambda: nested(70),
    lambda: nested(5000),
    lambda: {Broken: Broken(), (1, 2): {HALF}},
    lambda: (each for each in "ab"),
    lambda: len,
    lambda: object(),
    lambda: dt.timedelta(seconds=2),
    lambda: dt.datetime(2026, 8, 10),
    lambda: uuid.UUID(int=5),
    lambda: [{"data": b"right"}, {"data": 5}, Broken(), {"data": BrokenFile()}],
    lambda: [{"data": b"x"}] * 70,
]
