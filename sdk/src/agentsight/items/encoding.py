"""Items as they are sent, to `POST /api/ingest/batch/`: with ids, ISO text and JSON, which are made when sending."""

from __future__ import annotations

import base64
import json
import os
from json.encoder import encode_basestring as _plain_quote

from agentsight.items.kinds import (
    ACTION,
    ANSWER,
    ATTACHMENTS,
    BUTTON,
    FEEDBACK,
    QUESTION,
    TOKEN_USAGE,
    given_id,
    parts,
)
from agentsight.items.stamps import iso, uuid7

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from agentsight.items.kinds import Files, Item
    from agentsight.items.validation import Json
    from agentsight.outbox.pending import PendingConversation

__all__ = ["PreparedItem", "encode_json", "plain", "prepare", "quote"]


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


def prepare(conversation: PendingConversation, items: Iterable[Item | PreparedItem]) -> list[PreparedItem]:
    """Give items their ids and JSON text, unless the spool has done so."""
    waiting = list(items)
    chances = os.urandom(8 * len(waiting))
    ready = []
    for index, item in enumerate(waiting):
        if not isinstance(item, tuple):
            ready.append(item)
            continue
        kind, ns, weight = item[:3]
        id = given_id(item) or uuid7(ns, int.from_bytes(chances[8 * index : 8 * index + 8], "big"))
        text = f'{{"id":"{id}","timestamp":"{iso(ns)}",{_body(item)}}}'
        ready.append(PreparedItem(conversation, kind, ns, weight, id, text))
    return ready


def _body(item: Item) -> str:
    body = _TYPES[item[0]]
    for name, value in parts(item).items():
        if name == "details":
            body += "".join(f',"{detail}":{count}' for detail, count in value.items())
        elif name != "id":
            body += f',"{name}":{_FORMS[name](value)}'
    return body


def _json(value: Json) -> str:
    if type(value) is str:
        return value
    return quote(value[0]) if type(value) is tuple else encode_json(value)


def _files(files: Files) -> str:
    return "[" + ",".join(_file(*each) for each in files) + "]"


def _file(filename: str, mime_type: str, data: str | bytes) -> str:
    coded = data if isinstance(data, str) else base64.b64encode(data).decode("ascii")
    return f'{{"filename":{quote(filename)},"mime_type":{quote(mime_type)},"data":"{coded}"}}'


_TYPES = {
    QUESTION: '"type":"message","sender":"end_user"',
    ANSWER: '"type":"message","sender":"agent"',
    ACTION: '"type":"action"',
    BUTTON: '"type":"button"',
    ATTACHMENTS: '"type":"attachments"',
    TOKEN_USAGE: '"type":"token_usage"',
    FEEDBACK: '"type":"feedback"',
}
_TEXTS = (
    "content",
    "action_name",
    "started_at",
    "ended_at",
    "error_msg",
    "button_event",
    "label",
    "value",
    "sender",
    "model",
    "sentiment",
    "comment",
)
_COUNTS = ("duration_ms", "prompt_tokens", "completion_tokens", "total_tokens", "embedding_tokens")
# What makes JSON of a part of an item.
_FORMS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(_TEXTS, quote),
    **dict.fromkeys(_COUNTS, str),
    **dict.fromkeys(("metadata", "tools_used", "response"), _json),
    "attachments": _files,
    "message": encode_json,
}
