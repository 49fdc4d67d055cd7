"""Scripts, styles and fonts, as the build left them."""

from __future__ import annotations

import functools
import gzip
import json
import mimetypes

from litestar import Response, get
from litestar.params import FromPath

from agentsight_server.dashboard.pages.page import public_context, render_page
from agentsight_server.dashboard.rendering import STATIC, STATIC_URL, built_files, static
from agentsight_server.domain.errors import not_found
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access

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


@get("/away", opt={"access": Access.PUBLIC})
async def away(request: AnyRequest) -> Response[str]:
    """What a browser keeps for the time when the server does not answer; about nobody."""
    context = public_context(request) | {"theme": None}
    return render_page("pages/away.html", context)


@get("/sw.js", opt={"access": Access.PUBLIC})
async def service_worker(request: AnyRequest) -> Response[bytes]:
    """The script that shows the page above; it is asked for anew with each version of the files."""
    kept = [
        "/away",
        *(static(name) for name in ("dashboard.css", "app.js", "fonts/inter-latin-wght-normal.woff2")),
    ]
    content, _ = _load(static("sw.js").removeprefix(STATIC_URL))
    return Response(
        b"const FILES=" + json.dumps(kept).encode() + b";\n" + content,
        media_type="text/javascript",
        headers={"Cache-Control": "no-cache"},
    )


handlers = [asset, away, service_worker]
