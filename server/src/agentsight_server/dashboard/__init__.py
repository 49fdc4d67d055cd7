"""The pages that people see: server-rendered, every view a plain address."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.exceptions import HTTPException

from agentsight_server.dashboard.compression import compressed
from agentsight_server.dashboard.pages import (
    agent_settings,
    analytics,
    api_docs,
    assets,
    connect,
    conversations,
    erasing,
    keys,
    overview,
    sdk,
    security_log,
    session,
    transcript,
)
from agentsight_server.dashboard.pages.page import error_page, html_or_json
from agentsight_server.domain.errors import RequestError
from agentsight_server.http.bodies import FORM_BYTES
from agentsight_server.runtime import outages
from agentsight_server.store.writer import Overloaded

__all__ = ["handlers", "html_or_json"]

_pages = Router(
    path="/",
    request_max_body_size=FORM_BYTES,  # a page that takes more says so itself
    middleware=[compressed],
    route_handlers=[
        *session.handlers,
        *overview.handlers,
        *analytics.handlers,
        *conversations.handlers,
        *transcript.handlers,
        *connect.handlers,
        *keys.handlers,
        *agent_settings.handlers,
        *api_docs.handlers,
        *security_log.handlers,
        *sdk.handlers,
        *erasing.handlers,
    ],
    # Named one by one: the application's handlers for these answer programs, with JSON.
    exception_handlers=dict.fromkeys(
        (RequestError, HTTPException, Overloaded, *outages.KINDS, Exception), error_page
    ),
)
handlers: list[Any] = [_pages, *assets.handlers]
