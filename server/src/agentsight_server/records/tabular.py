"""Conversations and messages as flat tables, for spreadsheets (CSV) and data tools (Parquet, JSON lines)."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import msgspec

from agentsight_server.domain import times
from agentsight_server.domain.causes import reason
from agentsight_server.domain.spreadsheets import safe
from agentsight_server.records.export import Export, json_value
from agentsight_server.store import transcripts
from agentsight_server.store.conversations import ConversationRow
from agentsight_server.store.cutoff import CURRENT, CutOff
from agentsight_server.store.schema import ITEM_KINDS, SENDERS
from agentsight_server.store.transcripts import Entry, Transcript

What = Literal["conversations", "messages"]
Row = tuple[Any, ...]

# Column and its type in Parquet. Times are whole microseconds here and written as each format does.
_CONVERSATIONS = {
    "id": "BIGINT", "conversation_id": "VARCHAR", "name": "VARCHAR", "customer_id": "VARCHAR",
    "customer_ip_address": "VARCHAR", "device": "VARCHAR", "source": "VARCHAR", "language": "VARCHAR",
    "environment": "VARCHAR", "country": "VARCHAR", "city": "VARCHAR", "timezone_name": "VARCHAR",
    "is_marked": "BOOLEAN", "is_deleted": "BOOLEAN", "is_used": "BOOLEAN", "is_offered": "BOOLEAN",
    "started_at": "TIMESTAMP", "ended_at": "TIMESTAMP", "deleted_at": "TIMESTAMP", "messages": "BIGINT",
    "prompt_tokens": "BIGINT", "completion_tokens": "BIGINT", "total_tokens": "BIGINT",
    "embedding_tokens": "BIGINT", "cached_tokens": "BIGINT", "cache_write_tokens": "BIGINT",
    "input_audio_tokens": "BIGINT", "reasoning_tokens": "BIGINT", "output_audio_tokens": "BIGINT",
    "positive_feedback": "BIGINT", "neutral_feedback": "BIGINT",
    "negative_feedback": "BIGINT", "metadata": "JSON",
}  # fmt: skip
_MESSAGES = {
    "id": "BIGINT", "conversation": "BIGINT", "conversation_id": "VARCHAR", "timestamp": "TIMESTAMP",
    "type": "VARCHAR", "sender": "VARCHAR", "content": "VARCHAR", "action_name": "VARCHAR",
    "started_at": "TIMESTAMP", "ended_at": "TIMESTAMP", "duration_ms": "BIGINT", "tools_used": "JSON",
    "response": "JSON", "error_message": "VARCHAR", "button_event": "VARCHAR", "button_value": "VARCHAR",
    "attachments": "VARCHAR", "metadata": "JSON",
}  # fmt: skip
COLUMNS: dict[What, dict[str, str]] = {"conversations": _CONVERSATIONS, "messages": _MESSAGES}

_encode = msgspec.json.Encoder().encode
_STEP = 1_000


def rows(export: Export, what: What) -> Iterator[Row]:
    """The rows of a table, in the order of COLUMNS; JSON as text, times in microseconds.

    Where the conversations are those with an event in some time, the messages are those of that time.
    """
    after, before = export.filters["event_after"], export.filters["event_before"]

    def asked_for(entry: Entry) -> bool:
        at = entry.timestamp
        return entry.is_line and (after is None or at >= after) and (before is None or at <= before)

    for page in export.pages():
        for row, transcript in page:
            if what == "conversations":
                yield _conversation(row, transcript)
            else:
                yield from (_message(row, entry) for entry in transcript.entries if asked_for(entry))
            export.conversations += 1
            export.items += len(transcript.entries)


def _conversation(row: ConversationRow, transcript: Transcript) -> Row:
    usage = transcripts.total_usage(entry.usage for entry in transcript.entries if entry.usage is not None)
    judged = [each.sentiment for each in transcript.feedbacks]
    return (
        row.id, row.conversation_id, row.name, row.customer_id, row.customer_ip_address, row.device, row.source,
        row.language, row.environment, row.country, row.city, row.timezone_name, bool(row.is_marked),
        bool(row.is_deleted), bool(row.is_used), bool(row.is_offered), row.started_at, row.ended_at,
        row.deleted_at, row.messages, *(getattr(usage, name) for name in transcripts.TOKEN_COUNTS),
        judged.count("positive"), judged.count("neutral"), judged.count("negative"),
        row.metadata,
    )  # fmt: skip


def _message(row: ConversationRow, entry: Entry) -> Row:
    action, button = entry.action, entry.button
    return (
        entry.id,
        row.id,
        row.conversation_id,
        entry.timestamp,
        ITEM_KINDS[entry.kind],
        None if entry.sender is None else SENDERS[entry.sender],
        entry.content if button is None else button.label,
        None if action is None else action.action_name,
        None if action is None else action.started_at,
        None if action is None else action.ended_at,
        None if action is None else action.duration_ms,
        None if action is None else action.tools_used,
        None if action is None else action.response,
        None if action is None else action.error_msg,
        None if button is None else button.button_event,
        None if button is None else button.value,
        "; ".join(file.filename for file in entry.files) or None,
        entry.metadata,
    )


def csv_lines(export: Export, what: What) -> Iterator[bytes]:
    """CSV in UTF-8 with a byte order mark, without which spreadsheets misread all but English.

    A cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    columns = COLUMNS[what]
    shapes = [_CELLS.get(kind, safe) for kind in columns.values()]
    target = io.StringIO()
    write = csv.writer(target).writerow
    yield b"\xef\xbb\xbf" + ",".join(columns).encode() + b"\r\n"
    for row in rows(export, what):
        write(["" if cell is None else shape(cell) for shape, cell in zip(shapes, row, strict=True)])
        yield target.getvalue().encode()
        target.seek(0)
        target.truncate()


def _boolean(value: bool) -> str:
    return "true" if value else "false"


_CELLS: dict[str, Callable[[Any], str]] = {"BIGINT": str, "BOOLEAN": _boolean, "TIMESTAMP": times.to_text}


def json_lines(export: Export, what: What) -> Iterator[bytes]:
    """One JSON object a row, JSON columns as what they are."""
    columns = COLUMNS[what]
    shapes: dict[str, Callable[[Any], Any]] = {"TIMESTAMP": times.to_text, "JSON": json_value}
    for row in rows(export, what):
        yield (
            _encode(
                {
                    name: shapes[kind](cell) if kind in shapes and cell is not None else cell
                    for (name, kind), cell in zip(columns.items(), row, strict=True)
                }
            )
            + b"\n"
        )


def write_parquet(
    export: Export, what: What, target: Path, *, after: Callable[[], None] = lambda: None
) -> None:
    """Write a Parquet file; times are timestamps in UTC, JSON is text.

    Raises:
        OSError: the file cannot be written.
    """
    for _ in parquet_steps(export, what, target, after=after):
        pass


def parquet_steps(
    export: Export, what: What, target: Path, *, after: Callable[[], None] = lambda: None
) -> Generator[int]:
    """The same in steps of some rows each; gives how many rows there were. The file is there after the last.

    The rows go through a file beside the target first: what is in memory does not grow with their number.

    Raises:
        OSError: the file cannot be written.
    """
    import duckdb

    columns = COLUMNS[what]
    listed = ", ".join(
        f"make_timestamp({name}) AT TIME ZONE 'UTC' AS {name}" if kind == "TIMESTAMP" else name
        for name, kind in columns.items()
    )
    kinds = {
        name: {"TIMESTAMP": "BIGINT", "JSON": "VARCHAR"}.get(kind, kind) for name, kind in columns.items()
    }
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        lines = Path(folder) / "rows.jsonl"
        with lines.open("wb") as file:
            for number, row in enumerate(rows(export, what), 1):
                file.write(_encode(dict(zip(columns, row, strict=True))) + b"\n")
                after()
                if number % _STEP == 0:
                    yield number
        connection = duckdb.connect(config={"temp_directory": folder, "memory_limit": "512MB", "threads": 2})
        cutoff = CURRENT.get()
        try:
            with cutoff.interrupting(connection.interrupt) if cutoff else nullcontext():
                connection.execute(
                    f"COPY (SELECT {listed} FROM read_json(?, format = 'newline_delimited', columns = {kinds}, "  # noqa: S608
                    "maximum_object_size = 67108864)) TO "
                    f"'{str(target).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)",
                    [str(lines)],
                )
        except duckdb.InterruptException:
            raise CutOff from None
        except duckdb.IOException as error:
            raise OSError(reason(error)) from None
        finally:
            connection.close()


def lines(export: Export, kind: str, what: What) -> Iterator[bytes]:
    """An export in a format that streams: `jsonl` (records, for conversations) or `csv`."""
    if kind == "csv":
        return csv_lines(export, what)
    return export.records() if what == "conversations" else json_lines(export, what)


def in_chunks(pieces: Iterable[bytes], size: int = 256 * 1024) -> Iterator[bytes]:
    """The same bytes in pieces of at least `size`, but for the last one."""
    held: list[bytes] = []
    length = 0
    for piece in pieces:
        held.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    if held:
        yield b"".join(held)
