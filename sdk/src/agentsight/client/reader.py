"""AgentSightAPI: reads conversations back."""

from __future__ import annotations

from agentsight.client.base import ApiClient
from agentsight.delivery.responses import cast_answer
from agentsight.exceptions import ConversationApiException, InvalidConversationDataException
from agentsight.items.choices import DEVICES, EVENTS, FEEDBACK_SOURCES, SENTIMENTS
from agentsight.items.validation import choice, timestamp, utc_text
from agentsight.items.validation import environment as check_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from typing_extensions import Unpack

    from agentsight.types import ConversationFiles, ConversationFilters, ConversationPage, ConversationRecord

__all__ = ["AgentSightAPI"]

CHOICES = {
    "device": DEVICES,
    "feedback_sentiment": SENTIMENTS,
    "feedback_source": FEEDBACK_SOURCES,
    "event": EVENTS,
}


class AgentSightAPI(ApiClient):
    """Reads conversations; every method is a request, and raises when it fails.

    Every method raises:
        NoApiKeyException: there is no key.
        InvalidConversationDataException: an argument is wrong; nothing was sent.
        NotFoundException: there is no such conversation.
        UnauthorizedException, ForbiddenException: the server refuses the key, or its role.
        ConversationApiException: the server answered with another error, such as 400 for an unknown filter.
        ConversationNetworkException: the server could not be reached.

    Example:
        >>> from agentsight import agentsight_api
        >>> agentsight_api.fetch_conversations(device="mobile", page_size=50)["count"]  # doctest: +SKIP
        412
    """

    _patient = True

    def fetch_conversations(
        self,
        /,
        page: int | None = None,
        page_size: int | None = None,
        *,
        ordering: str | None = None,
        full: bool | None = None,
        extra: Mapping[str, Any] | None = None,
        **filters: Unpack[ConversationFilters],
    ) -> ConversationPage:
        """Read a page of conversations, newest first, that pass all filters given.

        Args:
            page: from 1.
            page_size: at most 100; the server's default is 10.
            ordering: such as `started_at` or `-started_at`.
            full: False leaves messages and feedbacks out.
            extra: any other parameters that the server knows, for what this version does not. They may be given by
                name, too; type checkers refuse that, because it is a misspelling far more often.
            filters: see `agentsight.types.ConversationFilters`. Times are aware datetimes, or text that is passed as it
                is; metadata is a dict, or `"key:value,key2:value2"`.

        Returns:
            `{"count", "next", "previous", "results"}`.
        """
        given: dict[str, Any] = {
            "page": _number("page", page),
            "page_size": _number("page_size", page_size),
            "ordering": ordering,
            "full": full,
            **(extra or {}),
            **filters,
        }
        if given.get("environment") is not None:
            given["environment"] = check_environment(given["environment"])
        for field, names in CHOICES.items():
            if given.get(field) is not None:
                given[field] = choice(field, given[field], names)
        params = {field: _parameter(field, value) for field, value in given.items() if value is not None}
        answer: ConversationPage = self._get("/api/conversations/", params)
        return answer

    def fetch_conversation(self, conversation_id: str | int) -> ConversationRecord:
        """Read one conversation whole, by its text id or its integer database id.

        A very long one comes in several answers, and each has the time of a call of its own (`timeout`): a limit for
        all of it would make the longest ones unreadable.
        """
        answer: Any = self._get_one(conversation_id, "")
        for part in self._rest(answer, "messages", ""):
            answer["messages"] += part["messages"]
            answer["feedbacks"] += part.get("feedbacks", [])
        found: ConversationRecord = answer
        return found

    def fetch_conversation_attachments(self, conversation_id: str | int) -> ConversationFiles:
        """Read which files a conversation has, by message; each `file_url` works for a limited time."""
        answer: Any = self._get_one(conversation_id, "attachments/")
        for part in self._rest(answer, "attachments", "attachments/"):
            _join_files(answer["messages"], part["messages"])
        found: ConversationFiles = answer
        return found

    def _rest(self, answer: Any, of: str, what: str) -> Iterator[Any]:
        """The further parts of an answer that names the address of the next one; none is named in it any more.

        Raises:
            ConversationApiException: they lead nowhere.
        """
        following = answer.pop(f"{of}_next", None)
        seen = set()
        while following:
            from urllib.parse import parse_qsl, urlsplit  # seldom needed, and imported for nothing else

            seen.add(following)
            number = answer["id"] if "id" in answer else answer["conversation"]
            asked = dict(parse_qsl(urlsplit(following).query))
            part = self._get(f"/api/conversations/{number}/{what}", asked, self._transport.deadline())
            following = part.get(f"{of}_next")
            if following in seen or "messages" not in part:
                raise ConversationApiException(
                    "the answer does not go on where the one before ended", 200, part
                )
            yield part

    def _get_one(self, conversation_id: str | int, what: str) -> Any:
        deadline = self._transport.deadline()
        number = self._number(conversation_id, deadline)
        return self._get(f"/api/conversations/{number}/{what}", deadline=deadline)

    def _get(self, path: str, params: dict[str, str] | None = None, deadline: float | None = None) -> Any:
        return cast_answer(self._transport.call("GET", path, params=params, deadline=deadline))


def _join_files(messages: list[Any], further: list[Any]) -> None:
    """Files of one message may lie in two answers."""
    by_id = {each["message_id"]: each for each in messages}
    for each in further:
        if each["message_id"] in by_id:
            by_id[each["message_id"]]["attachments"] += each["attachments"]
        else:
            messages.append(each)


def _number(name: str, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise InvalidConversationDataException(f"{name} takes a whole number from 1, not {value!r:.60}")


def _parameter(name: str, value: Any) -> str:
    """A value as the text of a query parameter."""
    if name == "metadata" and isinstance(value, dict):
        return _pairs(value)
    if name.endswith("__in") and isinstance(value, (list, tuple)):
        if any(not isinstance(each, str) or "," in each for each in value):
            raise InvalidConversationDataException(f"{name} takes names without commas")
        return ",".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    value = getattr(value, "value", value)
    if hasattr(value, "utcoffset"):
        return utc_text(timestamp(name, value))
    if isinstance(value, (str, int, float)):
        return str(value)
    if hasattr(value, "isoformat"):  # a day
        return str(value.isoformat())
    raise InvalidConversationDataException(
        f"{name} takes text, a number or a flag, not {type(value).__name__}"
    )


def _pairs(metadata: dict[str, Any]) -> str:
    pairs = []
    for key, value in metadata.items():
        shown = _parameter("metadata", value)
        if "," in f"{key}{shown}" or ":" in str(key):
            raise InvalidConversationDataException("metadata: keys and values must not contain commas")
        pairs.append(f"{key}:{shown}")
    return ",".join(pairs)
