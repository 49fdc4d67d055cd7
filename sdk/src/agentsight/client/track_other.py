"""What is tracked beside messages and actions, and what becomes of a call whose arguments are wrong."""

from __future__ import annotations

from time import time_ns

from agentsight.items import kinds
from agentsight.items.choices import SENDERS, SENTIMENTS
from agentsight.items.validation import (
    COMMENT_LENGTH,
    LABEL_LENGTH,
    MOST_TOKENS,
    NAME_LENGTH,
    choice,
    message_reference,
    optional_text,
    parts_of,
    small_dict,
    text,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentsight.items.validation import Json
    from agentsight.outbox.pending import PendingConversation
    from agentsight.types import Attachment, AttachmentModeName, SenderName, SentimentName

__all__ = ["OtherTracking", "json_weight"]

COUNTS = 100  # token counts that are kept before they are added up


class OtherTracking:
    """`track_button`, `track_attachments`, `track_token_usage` and `feedback`."""

    __slots__ = ()

    def _pending_for(self, conversation_id: str | None) -> PendingConversation:
        raise NotImplementedError

    def _is_strict(self, conversation_id: object) -> bool:
        raise NotImplementedError

    def _mended(self, error: Exception, method: str, arguments: dict[str, Any]) -> bool:
        """Whether an error of a call has been dealt with: what could be kept is tracked. False: raise it."""
        if self._is_strict(arguments["conversation_id"]):
            return False
        from agentsight.client.lenient import track_what_fits

        return track_what_fits(self, error, method, arguments)

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
        try:
            now = time_ns()
            event = text("button_event", button_event, NAME_LENGTH)
            shown = text("label", label, LABEL_LENGTH)
            meant = text("value", value, LABEL_LENGTH)
            extra = None if metadata is None else small_dict("metadata", metadata)
            weight = len(shown) + len(meant) + json_weight(extra)
            self._pending_for(conversation_id).put(kinds.button(now, weight, event, shown, meant, extra))
        except Exception as error:
            if not self._mended(error, "track_button", locals()):
                raise

    def track_attachments(
        self,
        attachments: Sequence[Attachment],
        sender: SenderName | None = "end_user",
        metadata: dict[str, Any] | None = None,
        mode: AttachmentModeName = "base64",
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
        try:
            from agentsight.items.attachments import check_attachments

            now = time_ns()
            who = "end_user" if sender is None else choice("sender", sender, SENDERS)
            extra = None if metadata is None else small_dict("metadata", metadata)
            files, weight = check_attachments(attachments, mode, "mode")  # last, because it reads files
            weight += json_weight(extra)
            self._pending_for(conversation_id).put(kinds.attachments(now, weight, who, files, extra))
        except Exception as error:
            if not self._mended(error, "track_attachments", locals()):
                raise

    def track_token_usage(
        self,
        prompt_tokens: int | None = 0,
        completion_tokens: int | None = 0,
        total_tokens: int | None = 0,
        embedding_tokens: int | None = 0,
        model: str | None = None,
        conversation_id: str | None = None,
        *,
        cached_tokens: int | None = 0,
        cache_write_tokens: int | None = 0,
        input_audio_tokens: int | None = 0,
        reasoning_tokens: int | None = 0,
        output_audio_tokens: int | None = 0,
    ) -> None:
        """Track the tokens of one model call. All counts are whole, from 0 to 1,000,000,000.

        Args:
            prompt_tokens: all that went in, cached ones included.
            completion_tokens: all that came out, reasoning included.
            total_tokens: prompt and completion together; worked out when it is 0 or left out.
            embedding_tokens: of an embedding model.
            model: the model's name, for the cost.
            conversation_id: default: the current conversation.
            cached_tokens, cache_write_tokens, input_audio_tokens: how many of `prompt_tokens` were read from a
                cache, written to one, or audio.
            reasoning_tokens, output_audio_tokens: how many of `completion_tokens` were that.

        Example:
            >>> conversation_tracker.track_token_usage(512, 64, model="gpt-4o", cached_tokens=384)  # doctest: +SKIP
        """
        try:
            now = time_ns()
            prompt: Any = prompt_tokens
            completion: Any = completion_tokens
            embedding: Any = embedding_tokens
            total: Any = total_tokens
            if not (
                type(prompt) is type(completion) is type(total) is type(embedding) is int
                and 0 <= prompt <= MOST_TOKENS
                and 0 <= completion <= MOST_TOKENS
                and 0 <= total <= MOST_TOKENS
                and 0 <= embedding <= MOST_TOKENS
            ):
                prompt = whole("prompt_tokens", prompt or 0, MOST_TOKENS)
                completion = whole("completion_tokens", completion or 0, MOST_TOKENS)
                total = whole("total_tokens", total or 0, MOST_TOKENS)
                embedding = whole("embedding_tokens", embedding or 0, MOST_TOKENS)
            total = total or min(prompt + completion, MOST_TOKENS)
            name = None if model is None else optional_text("model", model, NAME_LENGTH)
            parts = None
            if (
                cached_tokens
                or cache_write_tokens
                or input_audio_tokens
                or reasoning_tokens
                or output_audio_tokens
            ):
                parts = {
                    **parts_of(
                        "prompt_tokens",
                        prompt,
                        cached_tokens=cached_tokens,
                        cache_write_tokens=cache_write_tokens,
                        input_audio_tokens=input_audio_tokens,
                    ),
                    **parts_of(
                        "completion_tokens",
                        completion,
                        reasoning_tokens=reasoning_tokens,
                        output_audio_tokens=output_audio_tokens,
                    ),
                }
            pending = self._pending_for(conversation_id)
            pending.put(kinds.token_usage(now, 0, prompt, completion, total, embedding, name, parts))
            pending.counts.append(
                (prompt, completion, total, embedding)
            )  # atomic; adding up would need the lock
            if len(pending.counts) > COUNTS:
                pending.add_up_tokens()
        except Exception as error:
            if not self._mended(error, "track_token_usage", locals()):
                raise

    def feedback(
        self,
        sentiment: SentimentName,
        comment: str | None = None,
        message: int | str | None = None,
        metadata: dict[str, Any] | None = None,
        conversation_id: str | None = None,
    ) -> None:
        """Track what the customer thought of the conversation, or of one message in it.

        A later vote on the same replaces the earlier one.

        Args:
            sentiment: `positive`, `neutral` or `negative`.
            comment: at most 5,000 characters.
            message: the message it is about: the `message_id` that it was tracked with, or its database id.
            metadata: a dict of anything that fits JSON.
            conversation_id: default: the current conversation.

        Example:
            >>> conversation_tracker.feedback("positive", comment="Quick!")  # doctest: +SKIP
        """
        try:
            now = time_ns()
            thought = choice("sentiment", sentiment, SENTIMENTS)
            said = optional_text("comment", comment, COMMENT_LENGTH)
            about = None if message is None else message_reference("message", message)
            extra = None if metadata is None else small_dict("metadata", metadata)
            weight = len(said or "") + json_weight(extra)
            self._pending_for(conversation_id).put(kinds.feedback(now, weight, thought, said, about, extra))
        except Exception as error:
            if not self._mended(error, "feedback", locals()):
                raise


def json_weight(value: Json | None) -> int:
    """Bytes that count: of JSON text. The cheaper forms are small."""
    return len(value) if type(value) is str else 0
