"""What a server says: status, headers and body, and the errors that they stand for."""

from __future__ import annotations

from agentsight.exceptions import (
    ConversationApiException,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

__all__ = ["Response", "cast_answer", "describe", "raise_for"]


DEEPEST = 8  # levels of an error that are told


class Response:
    """What the server said: status, headers (lower case) and body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """The decoded body.

        Raises:
            ConversationApiException: the body is not JSON.
        """
        import json

        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError):
            raise ConversationApiException(
                f"the answer is not JSON ({self.status}); is AGENTSIGHT_API_ENDPOINT the server's address?",
                self.status,
                self.body[:1000].decode("utf-8", "replace"),
            ) from None


def raise_for(answer: Response) -> NoReturn:
    """Raise what an answer that is no success stands for."""
    try:
        data = answer.json()
    except ConversationApiException as problem:
        data = problem.response_data
    said = describe(data) or f"HTTP {answer.status}"
    if answer.status == 401:
        raise UnauthorizedException(f"401: {said}", data)
    if answer.status == 403:
        raise ForbiddenException(f"403: {said}", data)
    if answer.status == 404:
        raise NotFoundException(f"404: {said}", data)
    if 300 <= answer.status < 400:
        target = answer.headers.get("location", "another address")
        raise ConversationApiException(
            f"{answer.status}: the server moved to {target}; set AGENTSIGHT_API_ENDPOINT", answer.status, data
        )
    raise ConversationApiException(f"{answer.status}: {said}", answer.status, data)


def describe(data: object, depth: int = 0) -> str:
    """The server's words for an error as one line."""
    if isinstance(data, str):
        return " ".join(data.split())[:200]
    if depth > DEEPEST:
        return "…"
    if isinstance(data, dict):
        if set(data) == {"detail"}:
            return describe(data["detail"], depth + 1)
        return "; ".join(f"{name}: {describe(value, depth + 1)}" for name, value in data.items())
    if isinstance(data, list):
        return ", ".join(describe(each, depth + 1) for each in data)
    return "" if data is None else str(data)


def cast_answer(answer: object) -> Any:
    """The object that the server answered; what is none has no keys."""
    return answer if isinstance(answer, dict) else {}
