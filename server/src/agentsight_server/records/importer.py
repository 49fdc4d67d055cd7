"""Importing records: one JSON object a line, the form that `agentsight export` writes.

Items without an id get one made from what they say, so that a file imported twice is stored once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import get_args

import msgspec

from agentsight_server.attachments.blobs import FileStore
from agentsight_server.domain.errors import RequestError
from agentsight_server.ingest import request_schemas
from agentsight_server.ingest.batch import Batch, ConversationOutcome
from agentsight_server.ingest.normalise import Normaliser
from agentsight_server.reference.geo import Places
from agentsight_server.store import append
from agentsight_server.store.database import Database

LINES_AT_ONCE = 50
# A line carries its attachments: fewer of those go into one transaction.
BYTES_AT_ONCE = 16 * 1024 * 1024
_MOST_NAMED = 10
_RECORD = frozenset(request_schemas.ConversationIn.__struct_fields__)
_ITEM_FIELDS = {
    str(kind.__struct_config__.tag): frozenset({"type", *kind.__struct_fields__})
    for kind in get_args(request_schemas.ItemIn)
}


class Report(msgspec.Struct):
    """What an import did. `problems` are (line number, what is wrong) in order."""

    lines: int = 0
    conversations: int = 0
    new_conversations: int = 0
    items: int = 0
    duplicates: int = 0
    broken_lines: int = 0
    problems: list[tuple[int, str]] = []


def import_lines(
    database: Database,
    files: FileStore,
    places: Places,
    agent_id: int,
    lines: Iterable[bytes],
    *,
    after: Callable[[int], None] = lambda read: None,
) -> Report:
    """Store the records of `lines` for an agent, in transactions of some lines each.

    Args:
        after: called with the number of bytes of the lines stored since it was last called.

    A line that is no record is reported and left out; an item that cannot be taken likewise.
    """
    report = Report()
    for group in _groups(lines):
        batches = []
        for line in group:
            report.lines += 1
            if line.strip():
                batch = _decode(report, places, line)
                if batch is not None:
                    batches.append((report.lines, batch))
        for _, batch in batches:
            for file in batch.normaliser.files.values():
                files.put(file.data)
        _store(database, agent_id, batches, report)
        after(sum(map(len, group)))
    return report


def _groups(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for line in lines:
        group.append(line)
        size += len(line)
        if len(group) == LINES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _decode(report: Report, places: Places, line: bytes) -> Batch | None:
    try:
        unknown: set[str] = set()
        body = b'{"conversations":[' + _with_ids(line, unknown) + b"]}"
        if unknown:
            names = ", ".join(sorted(unknown)[:_MOST_NAMED])
            report.problems.append((report.lines, f"not known here, and left out: {names[:500]}"))
        return Batch(Normaliser(places.lookup, archive=True), body)
    except RequestError as error:
        problem = "; ".join(map(str, error.problems))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        problem = f"not a JSON object: {error}"
    report.broken_lines += 1
    report.problems.append((report.lines, problem))
    return None


def _with_ids(line: bytes, unknown: set[str] | None = None) -> bytes:
    """The record with an id for each item, without what is not known here, such as the fields of a newer version;
    their names are added to `unknown`."""
    unknown = set() if unknown is None else unknown
    record = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    for strange in record.keys() - _RECORD:
        del record[strange]
        unknown.add(strange)
    name = bytes(record.get("conversation_id", b""))
    seen: Counter[bytes] = Counter()
    for field in ("items", "feedbacks"):
        raw = record.get(field)
        if raw is None or bytes(raw).strip() == b"null":
            record.pop(field, None)
            continue
        entries = msgspec.json.decode(raw, type=list[msgspec.Raw])
        record[field] = msgspec.Raw(
            b"[" + b",".join(_with_id(name, field, bytes(entry), seen, unknown) for entry in entries) + b"]"
        )
    return msgspec.json.encode(record)


def _with_id(name: bytes, field: str, entry: bytes, seen: Counter[bytes], unknown: set[str]) -> bytes:
    try:
        given = msgspec.json.decode(entry, type=dict[str, object])
    except msgspec.ValidationError:
        return entry  # refused later, with its place
    kind = "feedback" if field == "feedbacks" else given.get("type")
    strange = given.keys() - _ITEM_FIELDS[kind] if isinstance(kind, str) and kind in _ITEM_FIELDS else set()
    if strange:
        unknown.update(f"{field}.{each}" for each in strange)
        given = {each: value for each, value in given.items() if each not in strange}
        entry = msgspec.json.encode(given)
    if given.get("id"):
        if not isinstance(given["id"], int):
            return entry
        del given["id"]  # a database's number means nothing in another one
    canonical = msgspec.json.encode(given, order="sorted")
    seen[canonical] += 1
    digest = hashlib.sha256(
        b"\0".join((name, field.encode(), str(seen[canonical]).encode(), canonical))
    ).digest()
    identity = bytearray(digest[:16])
    identity[6] = identity[6] & 0x0F | 0x80  # version 8: made by our own rule
    identity[8] = identity[8] & 0x3F | 0x80
    # The time comes first, as in version 7: keys that arrive in order are cheap to insert.
    identity[:6] = _milliseconds(given)
    return msgspec.json.encode({**given, "id": identity.hex()})


def _milliseconds(given: dict[str, object]) -> bytes:
    for name in ("timestamp", "created_at"):
        try:
            moment = msgspec.convert(given.get(name), datetime)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
            return max(0, int(moment.timestamp() * 1000)).to_bytes(6, "big")
        except (msgspec.ValidationError, ValueError, OverflowError):
            continue
    return bytes(6)


def _store(database: Database, agent_id: int, batches: list[tuple[int, Batch]], report: Report) -> None:
    accepted = [each for _, batch in batches for each in batch.accepted]
    appended = []
    if accepted:
        # Looked up first: the usual reason for a second import is that the first one was cut off.
        with database.write() as connection:
            appended = append.append(connection, 1, agent_id, accepted)
    start = 0
    for line, batch in batches:
        mine = appended[start : start + len(batch.accepted)]
        start += len(batch.accepted)
        for outcome in batch.answer(mine).conversations:
            _count(report, line, outcome)


def _count(report: Report, line: int, outcome: ConversationOutcome) -> None:
    if not outcome.success:
        report.broken_lines += 1
        report.problems.append((line, _say(outcome.errors)))
        return
    report.conversations += 1
    report.new_conversations += outcome.created
    for item in outcome.items:
        if item.errors is not None:
            report.problems.append((line, f"item {item.index}: {_say(item.errors)}"))
        elif item.duplicate:
            report.duplicates += 1
        else:
            report.items += 1


def _say(errors: dict[str, list[str]] | None) -> str:
    return "; ".join(f"{name} {' and '.join(what)}" for name, what in (errors or {}).items())
