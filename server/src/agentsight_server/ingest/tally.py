"""What a request brought and what became of it, in the ledger's figures. Reasons name fields, never values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentsight_server.domain.errors import RequestError
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.http.state import services_of
from agentsight_server.ingest import schemas as wire
from agentsight_server.ingest.batch import FROM_BEFORE, NO_MESSAGE, REFUSALS, Batch, ConversationOutcome
from agentsight_server.ingest.public import NotAllowed
from agentsight_server.ingest.single import Written
from agentsight_server.security.access import Access, Viewer
from agentsight_server.store.append import OLD, Appended, NewConversation, Refusal
from agentsight_server.store.ledger import Counts
from agentsight_server.store.writer import Tally

_REFUSED = frozenset({400, 404, 408, 409, 413, 415, 422})
_KNOWN = frozenset({"conversations"}) | frozenset(
    name
    for kind in vars(wire).values()
    if isinstance(kind, type) and hasattr(kind, "__struct_fields__")
    for name in kind.__struct_fields__
)
# Where a message goes on with what was given, a position, or a library's own words.
_GIVEN = re.compile(r", not | such as |; there are: |: | \(byte |cannot be (?!decoded)")


def of_batch(key_id: int, batch: Batch) -> Tally[list[Appended]]:
    """Counts a batch when it has been stored."""

    def count(appended: list[Appended]) -> Counts:
        outcomes = batch.outcomes
        received = batch.received
        lost = sum(number == 0 for each in appended for number, _ in each.items)
        kept = sum(number > 0 for each in appended for number, _ in each.items)
        duplicate = sum(again for each in appended for _, again in each.items)
        counts = Counts(
            requests=1,
            conversations=sum(each.created for each in appended),
            received=received,
            accepted=kept - duplicate,
            duplicate=duplicate,
            refused=received - kept,
        )
        for adjusted, each in zip(batch.adjusted, appended, strict=True):
            if (
                adjusted
                and each.refused is None
                and not (each.items and all(again for _, again in each.items))
            ):
                counts.add(adjustments(adjusted))  # not when the whole of it was sent again
            if each.left_out:
                counts.add(_no_room(each.left_out))
        if counts.refused or len(appended) < len(outcomes):
            _explain(counts, outcomes)
        if lost:
            counts.add(Counts(reasons={reason({"message": [NO_MESSAGE]}): lost}))
        for stored, given in zip(appended, batch.accepted, strict=True):
            if stored.refused is not None:
                _refused_by_store(counts, stored.refused, len(given.items))
            elif old := sum(number == OLD for number, _ in stored.items):
                counts.add(Counts(reasons={reason(FROM_BEFORE): old}))
        return counts

    return key_id, count


def _explain(counts: Counts, outcomes: Iterable[ConversationOutcome]) -> None:
    for outcome in outcomes:
        if not outcome.success and not outcome.items:
            # A conversation without items that is refused counts as one.
            counts.received += 1
            counts.refused += 1
            counts.add(Counts(reasons={reason(outcome.errors or {}): 1}))
        for item in outcome.items:
            if item.errors:
                errors = item.errors if outcome.success else outcome.errors or item.errors
                counts.add(Counts(reasons={reason(errors): 1}))


def _refused_by_store(counts: Counts, why: Refusal, items: int) -> None:
    if not items:  # as above, it counts as one
        counts.received += 1
        counts.refused += 1
    counts.add(Counts(reasons={reason({"conversation_id": [REFUSALS[why]]}): items or 1}))


def of_single(key_id: int, given: NewConversation, adjusted: Sequence[wire.Adjusted] = ()) -> Tally[Written]:
    """Counts a single call when it has been stored."""
    items = len(given.items)
    changed = adjustments(adjusted).adjustments

    def count(written: Written) -> Counts:
        again = written.duplicates
        counts = Counts(1, int(written.created), items, items - again, again, 0, {}, dict(changed))
        if written.left_out:
            counts.add(_no_room(written.left_out))
        return counts

    return key_id, count


def _no_room(keys: int) -> Counts:
    """Metadata that a conversation has no room for."""
    return Counts(adjustments={"metadata: left_out": keys})


def adjustments(adjusted: Iterable[wire.Adjusted]) -> Counts:
    """What a client says that it changed before sending, by field and kind of change."""
    counts = Counts()
    for each in adjusted:
        name = _name_of(each.field)
        counts.add(Counts(adjustments={f"{name if name in _KNOWN else 'other'}: {each.code}": each.count}))
    return counts


def of_files(key_id: int) -> Tally[Written]:
    """Counts files that joined a message, as one item."""
    return key_id, lambda _: Counts(1, 0, 1, 1, 0, 0, {})


def note_refusal(request: AnyRequest, error: RequestError) -> None:
    """Count a write that was refused as a whole, when it came with a key."""
    if error.status not in _REFUSED and not isinstance(error, NotAllowed):
        return
    handler = request.scope.get("route_handler")
    if handler is None or handler.opt.get("access") not in (Access.INGEST, Access.RESPOND):
        return
    viewer: Viewer | None = getattr(request.state, "viewer", None)
    if viewer is not None and viewer.key_id is not None:
        services_of(request).ledger.refuse(viewer.key_id, reason(error.body))


def reason(errors: Mapping[str, Any]) -> str:
    """A short text that is the same for the same mistake.

    Example:
        >>> reason({"items.3.device": ["takes desktop, mobile or tablet, not 'fridge'"]})
        'device: takes desktop, mobile or tablet'
    """
    for path, what in errors.items():
        name = _name_of(path)
        said = str(what[0] if isinstance(what, list) and what else what)
        said = _GIVEN.split(said)[0].strip() or "cannot be what it is"
        said = re.sub(r"[\"'`].*", "", said)[:100].strip()
        if name == "detail":
            return said
        return f"{name if name in _KNOWN else 'field'}: {said}"
    return "unknown"


def _name_of(path: str) -> str:
    """The field at the end of a path such as `items.3.device`."""
    return next((part for part in reversed(path.split(".")) if not part.isdigit()), path)
