"""One server a data folder: the analytics file and the writer's order allow no second one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from filelock import lock_descriptor

logger = logging.getLogger(__name__)

NAME = "agentsight.lock"


class FolderInUse(Exception):
    """The folder cannot be had for oneself; the text says in one line what to do."""


class FolderLock:
    """Holds a data folder until it is released, or the process ends, however it ends.

    Commands beside the server do not take it.

    Args:
        folder: made when it is absent.

    Raises:
        FolderInUse: another server runs on the folder, or it cannot be written.

    Example:
        >>> lock = FolderLock(Path("/srv/agentsight"))
        >>> lock.release()
    """

    def __init__(self, folder: Path) -> None:
        self._file: int | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # customers' words lie there
        except OSError as error:
            raise FolderInUse(f"cannot create the data folder {folder}: {error.strerror}") from None
        try:
            file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FolderInUse(
                f"the data folder {folder} cannot be written ({error.strerror}): change its owner or --data-dir"
            ) from None
        try:
            taken = lock_descriptor(file, blocking=False)
        except OSError as error:
            # Some network file systems know no locks; whoever uses them sees to it alone.
            logger.warning("the data folder %s cannot be locked: %s", folder, error.strerror)
            self._file = file
            return
        if not taken:
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
            os.close(file)
            who = f" (process {holder})" if holder.isdigit() else ""
            raise FolderInUse(f"a server{who} runs on {folder}: stop it, or choose another --data-dir")
        try:
            os.ftruncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        except OSError:
            pass  # a full disk: the number is only for people
        self._file = file

    def release(self) -> None:
        """Let the folder go. The file stays: removing it would let two hold it at once."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_held(folder: Path) -> bool:
    """Tell whether a server runs on the folder."""
    try:
        file = os.open(folder / NAME, os.O_RDWR)
    except OSError:
        return False
    try:
        return not lock_descriptor(file, blocking=False)
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(file)
