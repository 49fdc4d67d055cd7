"""The API reference, made from the document that the server itself gives out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Response, get

from agentsight.server.contract.documentation import document
from agentsight.server.contract.links import base_url
from agentsight.server.dashboard import api_reference
from agentsight.server.dashboard.pages.page import Reader, html, outside
from agentsight.server.requests import AnyRequest
from agentsight.server.security.access import Access


@lru_cache(maxsize=8)
def _reference(text: bytes) -> api_reference.Reference:
    return api_reference.read(msgspec.json.decode(text))


@get("/api/docs", opt={"access": Access.PUBLIC})
async def api_docs(request: AnyRequest) -> Response[str]:
    """Every call, its fields and an example; nothing is fetched from elsewhere."""
    routes: list[Any] = request.app.state.documented
    reference = _reference(msgspec.json.encode(document(routes, base_url(request))))
    context = outside(request) | {"reference": reference}
    viewer = request.state.viewer
    if viewer is not None and viewer.person is not None:
        context |= {"viewer": Reader.of(viewer)}
    return html("pages/api.html", context)


handlers = [api_docs]
