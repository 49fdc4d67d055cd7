"""The SDK knows the filters that the server has: a filter that is new there is missed here the same day."""

from __future__ import annotations

from agentsight.client.reader import CHOICES
from agentsight.items.choices import ENVIRONMENTS
from agentsight.types import ConversationFilters
from agentsight_server.domain.filters import OF_API


def test_the_sdk_takes_every_filter_of_the_api() -> None:
    assert sorted(ConversationFilters.__annotations__) == sorted(one.name for one in OF_API)


def test_the_sdk_takes_the_same_words() -> None:
    chosen = {one.name: one.choices for one in OF_API if one.choices}
    assert {**CHOICES, "environment": tuple(dict.fromkeys(ENVIRONMENTS.values()))} == chosen
