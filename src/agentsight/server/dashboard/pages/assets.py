"""Scripts, styles and fonts, as the build left them."""

from __future__ import annotations

import functools
import gzip
import mimetypes

from litestar import Response, get
from litestar.params import FromPath

from agentsight.server.dashboard.rendering import STATIC, built_files
from agentsight.server.errors import not_found
from agentsight.server.requests import AnyRequest
from agentsight.server.security.access import Access

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
}
_COMPRESSED = (".js", ".css", ".svg", ".json")


@functools.lru_cache(maxsize=64)
def _load(name: str) -> tuple[bytes, bytes | None]:
    """The file's bytes, and the same compressed where that helps."""
    content = (STATIC / name).read_bytes()
    return content, gzip.compress(content, 9) if name.endswith(_COMPRESSED) else None


@get("/static/{name:path}", opt={"access": Access.PUBLIC})
async def asset(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """A built file. Its name carries a hash of its content: what a browser has, it may keep for ever."""
    plain = name.lstrip("/")
    if plain not in built_files():
        raise not_found()
    content, compressed = _load(plain)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content = compressed
        headers["Content-Encoding"] = "gzip"
    ending = "." + plain.rpartition(".")[2]
    kind = _TYPES.get(ending) or mimetypes.guess_type(plain)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers=headers)


handlers = [asset]
