"""The OpenAPI document as a page to read: operations, fields, and examples that can be run."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup

from agentsight_server.dashboard.markdown import markdown, pretty

# The calls that most people need come first in their group.
_FIRST = ("/api/conversations/", "/api/track/", "/api/ingest/batch/")

# Objects inside objects are opened up to here; the document itself has no end where types are recursive.
_DEPTH = 5

# What a field is for, where its name and type do not say so. The document has the types.
_MEANINGS = {
    "conversation_id": "Your own id of the conversation",
    "conversation": "The conversation's integer id, or its text id",
    "customer_id": "Your own id of the person",
    "customer_ip_address": "Gives country, city and time zone",
    "source": "The channel: web, whatsapp, voice_call, …",
    "language": "A language tag: en, en-US, hr",
    "is_used": "false: the conversation was only offered, nobody has said anything yet",
    "timestamp": "ISO 8601; the moment of arrival where it is left out",
    "started_at": "ISO 8601",
    "ended_at": "ISO 8601",
    "metadata": "Any JSON object; filters reach inside it",
    "sender": "Who speaks",
    "content": "The message; an agent's may be Markdown",
    "question": "With `answer`: both sides of an exchange in one call",
    "answer": "With `question`: both sides of an exchange in one call",
    "duration_ms": "Milliseconds",
    "tools_used": "The arguments, any JSON",
    "response": "What the tool answered, any JSON",
    "error_msg": "Set where the tool failed",
    "button_event": "Which question the button answers",
    "label": "What stood on the button",
    "value": "What the button sent",
    "data": "The bytes in base64",
    "file_url": "Works for an hour, for whoever has it",
    "id": "",
    "sentiment": "",
    "size_bytes": "",
}
_SAMPLES: dict[str, Any] = {
    "conversation_id": "conv_1",
    "conversation": 12,
    "customer_id": "ana",
    "customer_ip_address": "161.53.72.1",
    "ip_address": "161.53.72.1",
    "country": "HR",
    "city": "Zagreb",
    "timezone_name": "Europe/Zagreb",
    "source": "web",
    "language": "en",
    "name": "Delivery on Sundays",
    "device": "mobile",
    "environment": "production",
    "content": "Do you deliver on Sundays?",
    "question": "Do you deliver on Sundays?",
    "answer": "Yes, from 9 to 17.",
    "sender": "end_user",
    "message": "Here is the photo.",
    "timestamp": "2026-08-01T09:30:00Z",
    "started_at": "2026-08-01T09:30:00Z",
    "ended_at": "2026-08-01T09:34:12Z",
    "created_at": "2026-08-01T09:35:00Z",
    "deleted_at": None,
    "action_name": "check_delivery",
    "duration_ms": 150,
    "tools_used": {"day": "sunday"},
    "response": {"from": 9, "to": 17},
    "error_msg": None,
    "error_message": None,
    "button_event": "after_chat",
    "label": "Yes, that helped",
    "value": "yes",
    "sentiment": "positive",
    "comment": "Quick and clear.",
    "filename": "photo.png",
    "mime_type": "image/png",
    "data": "iVBORw0KGgo…",
    "size_bytes": 48213,
    "file_url": "https://…/files/7/photo.png?expires=…&signature=…",
    "type": "image",
    "model": "gpt-4o",
    "prompt_tokens": 219,
    "completion_tokens": 13,
    "total_tokens": 232,
    "embedding_tokens": 0,
    "cached_tokens": 128,
    "cache_write_tokens": 0,
    "input_audio_tokens": 0,
    "reasoning_tokens": 0,
    "output_audio_tokens": 0,
    "metadata": {"tier": "pro"},
    "uuid": "0198c2f0-6d3a-7c41-9d0e-3b1f5f7f2a10",
    "detail": "…",
    "role": "write",
    "email": "ana@example.com",
    "errors": None,
    "is_marked": True,
    "is_used": True,
    "success": True,
    "count": 672,
    "next": "https://…/api/conversations/?page=2",
    "previous": None,
}


class Field(msgspec.Struct):
    """A field of an object, or a parameter; `inside` are the fields of the object that it holds."""

    name: str
    type: str
    required: bool
    note: Markup
    inside: list[Field] = []
    variants: list[tuple[str, list[Field]]] = []


class Answer(msgspec.Struct):
    """An answer by status."""

    status: str
    meaning: str
    good: bool
    fields: list[Field]
    sample: Markup | None


class Operation(msgspec.Struct):
    """One call."""

    id: str
    method: str
    path: str
    summary: str
    description: Markup
    path_parameters: list[Field]
    query_parameters: list[Field]
    bodies: list[tuple[str, list[Field]]]
    answers: list[Answer]
    curl: str


class Reference(msgspec.Struct):
    """The whole document."""

    title: str
    version: str
    description: Markup
    server: str
    groups: list[tuple[str, list[Operation]]]


def read(document: dict[str, Any]) -> Reference:
    """Make the page's parts of an OpenAPI 3.1 document.

    Example:
        >>> read({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {}}).groups
        []
    """
    return _Document(document).reference()


def _prose(text: str) -> Markup:
    """Markdown from a docstring: its lines are broken where the source is, not where the reader's page is."""
    return markdown(re.sub(r"(?<=\S)\n(?=[^\s\-*#|>])", " ", text))


class _Document:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._schemas: dict[str, Any] = document.get("components", {}).get("schemas", {})
        self._server = str((document.get("servers") or [{"url": ""}])[0]["url"]).rstrip("/")

    def reference(self) -> Reference:
        groups: dict[str, list[Operation]] = {}
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                groups.setdefault((operation.get("tags") or ["Other"])[0], []).append(
                    self._operation(path, method, operation)
                )
        info = self._document["info"]
        order = ["Writing", "Reading", "Managing"]
        for operations in groups.values():
            operations.sort(key=lambda each: _FIRST.index(each.path) if each.path in _FIRST else len(_FIRST))
        return Reference(
            info["title"],
            info["version"],
            _prose(info.get("description", "")),
            self._server,
            sorted(
                groups.items(), key=lambda group: order.index(group[0]) if group[0] in order else len(order)
            ),
        )

    def _operation(self, path: str, method: str, operation: dict[str, Any]) -> Operation:
        parameters: list[dict[str, Any]] = operation.get("parameters", [])
        contents: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
        return Operation(
            id=operation.get("operationId", f"{method}{path}").replace("/", "_"),
            method=method.upper(),
            path=path,
            summary=operation.get("summary", path),
            description=_prose(operation.get("description", "")),
            path_parameters=self._parameters(parameters, "path"),
            query_parameters=self._parameters(parameters, "query"),
            bodies=[(kind, self._fields(content["schema"])) for kind, content in contents.items()],
            answers=[
                self._answer(status, answer) for status, answer in sorted(operation["responses"].items())
            ],
            curl=self._curl(path, method, parameters, contents),
        )

    def _parameters(self, parameters: list[dict[str, Any]], place: str) -> list[Field]:
        return [
            Field(
                each["name"],
                self._type(each["schema"]),
                bool(each.get("required")),
                self._note(each["schema"], each.get("description", "")),
            )
            for each in parameters
            if each.get("in") == place
        ]

    def _answer(self, status: str, answer: dict[str, Any]) -> Answer:
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if schema and "anyOf" in schema:
            schema = schema["anyOf"][0]  # the fuller one; the other is an ingest key's
        good = status.startswith("2")
        return Answer(
            status,
            answer.get("description", ""),
            good,
            self._fields(schema) if schema and good else [],
            pretty(self._sample(schema)) if schema and good else None,
        )

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow references, and leave "or null" out: it is said beside the type."""
        while True:
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].rpartition("/")[2]]
                continue
            kinds = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
            if len(kinds) == 1 and len(schema["anyOf"]) > 1:
                schema = {**kinds[0], **({"default": schema["default"]} if "default" in schema else {})}
                continue
            return schema

    def _fields(self, schema: dict[str, Any], depth: int = 0) -> list[Field]:
        schema = self._resolve(schema)
        if schema.get("type") == "array":
            return self._fields(schema["items"], depth)
        if depth >= _DEPTH:
            return []
        required = set(schema.get("required", ()))
        made = []
        for name, each in schema.get("properties", {}).items():
            kinds = self._variants(each)
            made.append(
                Field(
                    name,
                    # What may be left out may be null, too; only an answer's null says something.
                    self._type(each) if "default" not in each else self._type(each).removesuffix(" or null"),
                    name in required,
                    self._note(each, each.get("description") or _MEANINGS.get(name, "")),
                    [] if kinds else self._fields(each, depth + 1),
                    [(kind, self._fields(inner, depth + 1)) for kind, inner in kinds],
                )
            )
        return made

    def _variants(self, schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The kinds of object that a list with a discriminator may hold."""
        inner = self._resolve(schema)
        if inner.get("type") == "array":
            inner = self._resolve(inner["items"])
        mapping = inner.get("discriminator", {}).get("mapping", {})
        return [(kind, {"$ref": target}) for kind, target in mapping.items()]

    def _type(self, schema: dict[str, Any]) -> str:
        optional = any(each.get("type") == "null" for each in schema.get("anyOf", ()))
        inner = self._resolve(schema)
        if "enum" in inner:
            text = " | ".join(json.dumps(each) for each in inner["enum"])
        elif inner.get("type") == "array":
            text = f"list of {self._type(inner['items'])}"
        elif "anyOf" in inner:
            shown = dict.fromkeys(self._type(each) for each in inner["anyOf"] if each.get("type") != "null")
            text = " or ".join(shown)
        else:
            known = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}
            text = known.get(
                str(inner.get("type")), "object" if inner.get("type") == "object" else "any JSON"
            )
            text = {"date-time": "time", "binary": "file"}.get(str(inner.get("format")), text)
        return f"{text} or null" if optional else text

    def _note(self, schema: dict[str, Any], text: str) -> Markup:
        inner = self._resolve(schema)
        parts = [text] if text else []
        if "maxLength" in inner:
            parts.append(f"at most {inner['maxLength']:,} characters")
        if "maxItems" in inner:
            parts.append(f"at most {inner['maxItems']:,}")
        if "minimum" in inner:
            parts.append(f"from {inner['minimum']:,}" if inner["minimum"] else "0 or more")
        if schema.get("default") not in (None, [], "", {}):
            parts.append(f"default `{json.dumps(schema['default'])}`")
        html = markdown("; ".join(parts)) if parts else Markup("")
        return Markup(str(html).removeprefix("<p>").removesuffix("\n").removesuffix("</p>"))  # noqa: S704

    def _sample(self, schema: dict[str, Any], name: str = "", depth: int = 0) -> Any:
        inner = self._resolve(schema)
        kind = inner.get("type")
        if "discriminator" in inner:
            inner = self._resolve({"$ref": next(iter(inner["discriminator"]["mapping"].values()))})
            kind = inner.get("type")
        if kind == "array":
            return [self._sample(inner["items"], name.rstrip("s"), depth + 1)] if depth < _DEPTH else []
        if inner.get("properties"):
            return (
                {key: self._sample(each, key, depth + 1) for key, each in inner["properties"].items()}
                if depth < _DEPTH
                else {}
            )
        if inner.get("enum"):
            sample = _SAMPLES.get(name)
            return sample if sample in inner["enum"] else inner["enum"][0]
        if name in _SAMPLES:
            return _SAMPLES[name]
        if "anyOf" in inner:
            return self._sample(inner["anyOf"][0], name, depth)
        return {"integer": 1, "number": 1.5, "boolean": False, "string": "…", "array": []}.get(str(kind), {})

    def _curl(
        self, path: str, method: str, parameters: list[dict[str, Any]], contents: dict[str, Any]
    ) -> str:
        address = self._server + path.replace("{number}", "12")
        wanted = {
            each["name"]: _SAMPLES.get(each["name"], 1)
            for each in parameters
            if each.get("in") == "query" and each.get("required")
        }
        if method == "get" and any(each["name"] == "page_size" for each in parameters):
            wanted = {"page_size": 10, "device": "mobile"}
        if wanted:
            address += "?" + urlencode(wanted)
        lines = [f"curl {shlex.quote(address)}" if "?" in address else f"curl {address}"]
        if method not in {"get", "post"} or (method == "post" and not contents):
            lines.append(f"-X {method.upper()}")
        lines.append('-H "Authorization: Api-Key ags_…"')
        if "application/json" in contents:
            body = self._call_sample(contents["application/json"]["schema"])
            text = json.dumps(body, indent=2, ensure_ascii=False).replace("'", "'\\''")
            lines += ['-H "Content-Type: application/json"', f"-d '{text}'"]
        return " \\\n  ".join(lines)

    def _call_sample(self, schema: dict[str, Any], depth: int = 0) -> Any:
        """A body as somebody would write it: what is required, and the few fields that everybody sends."""
        usual = {
            "conversation_id",
            "customer_id",
            "content",
            "sender",
            "items",
            "device",
            "duration_ms",
            "label",
        }
        inner = self._resolve(schema)
        if "discriminator" in inner:
            inner = self._resolve({"$ref": next(iter(inner["discriminator"]["mapping"].values()))})
        if inner.get("type") == "array":
            return [self._call_sample(inner["items"], depth + 1)]
        if not inner.get("properties") or depth >= _DEPTH:
            return self._sample(inner)
        required = set(inner.get("required", ()))
        body = {}
        for name, each in inner["properties"].items():
            if name in required or name in usual or (not required and name in {"name", "is_marked"}):
                deep = self._resolve(each)
                nested = deep.get("type") == "array" or deep.get("properties")
                body[name] = self._call_sample(each, depth + 1) if nested else self._sample(each, name)
        return body
