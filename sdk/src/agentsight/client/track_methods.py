"""The `track_*` methods, shared by the tracker and by the handle of one conversation."""

from __future__ import annotations

from time import time_ns

from agentsight.client.stream_method import Streaming
from agentsight.client.track_other import OtherTracking, json_weight
from agentsight.exceptions import (
    InvalidAnswerDataException,
    InvalidConversationDataException,
    InvalidQuestionDataException,
)
from agentsight.items import kinds
from agentsight.items.kinds import ANSWER, LIGHT, QUESTION
from agentsight.items.validation import (
    CONTENT_LENGTH,
    MOST_MILLISECONDS,
    NAME_LENGTH,
    happened,
    message_name,
    optional_text,
    small_dict,
    small_text,
    text,
    utc_text,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Any, overload

    from agentsight.items.validation import Json
    from agentsight.types import Attachment, AttachmentModeName

__all__ = ["Tracking"]

_WRONG = {QUESTION: InvalidQuestionDataException, ANSWER: InvalidAnswerDataException}


class Tracking(Streaming, OtherTracking):
    """Methods that track something. Each checks its arguments, takes the time and remembers; none does I/O.

    Where `strict` is on (by default in development), every one raises `InvalidConversationDataException` (or a
    subclass, as named) when an argument is wrong; nothing is stored then. Otherwise none of them raises: what is
    wrong is shortened, cleaned or left out, and the rest is tracked.

    Values in `metadata`, `tools_used` and `response` are what fits JSON, and datetimes, Decimals, UUIDs, enum
    members, sets, tuples, dataclasses and Pydantic models, which are converted; they are captured at the call, so
    that changing them later changes nothing.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # one of the two spellings has to be there

        @overload
        def track_human_message(
            self,
            message: str | None,
            attachments: Sequence[Attachment] | None = None,
            attachment_mode: AttachmentModeName = "base64",
            metadata: dict[str, Any] | None = None,
            conversation_id: str | None = None,
            *,
            message_id: str | None = None,
        ) -> None: ...
        @overload
        def track_human_message(
            self,
            *,
            question: str | None,
            attachments: Sequence[Attachment] | None = None,
            attachment_mode: AttachmentModeName = "base64",
            metadata: dict[str, Any] | None = None,
            conversation_id: str | None = None,
            message_id: str | None = None,
        ) -> None: ...

    def track_human_message(
        self,
        message: str | None = None,
        attachments: Sequence[Attachment] | None = None,
        attachment_mode: AttachmentModeName = "base64",
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
        *,
        question: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Track what the end user wrote.

        Args:
            message: text, not blank, at most 1,048,576 characters.
            attachments: files that belong to it, as in `track_attachments`.
            attachment_mode: `base64` or `form_data`.
            metadata: anything that fits JSON.
            conversation_id: default: the current conversation.
            question: the older name of `message`.
            message_id: the message's name, from `helpers.generate_message_id()`, for `feedback` about it.

        Raises:
            InvalidQuestionDataException: the message is no text or blank.
            InvalidAttachmentException: an attachment is wrong.

        Example:
            >>> conversation_tracker.track_human_message("Where is my order?")  # doctest: +SKIP
        """
        try:
            if question is None and attachments is None and message_id is None:
                self._plain_message(QUESTION, message, metadata, conversation_id)
                return
            if question is not None:
                message = _either("message", message, "question", question, InvalidQuestionDataException)
            self._message(
                QUESTION, message, attachments, attachment_mode, metadata, conversation_id, message_id
            )
        except Exception as error:
            if not self._mended(error, "track_human_message", locals()):
                raise

    if TYPE_CHECKING:  # one of the two spellings has to be there

        @overload
        def track_agent_message(
            self,
            message: str | None,
            attachments: Sequence[Attachment] | None = None,
            attachment_mode: AttachmentModeName = "base64",
            metadata: dict[str, Any] | None = None,
            conversation_id: str | None = None,
            *,
            message_id: str | None = None,
        ) -> None: ...
        @overload
        def track_agent_message(
            self,
            *,
            answer: str | None,
            attachments: Sequence[Attachment] | None = None,
            attachment_mode: AttachmentModeName = "base64",
            metadata: dict[str, Any] | None = None,
            conversation_id: str | None = None,
            message_id: str | None = None,
        ) -> None: ...

    def track_agent_message(
        self,
        message: str | None = None,
        attachments: Sequence[Attachment] | None = None,
        attachment_mode: AttachmentModeName = "base64",
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
        *,
        answer: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Track what the agent answered; arguments as in `track_human_message`.

        Args:
            answer: the older name of `message`.

        Raises:
            InvalidAnswerDataException: the message is no text or blank.
            InvalidAttachmentException: an attachment is wrong.

        Example:
            >>> conversation_tracker.track_agent_message("It is on its way.")  # doctest: +SKIP
        """
        try:
            if answer is None and attachments is None and message_id is None:
                self._plain_message(ANSWER, message, metadata, conversation_id)
                return
            if answer is not None:
                message = _either("message", message, "answer", answer, InvalidAnswerDataException)
            self._message(
                ANSWER, message, attachments, attachment_mode, metadata, conversation_id, message_id
            )
        except Exception as error:
            if not self._mended(error, "track_agent_message", locals()):
                raise

    def _plain_message(
        self, kind: int, content: str | None, metadata: dict[str, Any] | None, conversation_id: str | None
    ) -> None:
        """Track what most calls give, with no call that it does not need."""
        if (
            type(content) is str
            and content
            and len(content) <= LIGHT
            and content.isascii()
            and not content.isspace()
            and "\0" not in content
        ):
            now = time_ns()
            extra = None if metadata is None else small_dict("metadata", metadata)
            if type(extra) is not str:
                pending = self._pending_for(conversation_id)
                pending.asked_ns = now if kind == QUESTION else 0
                pending.put((kind, now, 0, content, extra, None, None))  # as kinds.message, without the call
                return
        self._message(kind, content, metadata=metadata, conversation_id=conversation_id)

    def _message(
        self,
        kind: int,
        content: str | None,
        attachments: Sequence[Attachment] | None = None,
        mode: AttachmentModeName = "base64",
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
        message_id: str | None = None,
        now: int | None = None,
    ) -> None:
        said = text("message", content, CONTENT_LENGTH, _WRONG[kind])
        if now is None:
            now = time_ns()
        extra = small_dict("metadata", metadata)
        name = None if message_id is None else message_name("message_id", message_id)
        files, weight = None, len(said) + json_weight(extra)
        if attachments is not None and len(attachments):
            from agentsight.items.attachments import check_attachments

            files, size = check_attachments(attachments, mode)  # last, because it reads files
            weight += size
        pending = self._pending_for(conversation_id)
        pending.asked_ns = now if kind == QUESTION else 0
        pending.put(kinds.message(kind, now, weight, said, extra, files, name))

    def track_action(
        self,
        action_name: str,
        started_at: datetime | str | None = None,
        ended_at: datetime | str | None = None,
        duration_ms: int | None = None,
        tools_used: Any = None,
        response: Any = None,
        error_msg: str | BaseException | None = None,
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
    ) -> None:
        """Track something that the agent did: a tool call, a hand-over, an opened ticket.

        Args:
            action_name: text, not blank, at most 255 characters.
            started_at, ended_at: ISO 8601 text (UTC where it has no offset) or aware datetimes.
            duration_ms: whole milliseconds, 0 or more, at most 366 days.
            tools_used: the arguments, or whatever tells what was used; anything that fits JSON.
            response: what came back; text or anything that fits JSON.
            error_msg: what went wrong, as text or as the exception.
            metadata: a dict of anything that fits JSON.
            conversation_id: default: the current conversation.

        Example:
            >>> conversation_tracker.track_action("check_order", duration_ms=120)  # doctest: +SKIP
        """
        try:
            now = time_ns()
            name = action_name
            if not (
                type(name) is str
                and name
                and len(name) <= NAME_LENGTH
                and name.isascii()
                and not name.isspace()
                and "\0" not in name
            ):  # what most calls give needs no further look, nor a call; so it is below
                name = text("action_name", name, NAME_LENGTH)
            started = ended = problem = None
            tools: Json | None = None
            answer: Json | None = None
            extra: Json | None = None
            if started_at is not None or ended_at is not None:
                started, ended = _span(started_at, ended_at)
            if duration_ms is not None and not (
                type(duration_ms) is int and 0 <= duration_ms <= MOST_MILLISECONDS
            ):
                duration_ms = whole("duration_ms", duration_ms, MOST_MILLISECONDS)
            weight = 0
            if tools_used is not None:
                if type(tools_used) is dict and tools_used:
                    tools = small_dict("tools_used", tools_used)
                else:
                    tools = small_text("tools_used", tools_used)
                if type(tools) is str:
                    weight += len(tools)
            if response is not None:
                if (
                    type(response) is str
                    and len(response) <= LIGHT
                    and response.isascii()
                    and "\0" not in response
                ):
                    answer = (response,)
                else:
                    answer = small_text("response", response)
                    weight += json_weight(answer)
            if error_msg is not None:
                if isinstance(error_msg, BaseException):
                    error_msg = f"{type(error_msg).__name__}: {error_msg}"
                problem = optional_text("error_msg", error_msg, CONTENT_LENGTH)
                weight += len(problem or "")
            if metadata is not None:
                extra = small_dict("metadata", metadata)
                weight += json_weight(extra)
            self._pending_for(conversation_id).put(
                kinds.action(now, weight, name, started, ended, duration_ms, tools, answer, problem, extra)
            )
        except Exception as error:
            if not self._mended(error, "track_action", locals()):
                raise


def _either(name: str, value: str | None, older_name: str, older: str, error: type[Exception]) -> str:
    if value is not None:
        raise error(f"{older_name} is the older name of {name}: give one of them")
    return older


def _span(started_at: object, ended_at: object) -> tuple[str | None, str | None]:
    started = None if started_at is None else happened("started_at", started_at)
    ended = None if ended_at is None else happened("ended_at", ended_at)
    if started is not None and ended is not None and ended < started:
        raise InvalidConversationDataException("ended_at must not be before started_at")
    return (
        None if started is None else utc_text(started),
        None if ended is None else utc_text(ended),
    )
