"""Where the bytes of attachments lie.

Bytes are addressed by their SHA-256 (``ab/cd/abcd…``), so the same file sent twice is stored once and a
stored file never changes. The store is a folder, or any object store that obstore reaches by URL.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from agentsight_server.domain.causes import reason

__all__ = ["FileMissing", "FileStore", "FilesError"]

_CHUNK = 256 * 1024
_ASIDE = 10**12
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class FilesError(Exception):
    """The place for attachments cannot be used; the text says in one line what to do."""


class FileMissing(FilesError, KeyError):
    """No bytes are stored under this hash."""

    def __str__(self) -> str:
        return f"no file is stored under {self.args[0]}"


class FileStore:
    """Content-addressed bytes in a folder or an object store.

    Args:
        location: a folder (made when absent) or a URL: ``file://…``, ``s3://bucket/prefix``, ``gs://…``,
            ``az://…``, ``memory:///``. Credentials of object stores come from their usual environment
            variables.
        options: passed to obstore for URLs, for example ``{"region": "eu-central-1"}``.

    Raises:
        FilesError: the folder cannot be written, or the URL names no store that is known.

    Safe to use from several threads.

    Example:
        >>> files = FileStore("/srv/agentsight/files")
        >>> sha = files.put(b"hello")
        >>> files.get(sha)
        b'hello'
    """

    def __init__(self, location: str | Path, options: dict[str, Any] | None = None) -> None:
        self.location = str(location)
        self._folder = _local_folder(location)
        self._store: ObjectStore
        if self._folder is not None:
            _usable_folder(self._folder)
            self._store = LocalStore(self._folder)
            return
        try:
            self._store = from_url(self.location, **(options or {}))
        except (BaseError, ValueError) as error:
            raise FilesError(
                f"files_url {self.location!r} cannot be used ({reason(error)}); it takes a folder, s3://, gs:// or az://"
            ) from None

    @property
    def folder(self) -> Path | None:
        """Where the files lie, if that is a folder."""
        return self._folder

    def put(self, data: bytes) -> str:
        """Store bytes and return their SHA-256 in hex.

        When this returns, a folder has the file and its directory entry on disk (fsync), and an object store
        has acknowledged it. Bytes that are there already are not written again.

        Raises:
            FilesError: the disk is full, or the store does not take it; nothing half-written stays behind under
                the hash.
        """
        sha = hashlib.sha256(data).hexdigest()
        try:
            if self._folder is not None:
                self._put_in_folder(self._folder / _path(sha), data)
            elif not self.exists(sha):
                self._store.put(_path(sha), data)
        except (OSError, BaseError) as error:
            raise FilesError(f"an attachment could not be stored: {reason(error)}") from error
        return sha

    def _put_in_folder(self, target: Path, data: bytes) -> None:
        # obstore's LocalStore renames without fsync, and a power cut may then leave an empty file behind rows
        # that were acknowledged. Its listing hides names that end in "#<digits>": no temporary file shows up.
        with suppress(FileNotFoundError):
            if target.stat().st_size == len(data):
                # Another thread may have just renamed it: the entry must be on disk for this caller too.
                _sync_directory(target.parent)
                return
        try:
            self._write_in_folder(target, data)
        except FileNotFoundError:  # an empty folder was tidied away under our feet
            self._write_in_folder(target, data)

    def _write_in_folder(self, target: Path, data: bytes) -> None:
        fresh = _make_directories(target.parent)
        temporary = target.with_name(f"{target.name}#{secrets.randbelow(10**12)}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        for directory in (target.parent, *fresh):
            _sync_directory(directory)

    def get(self, sha: str) -> bytes:
        """Return all bytes of a file.

        Raises:
            FileMissing: nothing is stored under this hash.
        """
        try:
            return bytes(self._store.get(_path(sha)).bytes())
        except FileNotFoundError:
            raise FileMissing(sha) from None
        except BaseError as error:
            raise FilesError(f"an attachment could not be read: {reason(error)}") from error

    def size(self, sha: str) -> int:
        """Return the size in bytes.

        Raises:
            FileMissing: nothing is stored under this hash.
        """
        try:
            return self._store.head(_path(sha))["size"]
        except FileNotFoundError:
            raise FileMissing(sha) from None
        except BaseError as error:
            raise FilesError(f"an attachment could not be read: {reason(error)}") from error

    def exists(self, sha: str) -> bool:
        """Tell whether bytes are stored under this hash."""
        try:
            self.size(sha)
        except FileMissing:
            return False
        return True

    def stream(self, sha: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to, not including, ``end`` in pieces of some 256 KiB.

        Raises:
            FileMissing: nothing is stored under this hash (at the call, not at the first piece).
        """
        size = self.size(sha)
        end = size if end is None else min(end, size)
        if start >= end:
            return iter(())
        result = self._store.get(_path(sha), options={"range": (start, end)})
        return iter(result.stream(min_chunk_size=_CHUNK))

    async def stream_async(self, sha: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Do the same for an event loop; FileMissing comes with the first piece."""
        try:
            size = (await self._store.head_async(_path(sha)))["size"]
            end = size if end is None else min(end, size)
            if start >= end:
                return
            result = await self._store.get_async(_path(sha), options={"range": (start, end)})
        except FileNotFoundError:
            raise FileMissing(sha) from None
        async for piece in result.stream(min_chunk_size=_CHUNK):
            yield piece

    def delete(self, sha: str) -> None:
        """Remove a file that no row names any more; one that is not there is no error."""
        with suppress(FileNotFoundError):
            self._store.delete(_path(sha))

    def remove_unless(self, sha: str, is_named: Callable[[], bool]) -> bool:
        """Remove a file unless a row names it, also where one comes to name it at this very moment.

        The file is taken out of sight first and comes back when `is_named` says so then. Whoever stores the same bytes
        looks after its commit whether they are there (see ensure).

        Args:
            is_named: asked once, after the bytes are out of sight.

        Returns:
            Whether bytes were removed.
        """
        if self._folder is not None:
            return self._remove_from_folder(self._folder / _path(sha), is_named)
        try:
            data = self.get(sha)
        except FileMissing:
            return False
        self.delete(sha)
        if is_named():
            self.put(data)
            return False
        return True

    def _remove_from_folder(self, target: Path, is_named: Callable[[], bool]) -> bool:
        # A name that put() never gives to what it is writing.
        aside = target.with_name(f"{target.name}#{_ASIDE}")
        with suppress(FileNotFoundError):
            target.replace(aside)
        if not aside.exists():  # also not from a time when this was interrupted
            return False
        if is_named():
            aside.replace(target)
            return False
        aside.unlink()
        for folder in (target.parent, target.parent.parent):
            with suppress(OSError):  # others are in it
                folder.rmdir()
        return True

    def ensure(self, sha: str, data: bytes) -> None:
        """Store bytes once more that went while rows that name them were written."""
        if not self.exists(sha):
            self.put(data)

    def list(self) -> Iterator[tuple[str, int]]:
        """Yield hash and size in bytes of every stored file, in no particular order."""
        for page in self._store.list():
            for entry in page:
                name = PurePosixPath(entry["path"]).name
                if _SHA256.match(name):
                    yield name, entry["size"]


def _path(sha: str) -> str:
    if not _SHA256.match(sha):
        raise FileMissing(sha)
    return f"{sha[:2]}/{sha[2:4]}/{sha}"


def _local_folder(location: str | Path) -> Path | None:
    if isinstance(location, Path):
        return location.absolute()
    parts = urlsplit(location)
    if parts.scheme == "file":
        path = unquote(parts.path)
        return Path(path.lstrip("/") if os.name == "nt" else path)
    # One letter before the colon is a Windows drive.
    return Path(location).absolute() if len(parts.scheme) <= 1 else None


def _usable_folder(folder: Path) -> None:
    probe = folder / f".write-test#{secrets.randbelow(10**12)}"
    try:
        for directory in _make_directories(folder):
            _sync_directory(directory)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise FilesError(
            f"the folder for attachments {folder} cannot be written: {error.strerror or error}"
        ) from None


def _make_directories(directory: Path) -> list[Path]:
    """Make a directory and its parents; return the existing ones that got a new entry and need a sync."""
    missing = []
    step = directory
    while not step.exists():
        missing.append(step)
        step = step.parent
    directory.mkdir(parents=True, exist_ok=True)
    return [made.parent for made in missing]


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":  # Windows opens no directories; NTFS journals the entry
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
