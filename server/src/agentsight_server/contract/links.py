"""The server's address as callers see it, and signed addresses below it."""

from __future__ import annotations

from agentsight_server.contract.response_schemas import FileLinks
from agentsight_server.http.app_state import services_of
from agentsight_server.http.bodies import AnyRequest


def base_url(request: AnyRequest) -> str:
    """The address under which this request reached the server, without a slash at the end."""
    settings = services_of(request).settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    return str(request.base_url).rstrip("/")


def file_links(request: AnyRequest) -> FileLinks:
    """Makes addresses of attachments for the caller of this request."""
    services = services_of(request)
    return FileLinks(services.signer, base_url(request), services.settings.file_link_seconds)
