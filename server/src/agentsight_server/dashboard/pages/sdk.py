"""The SDK, handed out by the server that it fits: a page with the line to type, and the wheel."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from agentsight_server.contract.handout import install_line, requirement_line, wheel
from agentsight_server.contract.links import base_url
from agentsight_server.dashboard.pages.page import public_context, render_page
from agentsight_server.domain.errors import not_found
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access

_PUBLIC: dict[str, Any] = {"access": Access.PUBLIC}


@get("/sdk", opt=_PUBLIC)
async def sdk_page(request: AnyRequest) -> Response[str]:
    """How to install it."""
    base, there = base_url(request), wheel()
    context = public_context(request) | {
        "install": install_line(base),
        "requirement": requirement_line(base),
        "wheel": there.name if there is not None else None,
    }
    return render_page("pages/sdk.html", context)


@get("/sdk/{name:str}", opt=_PUBLIC)
async def sdk_wheel(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """The wheel. Pure Python, for every system; its name carries the version."""
    there = wheel()
    if there is None or name != there.name:
        raise not_found("there is no such file: the page /sdk/ names the one that fits this server")
    return Response(
        there.read_bytes(),
        media_type="application/octet-stream",
        headers={
            "Cache-Control": "public, max-age=3600",
            "Content-Disposition": f'attachment; filename="{there.name}"',
        },
    )


handlers = [sdk_page, sdk_wheel]
