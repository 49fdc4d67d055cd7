"""Files that appear under their name when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A file to write beside `target`, which takes its place when the block has ended well.

    Its owner alone may read it; it is on disk before it is renamed, and gone when the block fails.

    Raises:
        OSError: it cannot be written.

    Example:
        >>> with whole_file(Path("all.jsonl")) as draft:
        ...     draft.write_text("{}")
        2
        >>> Path("all.jsonl").read_text()
        '{}'
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
