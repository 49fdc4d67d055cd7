"""What is the same for everybody who asks: built once, kept as bytes, answered with a tag."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping

import msgspec
from litestar import Response

from agentsight_server.http.app_state import services_of
from agentsight_server.http.bodies import AnyRequest

_ON_THIS_MACHINE = ("127.0.0.1", "localhost", "[::1]")


class Piece(msgspec.Struct, frozen=True):
    """A body, the same compressed, and its tag."""

    body: bytes
    compressed: bytes
    tag: str


class Shelf:
    """Bodies that were built, by what they depend on; the keys are for the caller to keep few.

    Example:
        >>> shelf = Shelf()
        >>> shelf.get("greeting", lambda: b"hello").body
        b'hello'
    """

    def __init__(self) -> None:
        self._pieces: dict[object, Piece] = {}

    def get(self, key: object, build: Callable[[], bytes]) -> Piece:
        """The body of that key, built when it is asked for the first time."""
        piece = self._pieces.get(key)
        if piece is None:
            body = build()
            piece = Piece(body, gzip.compress(body, 6), f'"{hashlib.sha256(body).hexdigest()[:20]}"')
            self._pieces[key] = piece
        return piece


def known_address(request: AnyRequest) -> str:
    """The server's address for what is kept: its public one, or the one on this machine that the request came to.

    Empty where only the request says so: whoever writes the Host header is not to say what others read, nor how
    many copies are kept.
    """
    settings = services_of(request).settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    here = request.scope.get("server")
    given = str(request.base_url).rstrip("/")
    if here is None:
        return ""
    name, port = here
    shown = f"[{name}]" if ":" in name else name
    known = {f"http://{each}:{port}" for each in (*_ON_THIS_MACHINE, shown)}
    return given if given in known else ""


def answer(
    request: AnyRequest, piece: Piece, media_type: str, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """Answer with a kept body; 304 where the caller has it."""
    given = {"Cache-Control": "no-cache", **(headers or {}), "ETag": piece.tag}
    given["Vary"] = ", ".join(["Accept-Encoding", *filter(None, [given.get("Vary")])])
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if piece.tag in known:
        return Response(b"", status_code=304, media_type=media_type, headers=given)
    body = piece.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = piece.compressed
        given["Content-Encoding"] = "gzip"
    return Response(body, media_type=media_type, headers=given)
