"""The crash-safe outbox: what waits is also on disk, so that killing the process loses nothing.

A folder of journals (`agentsight-<key's hash>-<random>.spool`). Each process writes its own, and holds a lock on
them that ends with the process; a journal whose lock is free belongs to nobody any more, and the next process
that uses the same key adopts it. A record is one line of JSON: an item, what was told of a conversation, or the
ids that the server has settled. Lines begin, not end, with the line break, so that a torn one spoils no other.

Records are in the page cache when the call returns: they survive the process, not a loss of power.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from pathlib import Path

from agentsight.config import log
from agentsight.items.encoding import PreparedItem, encode_json, prepare, quote
from agentsight.items.kinds import moved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from agentsight.items.kinds import Item
    from agentsight.outbox.outbox import Outbox
    from agentsight.outbox.pending import PendingConversation

__all__ = ["Spool"]

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

SEGMENT = 1024 * 1024  # bytes after which a new journal is begun; the old one goes when all in it is settled
RETRY_SECONDS = 60.0  # after a failure, how long the disk is left alone
ADOPT_EVERY = 30.0  # seconds between two looks for journals that others left


class _Journal:
    """One file, locked by this process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.waiting = 0  # records in it that are not settled
        self.current = True  # new records go in here

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def delete(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()
        self.close()

    __del__ = close


class Spool:
    """The journals of one tracker.

    Args:
        folder: made if it is not there.
        key: gives the API key, or None; journals of another key are left alone.
        max_bytes: what the journals may take; beyond it new items are in memory only.

    Raises:
        OSError: this machine has no file locks.
    """

    def __init__(self, folder: str, key: Callable[[], str | None], max_bytes: int) -> None:
        if fcntl is None:
            raise OSError("this system has no file locks")
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self._key = key
        self._lock = threading.Lock()
        self._current: _Journal | None = None
        self._where: dict[str, _Journal] = {}  # by the id of the record
        self._bytes = 0
        self._broken_until = 0.0
        self._warned = False
        self._adopted_at = float("-inf")

    # --- writing ---

    def keep(self, conversation: PendingConversation, item: Item) -> PreparedItem:
        """Write an item; it gets its id here, so that it keeps it whoever sends it."""
        [prepared] = prepare(conversation, [moved(item, conversation.rising(item[1]))])
        head = (
            f'\n{{"c":{quote(conversation.conversation_id)},"o":{conversation.opened_ns},"k":{prepared.kind}'
        )
        self._write(prepared.id, f'{head},"n":{prepared.ns},"w":{prepared.weight},"i":{prepared.text}}}')
        return prepared

    def announce(self, conversation: PendingConversation, fields: dict[str, Any]) -> str:
        """Write what was told of a conversation; returns the record's id."""
        id = os.urandom(8).hex()
        record = {
            "c": conversation.conversation_id,
            "o": conversation.opened_ns,
            "f": fields,
            "i": {"id": id},
        }
        self._write(id, "\n" + encode_json(record))
        return id

    def _write(self, id: str, text: str) -> None:
        line = text.encode()
        try:
            journal = self._reserve(id, len(line))
            if journal is None:
                return
            if os.write(journal.descriptor, line) < len(line):
                raise OSError("the disk is full")
        except OSError as problem:
            self._degrade(str(problem))
            self.settle([id])

    def _reserve(self, id: str, size: int) -> _Journal | None:
        """The journal for a record, which counts in it from now on; None: memory only."""
        journal = None
        with self._lock:
            if time.monotonic() < self._broken_until:
                return None
            full = self._bytes + size > self.max_bytes
            if not full:
                journal = self._current
                if journal is None or journal.size > SEGMENT:
                    if journal is not None:
                        journal.current = False
                    self._current = None
                    journal = self._current = self._new()
                journal.size += size
                journal.waiting += 1
                self._bytes += size
                self._where[id] = journal
        if full:
            self._degrade(f"{self.folder} has reached its {self.max_bytes:,} bytes", retry=False)
            return None
        return journal

    def _new(self) -> _Journal:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = self.folder / f"agentsight-{self._owner()}-{os.urandom(6).hex()}.spool"
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if _locked(descriptor, path):
                return _Journal(path, descriptor)
            os.close(descriptor)  # somebody took the new file for one that was left; let them have it

    def _owner(self) -> str:
        return hashlib.sha256((self._key() or "").encode()).hexdigest()[:16]

    def _degrade(self, why: str, retry: bool = True) -> None:
        with self._lock:
            if retry:
                self._broken_until = time.monotonic() + RETRY_SECONDS
                if self._current is not None:
                    self._current.current = False
                    self._current = None
            said, self._warned = self._warned, True
        if not said:
            log().warning("the spool cannot be written (%s): what is tracked is kept in memory only", why)

    def settle(self, ids: Iterable[str]) -> None:
        """These records need not be kept any longer. Journals with nothing else in them are deleted."""
        done: dict[_Journal, list[str]] = {}
        with self._lock:
            for id in ids:
                journal = self._where.pop(id, None)
                if journal is not None:
                    journal.waiting -= 1
                    done.setdefault(journal, []).append(id)
            for journal in done:
                if journal.waiting == 0 and journal is self._current and journal.size > SEGMENT:
                    journal.current, self._current = False, None
                if journal.waiting == 0 and not journal.current:
                    self._bytes -= journal.size
        for journal, settled in done.items():
            if journal.waiting == 0 and not journal.current:
                journal.delete()
            else:
                with contextlib.suppress(OSError):  # sent again then, and recognised by its id
                    line = ("\n" + encode_json({"a": settled})).encode()
                    os.write(journal.descriptor, line)

    def close(self) -> None:
        """Delete journals in which nothing waits. The rest stays, for the next process."""
        with self._lock:
            journal = self._current
            if journal is None or journal.waiting:
                return
            self._current, journal.current = None, False
            self._bytes -= journal.size
        journal.delete()

    def reset_after_fork(self) -> None:
        """After a fork, in the child: the journals are the parent's. Closing them here unlocks nothing there."""
        for journal in {*self._where.values(), *([self._current] if self._current else [])}:
            journal.close()
        self._lock = threading.Lock()
        self._current, self._where, self._bytes = None, {}, 0

    # --- adopting ---

    def adopt(self, outbox: Outbox) -> None:
        """Take over what processes that are no more have left, at most every half minute."""
        now = time.monotonic()
        if now - self._adopted_at < ADOPT_EVERY:
            return
        self._adopted_at = now
        try:
            paths = sorted(self.folder.glob(f"agentsight-{self._owner()}-*.spool"))
        except OSError:
            return
        for path in paths:
            if outbox.count() > outbox.max_items // 2:
                return  # another time: more than this would push out what is new
            try:
                self._adopt(path, outbox)
            except OSError as problem:
                log().warning("%s cannot be read: %s", path, problem)

    def _adopt(self, path: Path, outbox: Outbox) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        if not _locked(descriptor, path):
            os.close(descriptor)
            return
        journal = _Journal(path, descriptor)
        journal.current = False
        records, unreadable = _read(path)
        if unreadable:
            aside = path.with_suffix(".unreadable")
            with aside.open("ab") as file:
                file.write(b"\n".join(unreadable) + b"\n")
            log().warning("%d records of %s cannot be read; they are in %s", len(unreadable), path, aside)
        if not records:
            journal.delete()
            return
        with self._lock:
            journal.waiting = len(records)
            self._bytes += journal.size
            self._where.update(dict.fromkeys(records, journal))
        for id, record in records.items():
            if "f" in record:
                outbox.adopt_fields(record["c"], record["o"], record["f"], id)
            else:
                conversation = outbox.find(record["c"])
                item = PreparedItem(
                    conversation, record["k"], record["n"], record["w"], id, encode_json(record["i"])
                )
                outbox.adopt_item(conversation, record["o"], item)


def _locked(descriptor: int, path: Path) -> bool:
    """Lock a file that is still the one at its path; False if somebody else has it, or it was deleted."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except OSError:
        return False


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], list[bytes]]:
    """The unsettled records of a journal by id, and the lines that are none."""
    records: dict[str, dict[str, Any]] = {}
    unreadable: list[bytes] = []
    for line in _lines(path):
        try:
            record = json.loads(line)
            if "a" in record:
                for id in record["a"]:
                    records.pop(id, None)
                continue
            _check(record)
            records[record["i"]["id"]] = record
        except (ValueError, KeyError, TypeError):
            unreadable.append(line)
    return records, unreadable


def _check(record: dict[str, Any]) -> None:
    kinds = {"c": str, "o": int, "i": dict}
    kinds.update({"f": dict} if "f" in record else {"k": int, "n": int, "w": int})
    if (
        not all(type(record[name]) is kind for name, kind in kinds.items())
        or type(record["i"]["id"]) is not str
    ):
        raise TypeError("not a record")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if stripped := line.strip():
                yield stripped
