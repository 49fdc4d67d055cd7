"""`strict` off: what could be kept of a call whose arguments are wrong is tracked, and nothing is raised.

Loaded only when a call went wrong. The table in `mending` says how each argument is mended; then the call is made
again with what came out, through the same checks as any other.
"""

from __future__ import annotations

import threading

from agentsight.client.conversation_fields import FIELDS, check_fields
from agentsight.client.mending import SENSE, TABLE, mend
from agentsight.client.repair import CLEANED, LEFT_OUT, REPLACED, SHORTENED, Notes, identity
from agentsight.config import log
from agentsight.exceptions import MissingConversationIdException
from agentsight.outbox.frames import origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentsight.client.conversation import Conversation
    from agentsight.client.mending import Fields
    from agentsight.client.track_other import OtherTracking
    from agentsight.client.tracker import ConversationTracker
    from agentsight.outbox.pending import PendingConversation

__all__ = ["conversation_that_fits", "offer_that_fits", "track_what_fits"]

_SAID = {
    SHORTENED: "was too long, and was cut",
    CLEANED: "had characters that cannot be stored, which were taken out",
    REPLACED: "was not of the kind that it takes, and was converted",
    LEFT_OUT: "could not be used, and was left out",
}

_mending = threading.local()


def track_what_fits(
    owner: OtherTracking, error: Exception, method: str, arguments: Mapping[str, Any]
) -> bool:
    """Track what can be kept of a call that failed; log and count what was changed.

    Args:
        owner: the tracker or handle.
        error: what the call raised.
        method: its name.
        arguments: its arguments by name; other names are ignored.

    Returns:
        False if the call was itself such an attempt: its error is for the one that made it.
    """
    if getattr(_mending, "now", False):
        return False
    _mending.now = True
    notes = Notes()
    tracker = _tracker_of(owner)
    pending: PendingConversation | None = None
    try:
        given = {
            name: arguments.get(name) for name in (*TABLE[method], "attachments", "attachment_mode", "mode")
        }
        pending, named = _target(owner, arguments.get("conversation_id"), notes)
        again = SENSE[method](method, given, mend(method, given, notes), notes, _contents(error))
        if again is not None:
            name, fields = again
            if named is None:
                getattr(owner, name)(**fields)
            else:
                getattr(tracker, name)(conversation_id=named, **fields)
            pending = tracker._pending_for(named) if named is not None or owner is tracker else pending
    except Exception as problem:
        notes.add(method, LEFT_OUT)
        _say(tracker, (method, LEFT_OUT), "%s: a call was not tracked: %s", method, _shown(problem))
    finally:
        _mending.now = False
        _tell(tracker, pending, method, notes)
    return True


def conversation_that_fits(
    tracker: ConversationTracker, conversation_id: object, given: Mapping[str, Any]
) -> Conversation:
    """`get_or_create_conversation` with what can be kept of its arguments.

    Without a usable id the conversation gets one of its own: nobody else's messages may land in it.
    """
    notes = Notes()
    chosen = _identity(notes, conversation_id)
    fields = _fields(given, notes)
    pending = tracker._strays.apart() if chosen is None else tracker._outbox.conversation(chosen)
    handle = tracker._open(pending.conversation_id, fields)
    _tell(tracker, handle._pending, "get_or_create_conversation", notes)
    return handle


def offer_that_fits(
    tracker: ConversationTracker, conversation_id: object, given: Mapping[str, Any]
) -> tuple[str, Fields]:
    """The arguments of `initialize_conversation` that can be kept.

    Raises:
        MissingConversationIdException: the id cannot; there is no conversation to offer then.
    """
    notes = Notes()
    chosen = _identity(notes, conversation_id)
    if chosen is None:
        raise MissingConversationIdException
    fields = _fields(given, notes)
    _tell(tracker, tracker._outbox.conversation(chosen), "initialize_conversation", notes)
    return chosen, fields


def _fields(given: Mapping[str, Any], notes: Notes) -> Fields:
    mended = mend("get_or_create_conversation", given, notes)
    return check_fields(*(mended[name] for name in FIELDS))


def _identity(notes: Notes, conversation_id: object) -> str | None:
    """A usable conversation id, or None."""
    if conversation_id is None:
        notes.add("conversation_id", LEFT_OUT)
        return None
    try:
        chosen = identity(notes, "conversation_id", conversation_id)
    except Exception:
        chosen = None
    if chosen is None and ("conversation_id", LEFT_OUT) not in notes.counts:
        notes.add("conversation_id", LEFT_OUT)
    return chosen


def _tracker_of(owner: OtherTracking) -> ConversationTracker:
    tracker: ConversationTracker = getattr(owner, "_tracker", None) or owner  # type: ignore[assignment]
    return tracker


def _target(owner: OtherTracking, given: Any, notes: Notes) -> tuple[PendingConversation | None, str | None]:
    """Where the call belongs: its conversation if there is one already, and the id to name (None: the current)."""
    tracker = _tracker_of(owner)
    its_own: PendingConversation | None = getattr(owner, "_pending", None)
    binding = tracker._current.binding()
    current = its_own or (None if binding is None else binding.conversation)
    if given is None or (issubclass(type(given), str) and not str.strip(given)):
        if given is not None:
            notes.add("conversation_id", LEFT_OUT)
        return current, None
    named = _identity(notes, given)
    if named is not None:
        if its_own is not None and named == its_own.conversation_id:
            return its_own, None
        return tracker._outbox.conversations.get(named), named
    # Another conversation was meant, and nobody knows which: not the current one, nor anybody's.
    pending = tracker._strays.apart()
    return pending, pending.conversation_id


def _contents(error: Exception) -> Mapping[int, bytes]:
    """What the failed call has read of files, some of which can be read only once."""
    found: Mapping[int, bytes] = getattr(error, "contents", None) or {}
    return found


def _tell(
    tracker: ConversationTracker, pending: PendingConversation | None, method: str, notes: Notes
) -> None:
    """Count what was changed where the server will hear of it, and log each kind of change once."""
    if pending is not None:
        pending.adjust(notes.counts)
    for field, code in notes.counts:
        _say(
            tracker,
            (field, code),
            "%s at %s: %s %s; the rest is tracked, and this is said once (strict=True raises instead)",
            method,
            origin()[1] if (field, code) not in tracker._outbox.warned else "",
            field,
            _SAID[code],
        )


def _say(tracker: ConversationTracker, kind: tuple[str, str], *what: object) -> None:
    warned = tracker._outbox.warned
    if kind not in warned:
        warned.add(kind)
        try:  # noqa: SIM105 - a log handler that raises must not reach the bot
            log().warning(*what)
        except Exception:  # noqa: S110
            pass


def _shown(problem: Exception) -> str:
    try:
        return f"{problem}"[:200]
    except Exception:
        return type(problem).__name__
