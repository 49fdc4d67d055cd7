"""Requests that are refused: a status, and what is wrong as data (domain/problems.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentsight_server.domain.problems import WHOLE, Code, Problem, sentences

_CODES = {
    404: Code.NOT_FOUND,
    405: Code.METHOD,
    408: Code.TOO_SLOW,
    409: Code.CONFLICT,
    413: Code.TOO_LARGE,
    415: Code.MEDIA_TYPE,
}


class RequestError(Exception):
    """A request that is answered with `status` and a JSON body that says why. `problems`: the same as data."""

    def __init__(
        self,
        status: int,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = dict(body)
        self.headers = dict(headers or {})
        self.problems = problems or (Problem("", _CODES.get(status, Code.OTHER)),)


class Invalid(RequestError):
    """400: the named fields hold what they cannot take.

    Example:
        >>> Invalid(Problem("name", Code.BLANK)).errors
        {'name': ['must not be blank']}
    """

    def __init__(self, *problems: Problem, status: int = 400) -> None:
        self.errors = sentences(problems)
        super().__init__(status, self.errors, problems=problems)


def refused(status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> RequestError:
    """A request that is refused as a whole: `{"detail": "…"}`.

    Example:
        >>> refused(413, Problem("", Code.TOO_LARGE)).body
        {'detail': 'the body is too large'}
    """
    return RequestError(status, {WHOLE: str(problem)}, headers, (problem,))


def malformed(code: Code, takes: str | int = "") -> RequestError:
    """400 for a body that cannot be read at all."""
    return refused(400, Problem("", code, takes))


def not_found(detail: str = "not found") -> RequestError:
    """404, also for what belongs to somebody else."""
    return RequestError(404, {WHOLE: detail}, problems=(Problem("", Code.NOT_FOUND, detail),))
