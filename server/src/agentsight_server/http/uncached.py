"""The framework keeps the last thousand of whatever it has parsed: bodies of forms, cookies, addresses. Not here.

A password would lie in memory for hours, and strangers could fill it. `tests/server/test_bounds.py` fails when the
framework learns to keep more.
"""

from __future__ import annotations

import sys

from litestar import Litestar, _parsers
from litestar._asgi.routing_trie import traversal
from litestar.datastructures.url import URL

_FUNCTIONS = (
    _parsers.parse_url_encoded_form_data,
    _parsers.parse_query_string,
    _parsers.parse_cookie_string,
    traversal.parse_path_params,
)


def forget_requests(app: Litestar) -> None:
    """Let the framework keep nothing of a request once it is answered; for the whole process, but for the routing."""
    for module in [each for name, each in list(sys.modules.items()) if name.startswith("litestar")]:
        for name, value in list(vars(module).items()):
            if any(value is each for each in _FUNCTIONS):
                setattr(module, name, value.__wrapped__)
    for name in ("_new", "from_components"):
        kept = vars(URL)[name].__func__
        setattr(URL, name, classmethod(getattr(kept, "__wrapped__", kept)))
    app.asgi_router.handle_routing = app.asgi_router._handle_routing  # type: ignore[assignment]
