"""What every resource reads of a request's query: its parameters, and whether deleted conversations are asked for."""

from __future__ import annotations

from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.domain.filter_reading import collect
from agentsight_server.domain.parameters import Unfit, flag
from agentsight_server.http.app_state import actor_of
from agentsight_server.http.bodies import AnyRequest


def parameters(request: AnyRequest) -> dict[str, str]:
    """The query parameters; one that takes several values may be given several times.

    Raises:
        Invalid: one that takes a single value is given twice.
    """
    given, twice = collect((name, str(value)) for name, value in request.query_params.multi_items())
    if twice:
        raise Invalid(*twice)
    return given


def include_deleted(request: AnyRequest, given: dict[str, str]) -> bool:
    """Whether the caller asks for what is deleted, too.

    Raises:
        Invalid: the value is neither true nor false.
        RequestError: 403, the caller is nobody to whom it is shown.
    """
    try:
        wanted = flag(given.get("include_deleted") or "false")
    except Unfit as unfit:
        raise Invalid(unfit.of("include_deleted")) from None
    return may_include_deleted(request, wanted)


def may_include_deleted(request: AnyRequest, wanted: bool) -> bool:
    """`wanted`, where the caller may see what is deleted.

    Raises:
        RequestError: 403, the caller is nobody to whom it is shown.
    """
    if wanted and not actor_of(request).manages:
        raise RequestError(
            403, {"detail": "include_deleted takes a key with the role write, or a signed-in owner"}
        )
    return wanted
