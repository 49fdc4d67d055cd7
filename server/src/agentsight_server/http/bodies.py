"""Reading request bodies: size, encoding and type are checked before anything is decoded.

What takes long because a body is large is done in a thread of its own, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import codecs
import contextvars
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from litestar.connection import Request
from litestar.datastructures import FormMultiDict
from litestar.exceptions import ClientException
from litestar.types import Empty

from agentsight_server.domain.errors import RequestError, malformed, refused
from agentsight_server.domain.problems import Code, Problem

AnyRequest = Request[Any, Any, Any]
# In a request's scope: a function that counts bytes which the request keeps in memory, see http/limits.py.
HOLD = "agentsight.hold"
LARGE = 256 * 1024
"""Bytes from which on a body is inflated, decoded and judged in a thread."""

FORM_BYTES = 64 * 1024
FORM_FIELDS = 200
FORM_PARTS = 100
"""Parts of a multipart form."""
GZIP_MEMBERS = 16
GZIP_RATIO = 50
GZIP_FREE = 4 * 1024 * 1024
"""What even the smallest body may inflate to, in bytes; a larger body is at most GZIP_RATIO times its gzip."""

_PIECE = 256 * 1024
_GZIP_PIECE = 64 * 1024
_MADE_AT_ONCE = 1024 * 1024  # before it is looked at whether this is still a body
_RATIO = 8  # of JSON to its gzip, roughly

T = TypeVar("T")
# One thread: it shares the interpreter with the event loop, and each further one would make the loop wait for its
# turn that much longer.
_large_bodies = ThreadPoolExecutor(1, thread_name_prefix="agentsight-large")


async def run_in_thread_if_large(size: int, work: Callable[[], T]) -> T:
    """Do work on that many bytes: at once when they are few, else in a thread, one large body at a time.

    Example:
        >>> batch = await run_in_thread_if_large(len(body), lambda: decoder.decode(body))
    """
    if size < LARGE:
        return work()
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(_large_bodies, lambda: context.run(work))


async def json_body(request: AnyRequest, limit: int) -> bytes:
    """The request's JSON text, inflated.

    Args:
        limit: bytes that it may have, before and after decompression.

    Raises:
        RequestError: 413 too large, 415 not JSON or an unknown encoding, 400 broken compression or not UTF-8.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise refused(415, Problem("", Code.MEDIA_TYPE, given=kind))
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"gzip", "x-gzip", "identity", ""}:
        wrong = Problem("", Code.ENCODING, "Content-Encoding takes gzip or nothing", encoding)
        raise refused(415, wrong, {"Accept-Encoding": "gzip"})
    body = await raw_body(request, limit)
    if encoding in {"gzip", "x-gzip"}:
        packed = body
        body = await run_in_thread_if_large(len(packed) * _RATIO, lambda: inflate(packed, limit))
        hold = request.scope.get(HOLD)
        if callable(hold):
            hold(len(body))  # a small body may have become a large one
    if not body.isascii():
        await run_in_thread_if_large(len(body), lambda: _check_utf8(body))
    return body


def _check_utf8(body: bytes) -> None:
    """Decoders look only at the fields that they know."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(body)
    # In pieces: decoded as a whole it may take four times its size, and nobody else gets a turn meanwhile.
    for start in range(0, len(body), _PIECE):
        last = start + _PIECE >= len(body)
        try:
            decoder.decode(view[start : start + _PIECE], last)
        except UnicodeDecodeError:
            raise malformed(Code.NOT_UTF8, max(0, start - 3)) from None


async def raw_body(request: AnyRequest, limit: int) -> bytes:
    """The request's bytes as they came.

    Raises:
        RequestError: 413 too large, also when the length is only claimed; 400 when they end early.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > limit:
                raise too_large(limit)
            chunks.append(chunk)
    except ClientException as error:
        raise RequestError(error.status_code, {"detail": error.detail}) from None
    return b"".join(chunks)


def too_large(limit: int) -> RequestError:
    """413 that says what the limit is."""
    return refused(
        413,
        Problem("", Code.TOO_LARGE, f"the body may have at most {limit:,} bytes, also when decompressed"),
    )


def inflate(body: bytes, limit: int) -> bytes:
    """Decompress gzip, never making more than `limit` bytes.

    Raises:
        RequestError: 413 over the limit, or so much larger than what came that it can only be meant to be; 400 when
            it is not gzip, is cut off, or has more parts than anybody makes.
    """
    parts: list[bytes] = []
    made = members = 0
    stream = None
    view = memoryview(body)
    try:
        # In pieces: what is left after a member is copied, and must not be all the rest each time.
        for start in range(0, len(body), _GZIP_PIECE):
            piece: bytes | memoryview = view[start : start + _GZIP_PIECE]
            while piece:
                if stream is None:
                    members += 1
                    if members > GZIP_MEMBERS:
                        raise malformed(Code.ENCODING, f"the gzip body has more than {GZIP_MEMBERS} members")
                    stream = zlib.decompressobj(31)
                part = stream.decompress(piece, min(limit + 1 - made, _MADE_AT_ONCE))
                made += len(part)
                if made > limit:
                    raise too_large(limit)
                if made > GZIP_FREE and made > GZIP_RATIO * min(len(body), start + _GZIP_PIECE):
                    raise refused(
                        413, Problem("", Code.TOO_LARGE, f"the body is more than {GZIP_RATIO} times its gzip")
                    )
                parts.append(part)
                piece = stream.unconsumed_tail
                if stream.eof:
                    piece, stream = stream.unused_data, None
    except zlib.error:
        raise malformed(Code.ENCODING) from None
    if stream is not None:
        raise malformed(Code.CUT_OFF, "the gzip body is cut off")
    return b"".join(parts)


class BoundedRequest(Request[Any, Any, Any]):
    """The framework's request, whose forms have bounds. Each route sets its own limit for files."""

    async def form(self) -> FormMultiDict:
        """The form's fields.

        Raises:
            RequestError: 413 larger than FORM_BYTES, 400 more fields than FORM_FIELDS.
        """
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self._form is Empty and kind == "application/x-www-form-urlencoded":
            state = self._connection_state
            if state.form is Empty:
                state.form = _fields(await raw_body(self, FORM_BYTES))
            self._form = FormMultiDict.from_form_data(state.form)
        return await super().form()


def _fields(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=FORM_FIELDS)
    except ValueError:
        raise malformed(Code.TOO_MANY, f"{FORM_FIELDS} fields in a form") from None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}
