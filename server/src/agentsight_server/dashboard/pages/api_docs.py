"""The API reference, made from the document that the server itself gives out."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from agentsight_server.contract.documentation import document
from agentsight_server.contract.published import Shelf, answer, known_address
from agentsight_server.dashboard import api_reference
from agentsight_server.dashboard.pages.page import HEADERS, SignedIn, public_context
from agentsight_server.dashboard.rendering import render
from agentsight_server.domain import locales
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.security.access import Access

# Stands in the examples where the server does not know what it is called.
_SOMEWHERE = "https://your-server"


@get("/api/docs", opt={"access": Access.PUBLIC})
async def api_docs(request: AnyRequest) -> Response[bytes]:
    """Every call, its fields and an example; nothing is fetched from elsewhere."""
    address = known_address(request)
    context = public_context(request)
    actor = request.state.actor
    if actor is not None and actor.person is not None:
        context |= {"signed_in": SignedIn.of(actor)}
    shelf: Shelf = request.app.state.shelf

    def build() -> bytes:
        locales.CURRENT.set(locales.ENGLISH)  # it is kept for everybody, whoever asked first
        routes: list[Any] = request.app.state.documented
        reference = api_reference.read(document(routes, address or _SOMEWHERE))
        return render("pages/api.html", **context, reference=reference).encode()

    # The page says nothing of who reads it but whether they are signed in.
    piece = shelf.get(("reference", address, context["theme"], context["signed_in"] is not None), build)
    return answer(request, piece, "text/html", HEADERS)


handlers = [api_docs]
