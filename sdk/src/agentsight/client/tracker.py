"""ConversationTracker, which bots call."""

from __future__ import annotations

import time

from agentsight.client.conversation import Conversation, bound_send
from agentsight.client.conversation_fields import FIELDS, check_fields
from agentsight.client.strays import Strays
from agentsight.client.track_methods import Tracking
from agentsight.config import Config, log, set_log_level
from agentsight.delivery.dispatcher import Dispatcher
from agentsight.delivery.responses import cast_answer
from agentsight.delivery.transport import Transport
from agentsight.items.stamps import iso
from agentsight.items.validation import (
    conversation_id as check_conversation_id,
)
from agentsight.items.validation import (
    environment as check_environment,
)
from agentsight.outbox.context import CurrentConversation, current_bindings
from agentsight.outbox.frames import marked
from agentsight.outbox.outbox import Outbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from typing_extensions import Unpack

    from agentsight.outbox.pending import PendingConversation
    from agentsight.types import (
        ConversationRecord,
        DeviceName,
        EnvironmentName,
        FlushResult,
        Options,
        SendResult,
        TokenUsage,
        TrackedSummary,
    )

__all__ = ["Conversation", "ConversationTracker"]

TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "embedding_tokens")


class ConversationTracker(Tracking):
    """Tracks conversations: everything is remembered, and sent by `send_tracked_data`.

    Each tracker has its own settings, conversations and connections, and may be used from any number of threads
    and tasks. Nothing needs a key until something is sent.

    Args:
        api_key: `ags_…`; default AGENTSIGHT_API_KEY.
        conversation_id: conversation used where none is chosen; default AGENTSIGHT_CONVERSATION_ID.
        endpoint: base address of the server; default AGENTSIGHT_API_ENDPOINT.
        environment: `production` or `development`; default AGENTSIGHT_ENVIRONMENT.
        log_level: of the `agentsight` logger; default AGENTSIGHT_LOG_LEVEL.
        config: a `Config` to start from; it is copied.
        timeout, auto_send, spool_dir, strict, …: every other option of `Config`.

    Raises:
        InvalidApiKeyException: the key given is none.
        ConfigurationException: another option has a value that it cannot take.

    Example:
        >>> tracker = ConversationTracker(environment="production")
        >>> conversation = tracker.get_or_create_conversation("conv_1", device="mobile")
        >>> tracker.track_human_message("What's the weather like?")
        >>> tracker.track_agent_message("Sunny.")
        >>> tracker.send_tracked_data()  # doctest: +SKIP
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        self.config = Config(**options)
        self._current = CurrentConversation()
        self._number = self._current.number
        self._outbox = Outbox(self.config.max_pending_items, self.config.max_pending_bytes)
        self._strays = Strays(self._number, self._outbox)
        self._transport = Transport(self.config)
        self._dispatcher = Dispatcher(self.config, self._outbox, self._transport)
        self._outbox.on_first_use = self._start
        self._token_handler: object = None
        if self.config.given("log_level") is not None:
            set_log_level(self.config.log_level)
        if self.config.given("token_handler") is not None:
            self._collect_tokens()
        chosen = self.config.given("conversation_id")
        if chosen is not None:
            self._current.set(self._outbox.conversation(chosen))

    def configure(self, **options: Unpack[Options]) -> None:
        """Change settings; what is left out stays as it is. What is pending stays pending.

        Args:
            options: as the constructor takes them.
            conversation_id: becomes current in the running context, and in no other.

        Raises:
            InvalidApiKeyException, ConfigurationException, MissingConversationIdException: as the constructor;
                nothing is changed then.
        """
        named = options.pop("conversation_id", None)
        chosen = None if named is None else check_conversation_id(named)
        self.config.configure(**options)
        self._start()
        self._outbox.set_bounds(self.config.max_pending_items, self.config.max_pending_bytes)
        if options.get("log_level") is not None:
            set_log_level(self.config.log_level)
        if chosen is not None:
            # The setting is now a matter of contexts: a default for all of them would catch the messages of
            # threads that belong to another one.
            self.config.unset("conversation_id")
            self._choose(self._outbox.conversation(chosen))

    def get_or_create_conversation(
        self,
        conversation_id: str,
        customer_id: str | int | None = None,
        customer_ip_address: str | None = None,
        device: DeviceName | None = None,
        source: str | None = None,
        language: str | None = None,
        name: str | None = None,
        environment: EnvironmentName | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Conversation:
        """Make a conversation current in the running context (thread, asyncio task). Sent with what is tracked.

        Called again for the same conversation, fields given earlier stay, empty ones are filled, and new metadata
        keys are added.

        Args:
            conversation_id: the conversation's text id, at most 255 characters.
            customer_id: whom the agent talks to.
            customer_ip_address: for country, city and time zone.
            device: `desktop`, `mobile` or `tablet`.
            source: the channel, such as `web` or `whatsapp`.
            language: such as `en` or `en-US`.
            name: a title.
            environment: `production` or `development`; wins over every setting.
            metadata: a dict of anything that fits JSON.

        Returns:
            The conversation's handle, with the same `track_*` methods; usable in a `with` block.

        Raises:
            MissingConversationIdException: the id is None or blank.
            InvalidConversationDataException: another argument is wrong, or longer than 255 characters.

        Example:
            >>> conversation_tracker.get_or_create_conversation("conv_1", device="mobile")  # doctest: +SKIP
            Conversation('conv_1')
        """
        given = (customer_id, customer_ip_address, device, source, language, name, environment, metadata)
        try:
            return self._open(check_conversation_id(conversation_id), check_fields(*given))
        except Exception:
            if self._is_strict(conversation_id, environment):
                raise
            from agentsight.client.lenient import conversation_that_fits

            return conversation_that_fits(self, conversation_id, dict(zip(FIELDS, given, strict=True)))

    def initialize_conversation(
        self,
        conversation_id: str,
        customer_id: str | int | None = None,
        customer_ip_address: str | None = None,
        device: DeviceName | None = None,
        source: str | None = None,
        language: str | None = None,
        name: str | None = None,
        environment: EnvironmentName | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> ConversationRecord:
        """Create a conversation on the server at once: offered to a customer, not used yet.

        It counts as used as soon as something is tracked in it. It becomes current only in a context that has no
        current conversation. Arguments as in `get_or_create_conversation`.

        Returns:
            The conversation as the server has it, with its integer `id`.

        Raises:
            NoApiKeyException: there is no key.
            ConversationNetworkException: the server could not be reached.
            ConversationApiException: the server answered with an error.
        """
        given = (customer_id, customer_ip_address, device, source, language, name, environment, metadata)
        try:
            chosen, fields = check_conversation_id(conversation_id), check_fields(*given)
        except Exception:
            if self._is_strict(conversation_id, environment):
                raise
            from agentsight.client.lenient import offer_that_fits

            chosen, fields = offer_that_fits(self, conversation_id, dict(zip(FIELDS, given, strict=True)))
        pending = self._outbox.conversation(chosen)
        answer = self._transport.call(
            "POST",
            "/api/conversations/",
            {
                **fields,
                "conversation_id": chosen,
                "environment": fields.get("environment") or self.config.environment,
                "timestamp": iso(time.time_ns()),
                "is_used": False,
            },
        )
        if self._current.binding() is None:
            self._choose(pending)
        record: ConversationRecord = cast_answer(answer)
        return record

    def _open(self, conversation_id: str, fields: dict[str, Any]) -> Conversation:
        """Make a conversation current; both arguments are right."""
        pending = self._outbox.conversation(conversation_id)
        pending.announce(fields)
        self._choose(pending)
        return Conversation(self, pending)

    def get_token_usage(self) -> TokenUsage:
        """Tokens tracked in the current conversation since it was last sent; where none is current, in all."""
        pending = self._known_conversation()
        conversations = [pending] if pending is not None else list(self._outbox.conversations.values())
        sums = [each.tokens() for each in conversations]
        usage: Any = {name: sum(each[index] for each in sums) for index, name in enumerate(TOKENS)}
        counted: TokenUsage = usage
        return counted

    def get_tracked_data_summary(self) -> TrackedSummary:
        """What is pending in the current conversation; where none is current, in all.

        Returns:
            `conversation_id` (None where none is current), `items` in order, each with `index`, `type`,
            `timestamp` and `data` (of files: name, type and size), and `summary`, the counts by type and `total`.
        """
        from agentsight.outbox.summary import summarise

        pending = self._known_conversation()
        conversations = [pending] if pending is not None else list(self._outbox.waiting.values())
        return summarise(pending.conversation_id if pending is not None else None, conversations)

    @bound_send
    def send_tracked_data(self, conversation_id: str | None = None) -> SendResult:
        """Send the current conversation; in a context that has none, all that is pending. One request.

        What could not be sent because the server was away or busy stays pending, and goes with the next call;
        what the server refuses as invalid is reported and not sent again. Token counters go back to 0.

        Args:
            conversation_id: send this conversation instead.

        Returns:
            `items`: `[{"index", "type", "timestamp", "success", "response" or "error"}]`, and `summary`: how many
            questions, answers, actions, buttons and attachments were accepted, and how many `errors` there
            were. If items were lost since the last call (the outbox was full), also `lost`, their number.

        Raises:
            NoDataToSendException: nothing is pending here; it says so if something is in other conversations.
            NoApiKeyException, InvalidApiKeyException: there is no key that could be used; all stays pending.
            UnauthorizedException, ForbiddenException: the server refuses the key; all stays pending.
        """
        return self._dispatcher.send(self._chosen(conversation_id))

    def flush(self, timeout: float | None = None) -> FlushResult:
        """Send what is pending in all conversations of this tracker. Never raises: errors are logged.

        For the end of a notebook cell, a request of a serverless function, a job.

        Args:
            timeout: seconds that this may take; default: the option. As long as the server has not answered since
                the last failure, half a second at most.

        Returns:
            `sent`, `unsent` (still pending) and `lost`: numbers of items.

        Example:
            >>> conversation_tracker.flush()  # doctest: +SKIP
            {'sent': 5, 'unsent': 0, 'lost': 0}
        """
        return self._dispatcher.flush(timeout)

    def close(self, timeout: float | None = None) -> FlushResult:
        """Send what is pending and close the connections. Tracking again afterwards is allowed.

        Args:
            timeout: seconds that this may take; default: 2.

        Returns:
            `sent`, `unsent` (still pending) and `lost`: numbers of items. Errors are logged, not raised.
        """
        try:
            return self._dispatcher.finish(timeout)
        finally:
            self._transport.close()

    def _start(self) -> None:
        """Before anything is tracked, and again when the settings change: check them, start what they ask for."""
        try:
            self.config.check()
            self._dispatcher.start()
            self._collect_tokens()
        except Exception as problem:
            if self.config.strict:
                raise
            log().error("%s", problem)

    def _collect_tokens(self) -> None:
        kind = self.config.get("token_handler")
        if kind is not None and self._token_handler is None:
            from agentsight.client.token_callbacks import install

            self._token_handler = install(kind, self)

    def _pending_for(self, conversation_id: str | None) -> PendingConversation:
        if conversation_id is None and not marked:
            try:  # as CurrentConversation.binding, without the call
                binding = current_bindings()[self._number]
                if not binding.over:
                    return binding.conversation
            except KeyError:
                pass
        return self._find_pending(conversation_id)

    def _is_strict(self, conversation_id: object, environment: object = None) -> bool:
        """Whether a wrong value raises, for a conversation of some environment."""
        try:
            wanted: str | None = check_environment(environment)
        except Exception:
            binding = self._current.binding()
            if conversation_id is None:
                pending = None if binding is None else binding.conversation
            else:
                pending = (
                    self._outbox.conversations.get(conversation_id) if type(conversation_id) is str else None
                )
            wanted = None if pending is None else pending.known_fields.get("environment")
        return self.config.is_strict(wanted)

    def _handle(self, conversation_id: str | None) -> Conversation:
        return Conversation(self, self._pending_for(conversation_id))

    def _find_pending(self, conversation_id: str | None) -> PendingConversation:
        """The conversation of a call that names it, or whose context may have none."""
        if conversation_id is not None:
            return self._outbox.conversation(check_conversation_id(conversation_id))
        return self._known_conversation() or self._strays.make(current_bindings().get(self._number))

    def _known_conversation(self) -> PendingConversation | None:
        """The current conversation, or the configured one, or the only one ever, or the stray made here before."""
        binding = self._current.binding()
        if binding is not None:
            return binding.conversation
        default = self.config.get("conversation_id")
        if default is not None:
            return self._outbox.conversation(default)
        return self._outbox.roster.the_only_one() or self._strays.find()

    def _choose(self, pending: PendingConversation) -> None:
        pending.was_left = False
        self._current.set(pending)

    def _chosen(self, conversation_id: str | None) -> list[PendingConversation] | None:
        """What `send_tracked_data` sends: the conversation named, or the current one, or all (None)."""
        if conversation_id is not None:
            return [self._outbox.conversation(check_conversation_id(conversation_id))]
        binding = self._current.binding()
        return None if binding is None else [binding.conversation]

    def _has_pending(self) -> bool:
        """Whether there is something that `send_tracked_data` would send here and now."""
        binding = self._current.binding()
        if binding is None:
            return bool(self._outbox.waiting) or self._outbox.in_flight > 0
        return binding.conversation.queued or binding.conversation.in_flight > 0

    def __deepcopy__(self, memo: object = None) -> ConversationTracker:
        return self  # what is pending must not be sent twice

    __copy__ = __deepcopy__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a tracker cannot be pickled: make one where it is needed")

    def __repr__(self) -> str:
        return f"ConversationTracker({self.config!r})"
