"""The `track_*` methods, shared by the tracker and by the handle of one conversation."""

from __future__ import annotations

from time import time_ns

from agentsight.exceptions import (
    InvalidAnswerDataException,
    InvalidConversationDataException,
    InvalidQuestionDataException,
)
from agentsight.validation import (
    CONTENT_LENGTH,
    LABEL_LENGTH,
    LARGEST_INTEGER,
    NAME_LENGTH,
    choice,
    optional_text,
    small_dict,
    small_text,
    text,
    timestamp,
    utc_text,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Any

    from agentsight.enums import AttachmentMode, Sender
    from agentsight.lane import Lane
    from agentsight.validation import Json

__all__ = ["Tracking"]

QUESTION, ANSWER, ACTION, BUTTON, ATTACHMENTS, TOKEN_USAGE = range(
    6
)  # as in wire, which is loaded when sending
COUNTS = 100  # token counts that are kept before they are added up
LIGHT = 1024  # bytes; what is heavier is counted against the outbox's bound on bytes


class Tracking:
    """Methods that track something. Each checks its arguments, takes the time and remembers; none does I/O.

    Every one raises `InvalidConversationDataException` (or a subclass, as named) when an argument is wrong;
    nothing is stored then. Values in `metadata`, `tools_used` and `response` are what fits JSON, and datetimes,
    Decimals, UUIDs, enum members, sets, tuples, dataclasses and Pydantic models, which are converted; they are
    captured at the call, so that changing them later changes nothing.
    """

    __slots__ = ()

    def _lane(self, conversation_id: str | None) -> Lane:
        raise NotImplementedError

    def track_human_message(
        self,
        message: str | None = None,
        attachments: Sequence[dict[str, Any]] | None = None,
        attachment_mode: AttachmentMode | str = "base64",
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
        *,
        question: str | None = None,
    ) -> None:
        """Track what the end user wrote.

        Args:
            message: text, not blank, at most 1,048,576 characters.
            attachments: files that belong to it, as in `track_attachments`.
            attachment_mode: `base64` or `form_data`.
            metadata: anything that fits JSON.
            conversation_id: default: the current conversation.
            question: the older name of `message`.

        Raises:
            InvalidQuestionDataException: the message is no text or blank.
            InvalidAttachmentException: an attachment is wrong.

        Example:
            >>> conversation_tracker.track_human_message("Where is my order?")  # doctest: +SKIP
        """
        if (
            type(message) is str
            and 0 < len(message) <= LIGHT
            and message.isascii()
            and not message.isspace()
            and "\0" not in message
            and attachments is None
            and question is None
        ):  # what most calls give, checked without a call
            now = time_ns()
            if metadata is None:
                self._lane(conversation_id).put((QUESTION, now, 0, message, None, None))
                return
            extra = small_dict("metadata", metadata)
            weight = len(extra) if type(extra) is str and len(extra) > LIGHT else 0
            self._lane(conversation_id).put((QUESTION, now, weight, message, extra, None))
            return
        if question is not None:
            message = _either("message", message, "question", question, InvalidQuestionDataException)
        content = text("message", message, CONTENT_LENGTH, InvalidQuestionDataException)
        self._message(QUESTION, content, attachments, attachment_mode, metadata, conversation_id)

    def track_agent_message(
        self,
        message: str | None = None,
        attachments: Sequence[dict[str, Any]] | None = None,
        attachment_mode: AttachmentMode | str = "base64",
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
        *,
        answer: str | None = None,
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
        if (
            type(message) is str
            and 0 < len(message) <= LIGHT
            and message.isascii()
            and not message.isspace()
            and "\0" not in message
            and attachments is None
            and answer is None
        ):  # what most calls give, checked without a call
            now = time_ns()
            if metadata is None:
                self._lane(conversation_id).put((ANSWER, now, 0, message, None, None))
                return
            extra = small_dict("metadata", metadata)
            weight = len(extra) if type(extra) is str and len(extra) > LIGHT else 0
            self._lane(conversation_id).put((ANSWER, now, weight, message, extra, None))
            return
        if answer is not None:
            message = _either("message", message, "answer", answer, InvalidAnswerDataException)
        content = text("message", message, CONTENT_LENGTH, InvalidAnswerDataException)
        self._message(ANSWER, content, attachments, attachment_mode, metadata, conversation_id)

    def _message(
        self,
        kind: int,
        content: str,
        attachments: Sequence[dict[str, Any]] | None,
        mode: AttachmentMode | str,
        metadata: dict[str, Any] | None,
        conversation_id: str | None,
    ) -> None:
        now = time_ns()
        files, weight = None, len(content)
        if attachments is not None and len(attachments):
            from agentsight.attachments import check_attachments

            files, size = check_attachments(attachments, mode)
            weight += size
        extra = small_dict("metadata", metadata)
        weight += heavy(extra)
        self._lane(conversation_id).put((kind, now, weight if weight > LIGHT else 0, content, extra, files))

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
            duration_ms: whole milliseconds, 0 or more.
            tools_used: the arguments, or whatever tells what was used; anything that fits JSON.
            response: what came back; text or anything that fits JSON.
            error_msg: what went wrong, as text or as the exception.
            metadata: a dict of anything that fits JSON.
            conversation_id: default: the current conversation.

        Example:
            >>> conversation_tracker.track_action("check_order", duration_ms=120)  # doctest: +SKIP
        """
        now = time_ns()
        name = action_name
        if not (
            type(name) is str
            and 0 < len(name) <= NAME_LENGTH
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
        if duration_ms is not None and not (type(duration_ms) is int and 0 <= duration_ms <= LARGEST_INTEGER):
            duration_ms = whole("duration_ms", duration_ms)
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
                weight += heavy(answer)
        if error_msg is not None:
            if isinstance(error_msg, BaseException):
                error_msg = f"{type(error_msg).__name__}: {error_msg}"
            problem = optional_text("error_msg", error_msg, CONTENT_LENGTH)
            weight += len(problem or "")
        if metadata is not None:
            extra = small_dict("metadata", metadata)
            weight += heavy(extra)
        self._lane(conversation_id).put(
            (
                ACTION,
                now,
                weight if weight > LIGHT else 0,
                name,
                started,
                ended,
                duration_ms,
                tools,
                answer,
                problem,
                extra,
            )
        )

    def track_button(
        self,
        button_event: str,
        label: str,
        value: str,
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
    ) -> None:
        """Track a click of the end user.

        Args:
            button_event: what the choice is about, at most 255 characters.
            label: what the button said, at most 2,000 characters.
            value: what it stands for, at most 2,000 characters.
            metadata: a dict of anything that fits JSON.
            conversation_id: default: the current conversation.

        Example:
            >>> conversation_tracker.track_button("after_chat", "Yes, thanks", "yes")  # doctest: +SKIP
        """
        now = time_ns()
        event = text("button_event", button_event, NAME_LENGTH)
        shown = text("label", label, LABEL_LENGTH)
        meant = text("value", value, LABEL_LENGTH)
        extra = None if metadata is None else small_dict("metadata", metadata)
        weight = len(shown) + len(meant) + heavy(extra)
        self._lane(conversation_id).put(
            (BUTTON, now, weight if weight > LIGHT else 0, event, shown, meant, extra)
        )

    def track_attachments(
        self,
        attachments: Sequence[dict[str, Any]],
        sender: Sender | str | None = "end_user",
        metadata: dict[str, Any] | None = None,
        mode: AttachmentMode | str = "base64",
        conversation_id: str | None = None,
    ) -> None:
        """Track files that came without a message.

        Args:
            attachments: 1 to 50 dicts. Mode `base64`: `filename`, `mime_type`, `data` (base64 text). Mode
                `form_data`: `data` (bytes, or a file opened in binary mode, read here) and, if known,
                `filename` and `mime_type`.
            sender: `end_user`, `agent` or `system`.
            metadata: a dict of anything that fits JSON.
            mode: `base64` or `form_data`.
            conversation_id: default: the current conversation.

        Raises:
            InvalidAttachmentException: an attachment is wrong.

        Example:
            >>> conversation_tracker.track_attachments(
            ...     [{"filename": "bill.pdf", "data": b"%PDF-1.7 ..."}], mode="form_data"
            ... )  # doctest: +SKIP
        """
        from agentsight.attachments import check_attachments

        now = time_ns()
        files, weight = check_attachments(attachments, mode, "mode")
        who = "end_user" if sender is None else choice("sender", sender, ("end_user", "agent", "system"))
        extra = None if metadata is None else small_dict("metadata", metadata)
        weight += heavy(extra)
        self._lane(conversation_id).put((ATTACHMENTS, now, max(weight, LIGHT), who, files, extra))

    def track_token_usage(
        self,
        prompt_tokens: int | None = 0,
        completion_tokens: int | None = 0,
        total_tokens: int | None = 0,
        embedding_tokens: int | None = 0,
        model: str | None = None,
        conversation_id: str | None = None,
    ) -> None:
        """Track the tokens of one model call.

        Args:
            prompt_tokens, completion_tokens, embedding_tokens: whole, 0 or more.
            total_tokens: prompt and completion together; worked out when it is 0 or left out.
            model: the model's name, for the cost.
            conversation_id: default: the current conversation.

        Example:
            >>> conversation_tracker.track_token_usage(512, 64, model="gpt-4o")  # doctest: +SKIP
        """
        now = time_ns()
        prompt, completion, embedding = prompt_tokens, completion_tokens, embedding_tokens
        total = total_tokens
        if not (
            type(prompt) is type(completion) is type(total) is type(embedding) is int
            and 0 <= prompt <= LARGEST_INTEGER
            and 0 <= completion <= LARGEST_INTEGER
            and 0 <= total <= LARGEST_INTEGER
            and 0 <= embedding <= LARGEST_INTEGER
        ):
            prompt = whole("prompt_tokens", prompt or 0)
            completion = whole("completion_tokens", completion or 0)
            total = whole("total_tokens", total or 0)
            embedding = whole("embedding_tokens", embedding or 0)
        total = total or prompt + completion
        name = None if model is None else optional_text("model", model, NAME_LENGTH)
        lane = self._lane(conversation_id)
        lane.put((TOKEN_USAGE, now, 0, prompt, completion, total, embedding, name, None))
        lane.counts.append((prompt, completion, total, embedding))  # atomic; adding up would need the lock
        if len(lane.counts) > COUNTS:
            lane.tokens()


def heavy(value: Json | None) -> int:
    """Bytes that count: of JSON text. The cheaper forms are small."""
    return len(value) if type(value) is str else 0


def _either(name: str, value: str | None, older_name: str, older: str, error: type[Exception]) -> str:
    if value is not None:
        raise error(f"{older_name} is the older name of {name}: give one of them")
    return older


def _span(started_at: object, ended_at: object) -> tuple[str | None, str | None]:
    started = None if started_at is None else timestamp("started_at", started_at)
    ended = None if ended_at is None else timestamp("ended_at", ended_at)
    if started is not None and ended is not None and ended < started:
        raise InvalidConversationDataException("ended_at must not be before started_at")
    return (
        None if started is None else utc_text(started),
        None if ended is None else utc_text(ended),
    )
