"""Who on this machine may read the data: nobody but the account that runs the server."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What lies in a data folder; whatever else lies beside it is none of our business.
_OURS = ("agentsight.db*", "analytics.duckdb*", "search.db*", "agentsight.lock", "security.jsonl*", "files")


def private_by_default() -> None:
    """Make everything that this process writes from now on readable by its own account alone."""
    os.umask(0o077)


def open_to_others(folder: Path) -> Iterator[Path]:
    """Name what of a data folder other accounts of the machine may read, write or list.

    Args:
        folder: a data folder; what lies in `files/` is closed by `files/` itself.

    Example:
        >>> list(open_to_others(Path("data")))
        []
    """
    if os.name != "posix":
        return
    for pattern in _OURS:
        for path in sorted(folder.glob(pattern)):
            if not path.is_symlink() and path.stat().st_mode & OTHERS:
                yield path


def close_to_others(folder: Path) -> None:
    """Take other accounts' rights to the data away; what cannot be changed is said in the log.

    An older version, or an administrator who copied the files, may have left them open. The folder itself keeps
    its rights: it may hold other things, and who cannot open what lies in it learns nothing but names.
    """
    for path in open_to_others(folder):
        mode = stat.S_IMODE(path.stat().st_mode)
        try:
            path.chmod(mode & ~OTHERS)
        except OSError as error:
            logger.warning("%s can be read by other accounts (mode %03o): %s", path, mode, error.strerror)
        else:
            logger.info("%s could be read by other accounts; it no longer can", path)
