"""What an error of a driver or of the system says, cut to what may stand in a log or in an answer."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """The first line alone, with the kind of error: the rest may hold values of rows.

    Example:
        >>> first_line(ValueError("no such column\\n[parameters: (…)]"))
        'ValueError: no such column'
    """
    cause = _origin(error)
    return f"{type(cause).__name__}: {next(iter(str(cause).strip().splitlines()), '')}"


def reason(error: BaseException) -> str:
    """The first line without the kind of error, where a sentence goes on with it.

    Example:
        >>> reason(OSError(28, "No space left on device", "/data/x"))
        'No space left on device: /data/x'
    """
    cause = _origin(error)
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror + (f": {cause.filename}" if cause.filename else "")
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)[:300]


def _origin(error: BaseException) -> BaseException:
    """SQLAlchemy keeps the driver's own error as `orig`."""
    origin = getattr(error, "orig", None)
    return origin if isinstance(origin, BaseException) else error
