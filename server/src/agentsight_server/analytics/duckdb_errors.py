"""What went wrong with a DuckDB file, found out by looking: DuckDB's errors carry nothing but English."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import duckdb

if sys.platform != "win32":
    import fcntl


def is_held_elsewhere(file: Path) -> bool:
    """Whether another process has the file open: DuckDB locks what it has open.

    Only for a file that this process has not open itself: a process that closes a file gives up all its locks on it.

    Example:
        >>> is_held_elsewhere(Path("there is none.duckdb"))
        False
    """
    try:
        with file.open("rb+") as opened:
            if sys.platform != "win32":
                fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if sys.platform == "win32":  # where it cannot even be opened
            return isinstance(error, PermissionError)
        return error.errno in {errno.EAGAIN, errno.EWOULDBLOCK}
    return False


def is_damage(error: duckdb.Error) -> bool:
    """Whether nothing but a new file helps. DuckDB has no class of its own for what is corrupt: it comes as the bare
    base class, and nothing else does."""
    fatal = (duckdb.FatalException, duckdb.SerializationException)
    return type(error) is duckdb.Error or isinstance(error, fatal)
