"""What a request brought and what became of it, in the ledger's figures. They name fields and codes, never values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agentsight_server.domain.errors import RequestError
from agentsight_server.domain.problems import Code, Problem
from agentsight_server.http.app_state import services_of
from agentsight_server.http.bodies import AnyRequest
from agentsight_server.ingest import request_schemas
from agentsight_server.ingest.batch import BEFORE_ERASURE, NO_MESSAGE, REFUSALS, Batch, Judged
from agentsight_server.ingest.public import NotAllowed
from agentsight_server.ingest.single import Written
from agentsight_server.security.access import Access, Actor
from agentsight_server.store.append import OLD, Appended, NewConversation, Refusal
from agentsight_server.store.ledger import Adjustment, Cause, Counts, Refusals
from agentsight_server.store.writer import LedgerEntry

_REFUSED = frozenset({400, 404, 408, 409, 413, 415, 422})
_KNOWN = frozenset({"conversations", "type"}) | frozenset(
    name
    for kind in vars(request_schemas).values()
    if isinstance(kind, type) and hasattr(kind, "__struct_fields__")
    for name in kind.__struct_fields__
)
_STRANGE = "other"  # a field that is none of ours: its name may be anything
_NAME = re.compile(r"[A-Za-z_]{1,40}")


def of_batch(key_id: int, batch: Batch) -> LedgerEntry[list[Appended]]:
    """Counts a batch when it has been stored."""

    def count(appended: list[Appended]) -> Counts:
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
        if counts.refused or len(appended) < len(batch.judged):
            _explain(counts, batch.judged)
        if lost:
            counts.add(_refusals([NO_MESSAGE], lost))
        for stored, given in zip(appended, batch.accepted, strict=True):
            if stored.refused is not None:
                _refused_by_store(counts, stored.refused, len(given.items))
            elif old := sum(number == OLD for number, _ in stored.items):
                counts.add(_refusals([BEFORE_ERASURE], old))
        return counts

    return key_id, count


def _explain(counts: Counts, judged: Iterable[Judged]) -> None:
    for each in judged:
        if each.problems and not each.items:
            # A conversation without items that is refused counts as one.
            counts.received += 1
            counts.refused += 1
            counts.add(_refusals(each.problems))
        for item in each.items or ():
            if item.problems:
                counts.add(_refusals(each.problems or item.problems))


def _refused_by_store(counts: Counts, why: Refusal, items: int) -> None:
    if not items:  # as above, it counts as one
        counts.received += 1
        counts.refused += 1
    counts.add(_refusals([Problem("conversation_id", REFUSALS[why])], items or 1))


def _refusals(problems: Sequence[Problem], count: int = 1) -> Counts:
    """Items that were refused for the first of these problems."""
    cause, example = cause_of(problems[0])
    return Counts(refusals={cause: Refusals(count, example)})


def cause_of(problem: Problem) -> tuple[Cause, str]:
    """The field and code of a problem, and a sentence for the eye, without what was given.

    Example:
        >>> cause_of(Problem("items.3.device", Code.CHOICE, "desktop, mobile or tablet", "'fridge'"))
        (Cause(field='device', code='choice'), 'takes desktop, mobile or tablet')
    """
    name = problem.name
    if not name and problem.code is Code.TYPE:
        return Cause("", problem.code.value), f"a body or item {problem.rule}"
    if not name or name in _KNOWN:
        return Cause(name, problem.code.value), problem.rule
    if problem.code is Code.UNKNOWN_FIELD:
        named = f", such as {name}" if _NAME.fullmatch(name) else ""  # misspelt, most likely
        there = f"; there are: {problem.takes}" if problem.takes else ""
        return Cause(_STRANGE, problem.code.value), f"a field is not known here{named}{there}"
    return Cause(_STRANGE, problem.code.value), problem.rule


def of_single(
    key_id: int, given: NewConversation, adjusted: Sequence[request_schemas.Adjusted] = ()
) -> LedgerEntry[Written]:
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
    return Counts(adjustments={Adjustment("metadata", "left_out"): keys})


def adjustments(adjusted: Iterable[request_schemas.Adjusted]) -> Counts:
    """What a client says that it changed before sending, by field and kind of change."""
    counts = Counts()
    for each in adjusted:
        name = Problem(each.field, Code.OTHER).name
        change = Adjustment(name if name in _KNOWN else _STRANGE, each.code)
        counts.add(Counts(adjustments={change: each.count}))
    return counts


def of_files(key_id: int) -> LedgerEntry[Written]:
    """Counts files that joined a message, as one item."""
    return key_id, lambda _: Counts(1, 0, 1, 1, 0, 0, {})


def note_refusal(request: AnyRequest, error: RequestError) -> None:
    """Count a write that was refused as a whole, when it came with a key."""
    if error.status not in _REFUSED and not isinstance(error, NotAllowed):
        return
    handler = request.scope.get("route_handler")
    if handler is None or handler.opt.get("access") not in (Access.INGEST, Access.RESPOND):
        return
    actor: Actor | None = getattr(request.state, "actor", None)
    if actor is not None and actor.key_id is not None:
        services_of(request).ledger.refuse(actor.key_id, *cause_of(error.problems[0]))
