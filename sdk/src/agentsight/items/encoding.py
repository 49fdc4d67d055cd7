"""What is tracked, and its form on the wire: `POST /api/ingest/batch/`.

While an item waits it is a plain tuple, because a `track_*` call has no time for more; ids, ISO text and JSON
are made when sending.
"""

from __future__ import annotations

import base64
import json
import os
import time
from json.encoder import encode_basestring as _plain_quote

from agentsight.items.ids import uuid7

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agentsight.items.validation import Json
    from agentsight.outbox.pending import PendingConversation

__all__ = ["PreparedItem", "encode_json", "iso", "kind_names", "plain", "prepare"]

# The kinds of items; a waiting item is (kind, time in ns, weight in bytes, *what the kind needs).
# The spool keeps these numbers: new kinds come at the end, new parts of an item after those it has.
QUESTION, ANSWER, ACTION, BUTTON, ATTACHMENTS, TOKEN_USAGE, FEEDBACK = range(7)
kind_names = ("question", "answer", "action", "button", "attachments", "token_usage", "feedback")

_SECOND = 1_000_000_000  # ns


def plain(value: Any) -> Any:
    """What JSON has no form for and users track all the same."""
    if hasattr(value, "isoformat"):  # datetime, date, time, pandas and pendulum times
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if hasattr(value, "model_dump"):  # Pydantic
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return value.tolist()
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):  # other mappings
        mapping: Any = value
        return {key: mapping[key] for key in mapping.keys()}  # noqa: SIM118 - not every mapping iterates over keys
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    kind = type(value)
    if (kind.__module__, kind.__name__) in (("decimal", "Decimal"), ("uuid", "UUID")):
        if kind.__name__ == "Decimal" and not value.is_finite():
            raise ValueError(f"{value} is not a number that JSON has")
        return str(value)
    if hasattr(value, "value") and hasattr(kind, "__members__"):  # enum members
        return value.value
    raise TypeError(f"{kind.__name__} does not fit JSON")


encode_json = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain
).encode
quote = _plain_quote


class PreparedItem:
    """An item ready to be sent, and to be sent again under the same id."""

    __slots__ = ("conversation", "id", "kind", "ns", "text", "weight")

    def __init__(
        self, conversation: PendingConversation, kind: int, ns: int, weight: int, id: str, text: str
    ) -> None:
        self.conversation = conversation
        self.kind = kind
        self.ns = ns
        self.weight = weight
        self.id = id
        self.text = text


def iso(ns: int) -> str:
    """Nanoseconds since the epoch as ISO 8601 text in UTC, to the microsecond."""
    seconds, rest = divmod(ns, _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"


def prepare(
    conversation: PendingConversation, items: Iterable[tuple[Any, ...] | PreparedItem]
) -> list[PreparedItem]:
    """Give items their ids and JSON text, unless the spool has done so."""
    waiting = list(items)
    chances = os.urandom(8 * len(waiting))
    ready = []
    for index, item in enumerate(waiting):
        if not isinstance(item, tuple):
            ready.append(item)
            continue
        ns = item[1]
        size = len(item)
        if item[0] in (QUESTION, ANSWER) and size > 6:
            id = item[6]  # the message has been given a name
        else:
            id = uuid7(ns, int.from_bytes(chances[8 * index : 8 * index + 8], "big"))
        head = f'{{"id":"{id}","timestamp":"{iso(ns)}",'
        ready.append(PreparedItem(conversation, item[0], ns, item[2], id, head + _body(item) + "}"))
    return ready


def _body(item: tuple[Any, ...]) -> str:
    kind = item[0]
    if kind in (QUESTION, ANSWER):
        _, _, _, content, metadata, files = item[:6]
        sender = "end_user" if kind == QUESTION else "agent"
        body = f'"type":"message","sender":"{sender}","content":{quote(content)}'
        if files:
            body += f',"attachments":{_files(files)}'
    elif kind == ACTION:
        _, _, _, name, started, ended, duration, tools, response, problem, metadata = item
        body = f'"type":"action","action_name":{quote(name)}'
        if started is not None:
            body += f',"started_at":"{started}"'
        if ended is not None:
            body += f',"ended_at":"{ended}"'
        if duration is not None:
            body += f',"duration_ms":{duration}'
        if tools is not None:
            body += f',"tools_used":{_json(tools)}'
        if response is not None:
            body += f',"response":{_json(response)}'
        if problem is not None:
            body += f',"error_msg":{quote(problem)}'
    elif kind == BUTTON:
        _, _, _, event, label, value, metadata = item
        body = f'"type":"button","button_event":{quote(event)},"label":{quote(label)},"value":{quote(value)}'
    elif kind == ATTACHMENTS:
        _, _, _, sender, files, metadata = item
        body = f'"type":"attachments","sender":"{sender}","attachments":{_files(files)}'
    elif kind == FEEDBACK:
        _, _, _, sentiment, comment, message, metadata = item
        body = f'"type":"feedback","sentiment":"{sentiment}"'
        if comment is not None:
            body += f',"comment":{quote(comment)}'
        if message is not None:
            body += f',"message":{message}' if type(message) is int else f',"message":"{message}"'
    else:
        _, _, _, prompt, completion, total, embedding, model, metadata, parts = item
        body = (
            f'"type":"token_usage","prompt_tokens":{prompt},"completion_tokens":{completion},'
            f'"total_tokens":{total},"embedding_tokens":{embedding}'
        )
        if parts is not None:
            body += "".join(f',"{name}":{count}' for name, count in parts.items())
        if model is not None:
            body += f',"model":{quote(model)}'
    return body if metadata is None else f'{body},"metadata":{_json(metadata)}'


def _json(value: Json) -> str:
    if type(value) is str:
        return value
    return quote(value[0]) if type(value) is tuple else encode_json(value)


def _files(files: Iterable[tuple[str, str, str | bytes]]) -> str:
    return "[" + ",".join(_file(*each) for each in files) + "]"


def _file(filename: str, mime_type: str, data: str | bytes) -> str:
    coded = data if isinstance(data, str) else base64.b64encode(data).decode("ascii")
    return f'{{"filename":{quote(filename)},"mime_type":{quote(mime_type)},"data":"{coded}"}}'
