"""Answers in JSON, whoever gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response
from litestar.status_codes import HTTP_200_OK

PRIVATE = {"Cache-Control": "no-store"}
"""Headers of an answer that nobody may keep: a secret, or what holds for this moment alone."""


def answer_json(
    answer: Any, status: int = HTTP_200_OK, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    """An answer in JSON; `answer` is whatever msgspec encodes.

    Example:
        >>> answer_json({"id": 7}, 201).status_code
        201
    """
    return Response(
        msgspec.json.encode(answer), status_code=status, media_type="application/json", headers=headers
    )
